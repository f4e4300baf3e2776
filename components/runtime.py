"""Where a step runs: what the runner hands to every step beside its parameters.

The caches of TFX and Kubeflow are keyed on a step's parameters and executor. What changes no
result, such as Beam's options or a folder on another disk, therefore travels in an environment
variable, and a change of it voids no finished step.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated

import pydantic
from pydantic import Field

from components.storage import paths

VARIABLE = "DEEPLAB_RUNTIME"
"""The environment variable that holds a `Runtime` as JSON."""


MODEL_SERVER = "tensorflow_model_server"
"""TensorFlow Serving's program, as its packages and images name it."""


_VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Signing(pydantic.BaseModel, frozen=True, extra="forbid"):
    """With what pushed versions are signed: a private key, one with a certificate, or Sigstore."""

    private_key: str | None = None
    """Path of a PEM on P-256, P-384 or P-521; `python -m pipeline keys --to DIR` makes one."""

    password: _VariableName | None = None
    """The environment variable that holds the private key's password; never the password."""

    certificate: str | None = None
    """Path of the PEM of the private key's own certificate."""

    chain: tuple[str, ...] = ()
    """Paths of the certificates above it, each the issuer of the one before, up to the root."""

    identity_token: _VariableName | None = None
    """The environment variable that holds the OpenID Connect token that Sigstore is asked with."""

    @pydantic.model_validator(mode="after")
    def _one_way(self):
        faults = []
        if (self.private_key is None) == (self.identity_token is None):
            faults.append(
                "expected signing with either private_key or identity_token; got "
                f"{'neither' if self.private_key is None else 'both'}; to fix, give one of them"
            )
        if self.certificate is not None and self.private_key is None:
            faults.append(
                "expected signing.certificate beside private_key; got none; to fix, give its key"
            )
        if bool(self.chain) == (self.certificate is None):
            faults.append(
                "expected signing.certificate and signing.chain together; got one of them; to fix, "
                "give both"
            )
        is_plain = self.private_key is not None and self.certificate is None
        if self.password is not None and not is_plain:
            faults.append(
                "expected signing.password beside a private_key without certificate, as "
                "model-signing takes it; got another; to fix, leave it out, and the key unencrypted"
            )
        faults += [
            f"expected {name} to be a file that the steps see; got an address, {path}; to fix, "
            "give a path, of a mounted secret for example"
            for name, path in self.paths().items()
            if paths.is_remote(path)
        ]
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def paths(self) -> dict[str, str]:
        """All paths, by what they are called in an environment."""
        found = {"private_key": self.private_key, "certificate": self.certificate}
        found |= {f"chain[{index}]": path for index, path in enumerate(self.chain)}
        return {f"signing.{name}": path for name, path in found.items() if path is not None}

    def moved(self, move: Callable[[str], str]) -> "Signing":
        """With each path as a function makes it of this one's."""
        changed = {
            name: move(path)
            for name in ("private_key", "certificate")
            if (path := getattr(self, name)) is not None
        }
        return self.model_copy(update={**changed, "chain": tuple(map(move, self.chain))})


class Runtime(pydantic.BaseModel, frozen=True, extra="forbid"):
    """What a step has to know of the place it runs at."""

    served: str
    """Pushed models lie at `<served>/<name>/<version>/`; a path here or in a bucket."""

    training_states: str
    """States of training that outlive a killed run lie below it."""

    serving_program: str = MODEL_SERVER
    """TensorFlow Serving, see `components.serving.server.launch.find_program`."""

    signing: Signing | None = None
    """With what pushed versions are signed; None: they are not."""

    metadata: str = ""
    """Where a step is recorded, see `components.metadata.addresses`; empty where its runner does
    that."""

    metadata_password: str = ""
    """The environment variable with the password of the database's user; empty for none."""

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
