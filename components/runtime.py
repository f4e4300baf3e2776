"""Where a step runs: what the runner hands to every step beside its parameters.

The caches of TFX and Kubeflow are keyed on a step's parameters and executor. What changes no
result, such as Beam's options or a folder on another disk, therefore travels in an environment
variable, and a change of it voids no finished step.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping

import pydantic

VARIABLE = "DEEPLAB_RUNTIME"
"""The environment variable that holds a `Runtime` as JSON."""


MODEL_SERVER = "tensorflow_model_server"
"""TensorFlow Serving's program, as its packages and images name it."""


class Runtime(pydantic.BaseModel, frozen=True, extra="forbid"):
    """What a step has to know of the place it runs at."""

    served: str
    """Pushed models lie at `<served>/<name>/<version>/`; a path here or in a bucket."""

    training_states: str
    """States of training that outlive a killed run lie below it."""

    serving_program: str = MODEL_SERVER
    """TensorFlow Serving, see `components.serving.server.launch.find_program`."""

    beam_options: Mapping[str, tuple[str, ...]]
    """Beam's options by the name of the step; every step that runs on Beam has an entry."""

    @contextlib.contextmanager
    def handed_on(self) -> Iterator[None]:
        """Hands this on to steps that run in this process or its children."""
        before = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = self.model_dump_json()
        try:
            yield
        finally:
            if before is None:
                del os.environ[VARIABLE]
            else:
                os.environ[VARIABLE] = before


def current() -> Runtime:
    """What the runner handed on.

    Raises:
        RuntimeError: there is none, the step was started by something else.
    """
    if VARIABLE not in os.environ:
        raise RuntimeError(
            f"expected {VARIABLE} in the environment of the step; got none; to fix, start it by "
            "local_runner.py or by what kubeflow_runner.py compiles"
        )
    return Runtime.model_validate_json(os.environ[VARIABLE])


class BeamOptions:
    """Mixed into an executor of TFX's that runs on Beam: it takes its options from the runtime.

    TFX itself would pack its own sources for the workers at every start of a step, which takes
    seconds; the workers of any engine need this project, and with it TFX, installed.

    Attributes:
        STEP: the name of the step, see `Runtime.beam_options`.
    """

    STEP: str

    def __init__(self, context=None):
        if context is not None:
            options = list(current().beam_options[self.STEP])
            context.beam_pipeline_args = []
            context.make_beam_pipeline_fn = lambda: _beam_pipeline(options)
        super().__init__(context)


def _beam_pipeline(options: list[str]):
    # Imported here: most of what reads the runtime runs nothing on Beam.
    import apache_beam

    return apache_beam.Pipeline(argv=options)
