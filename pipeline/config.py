"""What a run computes: typed, immutable, checked when it is made, all faults at once.

Each step's options live beside the step; here they are put together. Where a run happens is
`pipeline.environment`.
"""

import difflib
import json
import re
from typing import Annotated, Any, ClassVar

import pydantic
from pydantic import Field

import schemas
from components.data_gate.options import GateOptions
from components.dataset.limits import MAX_BYTES, MAX_PIXELS
from components.errors import ConfigError
from components.evaluator.options import EvaluationOptions
from components.initial_weights.options import InitialWeightsOptions
from components.model_options import ModelOptions
from components.options import Options, fault
from components.serving.check.options import ServingOptions
from components.serving.push_options import PushOptions
from components.tflite.options import TFLiteOptions
from components.trainer.options import TrainerConfig, TrainingOptions
from components.tuner.options import TunerOptions
from pipeline.following import follow

_Limit = Annotated[int, Field(ge=0)]
_FromOne = Annotated[int, Field(ge=1)]

_RENAMED = {
    "data.crop_size": "use data.canvas_size",
    "training.initial_weights": "use initial_weights.source",
    "training.initial_weights_scope": "use initial_weights.scope",
    "min_free_disk_gb": "write it into a file for --environment",
    "beam_pipeline_args": "write beam.options into a file for --environment",
}


class DataOptions(Options):
    """Which data set, and which of its records."""

    SECTION: ClassVar[str] = "data"

    dataset: Annotated[
        str, Field(pattern=r"^[^/\\.][^/\\]*$", description="the name of a data set")
    ]
    """A folder under `schemas/`, or under those that the environment names."""

    source: str | None = None
    """Folder of its pictures, of TFRecords, or of spans of them; None for the embedded sample."""

    train_pattern: str = "train-*"
    """File pattern of the training split's TFRecords."""

    val_pattern: str = "val-*"
    """File pattern of the validation split's TFRecords."""

    train_limit: _Limit = 0
    """At most so many training pictures are converted or rendered; 0: all there are."""

    val_limit: _Limit = 0
    """The same for the validation split."""

    span_window: _Limit = 0
    """Where the records lie in spans, the newest so many are learned from; 0: all of them."""

    canvas_size: Annotated[
        int, Field(ge=33, description="a whole number of at least 33 pixels")
    ] = 513
    """Side of the square canvas that whole pictures are judged and served on, in pixels; larger
    pictures are shrunk to fit. Best a multiple of the output stride plus one."""

    max_pixels: Annotated[int, Field(ge=1, le=MAX_PIXELS)] = MAX_PIXELS
    """Pictures of more pixels are refused, in training as by the served model, before they are
    decoded: a server needs up to nine bytes for each."""

    max_bytes: Annotated[int, Field(ge=1, le=MAX_BYTES)] = MAX_BYTES
    """The same for the bytes of a file."""


class ReportOptions(Options):
    """The pictures page."""

    SECTION: ClassVar[str] = "report"

    pictures: _FromOne = 12
    """How many records of the validation split are shown."""


class PipelineConfig(Options):
    """Everything that decides what a run computes."""

    data: DataOptions
    model: ModelOptions
    training: TrainingOptions
    evaluation: EvaluationOptions
    initial_weights: InitialWeightsOptions = InitialWeightsOptions()
    gate: GateOptions = GateOptions()
    serving: ServingOptions = ServingOptions()
    push: PushOptions = PushOptions()
    report: ReportOptions = ReportOptions()
    tuner: TunerOptions = TunerOptions()
    tflite: TFLiteOptions = TFLiteOptions()

    # A folder of the serving directory, and what Kubeflow takes for a pipeline's name.
    name: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9][a-z0-9-]{0,63}$",
            description="a name of lower-case letters, digits and dashes",
        ),
    ] = "deeplab"
    """Name of the pipeline and of the served model."""

    @pydantic.model_validator(mode="after")
    def _weights_to_judge(self):
        weights, steps = self.initial_weights, self.training.steps
        if steps == 0 and weights.source is None:
            raise ValueError(
                fault(
                    "training",
                    "steps",
                    "at least 1 without initial_weights.source",
                    steps,
                    "train, or give weights that are to be judged as they are",
                )
            )
        if steps == 0 and weights.scope != "all":
            raise ValueError(
                fault(
                    "initial_weights",
                    "scope",
                    "all with training.steps=0, where nothing trains the rest",
                    weights.scope,
                    "give a whole network with --checkpoint, or train",
                )
            )
        return self

    def trainer_config(self, dataset: schemas.Dataset) -> TrainerConfig:
        """What the Trainer gets."""
        return TrainerConfig(
            dataset=dataset,
            canvas_size=self.data.canvas_size,
            model=self.model,
            training=self.training,
        )

    def trial_config(self, dataset: schemas.Dataset) -> TrainerConfig:
        """What a trial of the search gets: the same in fewer steps, see `pipeline.following`."""
        values = self.model_dump()
        values["training"]["steps"] = self.tuner.steps_per_trial
        follow(values, self.model_dump(), {"training.steps"})
        training = TrainingOptions(**values["training"])
        return self.trainer_config(dataset).replace(training=training)

    @property
    def pipeline_name(self) -> str:
        """In ML Metadata: the steps of one name and data set share their cache."""
        return f"{self.name}-{re.sub('[^a-z0-9]+', '-', self.data.dataset.lower())}"


def override(config: PipelineConfig, assignments: list[str]) -> PipelineConfig:
    """Changes single values, as `--set training.steps=100` does.

    The recipe's own values follow: those that were not given and contradict what was given are
    adapted, see `pipeline.following`.

    Args:
        config: where to start from.
        assignments: `path=value`, the value as JSON; what is no JSON is taken as a string, and so
            is a number where the recipe has a string.

    Raises:
        ConfigError: a line for each path that is unknown and each value that does not fit.
    """
    values = config.model_dump()
    faults, given = [], set()
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            faults.append(
                f"expected --set path=value; got {assignment!r}; "
                "to fix, write for example --set training.steps=100"
            )
            continue
        *parents, leaf = path.split(".")
        section = values
        for parent in parents:
            section = section.get(parent) if isinstance(section, dict) else None
        if not isinstance(section, dict) or leaf not in section or _is_section(values, path):
            faults.append(
                f"expected a value of the configuration; got {path!r}; to fix, "
                + _hint(path, values)
            )
            continue
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        # A name may consist of digits.
        is_text = isinstance(section[leaf], str) and type(value) in (int, float)
        section[leaf] = text if is_text else value
        given.add(path)
    follow(values, config.model_dump(), given)
    try:
        changed = PipelineConfig(**values)
    except ValueError as error:
        faults += str(error).split("\n")
    if faults:
        raise ConfigError("\n".join(faults))
    return changed


def _is_section(values: dict[str, Any], path: str) -> bool:
    """Whether a path is one of options; `tuner.space` is a value, though it is an object."""
    return isinstance(values.get(path), dict)


def _hint(path: str, values: dict[str, Any]) -> str:
    if path in _RENAMED:
        return _RENAMED[path]
    close = difflib.get_close_matches(path, _paths(values), n=3, cutoff=0.5)
    return f"use {' or '.join(close)}" if close else "see --dry-run for all values"


def _paths(values: dict[str, Any]) -> list[str]:
    paths = []
    for key, value in values.items():
        is_section = isinstance(value, dict)
        paths += [f"{key}.{name}" for name in value] if is_section else [key]
    return paths
