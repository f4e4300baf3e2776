"""The whole configuration of a run, typed, frozen and checked when it is made.

Each step's options live beside the step; here they are put together. What differs between
environments is data, `Environment`, never a second graph.
"""

import dataclasses
import difflib
import json
import re
from typing import Any, Literal

import pydantic

import schemas
from components.data_gate.options import GateOptions
from components.errors import ConfigError
from components.evaluator.options import EvaluationOptions
from components.trainer.options import TrainingOptions
from pipeline.doctor import MIN_FREE_DISK_GB

# A folder of the serving directory, and what Kubeflow takes for a pipeline's name.
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def _require_positive(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(
            f"expected {name} to be a whole number of at least 1; got {value}; to fix, give that"
        )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DataOptions:
    """Which data set, and which of its records."""

    dataset: str
    """A folder under `schemas/`."""

    train_pattern: str = "train-*"
    """File pattern of the training split's TFRecords."""

    val_pattern: str = "val-*"
    """File pattern of the validation split's TFRecords."""

    train_limit: int = 0
    """At most so many training pictures are converted or rendered; 0: all there are."""

    val_limit: int = 0
    """The same for the validation split."""

    span_window: int = 0
    """Where the records lie in spans, the newest so many are learned from; 0: all of them."""

    canvas_size: int = 513
    """Side of the square canvas in pixels; larger pictures are shrunk to fit."""

    def __post_init__(self):
        if self.dataset not in schemas.available():
            raise ValueError(
                f"expected data.dataset to be one of {', '.join(schemas.available())}; "
                f"got {self.dataset!r}; to fix, choose one or add a folder under schemas/"
            )
        if self.canvas_size < 33:
            raise ValueError(
                f"expected data.canvas_size of at least 33 pixels; got {self.canvas_size}; "
                "to fix, choose a multiple of the output stride plus one"
            )
        if min(self.train_limit, self.val_limit) < 0:
            raise ValueError(
                "expected data.train_limit and data.val_limit of 0 or more; got "
                f"{self.train_limit} and {self.val_limit}; to fix, give 0 for all pictures"
            )
        if self.span_window < 0:
            raise ValueError(
                f"expected data.span_window of 0 or more; got {self.span_window}; to fix, give 0 "
                "for all spans"
            )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ModelOptions:
    """Arguments of `models.DeepLabV3Plus`, which checks them; the data set gives the classes."""

    backbone: str = "mobilenet_v2"
    """A variant of the backbone registry."""

    width_multiplier: float = 1.0
    """Factor on MobileNetV2's channels."""

    output_stride: Literal[8, 16, 32] = 16
    """Input pixels for one pixel of the deepest features."""

    atrous_rates: tuple[int, ...] | None = None
    """Rates of the ASPP branches; None: the right ones for the stride; (): no such branches."""

    aspp: bool = True
    """Whether there is a head between backbone and decoder at all."""

    image_pooling: bool = True
    """Whether the head sees the average over the whole picture."""

    aspp_depth: int = 256
    """Channels of each ASPP branch and of their sum."""

    decoder: bool = True
    """DeepLab v3+ (True) or v3 (False)."""

    decoder_depth: int = 256
    """Channels of the decoder."""

    separable: bool = True
    """Depthwise separable 3x3 convolutions in head and decoder, or plain ones."""

    multi_grid: tuple[int, int, int] | None = None
    """Factors on the rates of the last block; the official ResNets need [1, 2, 4]."""

    bounded_activation: bool = False
    """ReLU6 in place of ReLU, for quantized inference."""

    head_batch_norm: bool = True
    """Batch normalization in head and decoder, or biases."""

    dropout: float = 0.1
    """Share of the head's channels dropped in training."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ServingOptions:
    """The serving check."""

    requests: int = 8
    """Records of the validation split sent in one batch."""

    timeout_seconds: int = 300
    """For loading the model and answering together."""

    def __post_init__(self):
        _require_positive("serving.requests", self.requests)
        _require_positive("serving.timeout_seconds", self.timeout_seconds)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ReportOptions:
    """The pictures page."""

    pictures: int = 12
    """How many records of the validation split are shown."""

    def __post_init__(self):
        _require_positive("report.pictures", self.pictures)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PipelineConfig:
    """Everything that decides what a run computes."""

    data: DataOptions
    model: ModelOptions
    training: TrainingOptions
    evaluation: EvaluationOptions
    gate: GateOptions = dataclasses.field(default_factory=GateOptions)
    serving: ServingOptions = ServingOptions()
    report: ReportOptions = ReportOptions()

    name: str = "deeplab"
    """Name of the pipeline and of the served model."""

    min_free_disk_gb: float = MIN_FREE_DISK_GB
    """A run does not start with less free space than this below its output folder."""

    beam_pipeline_args: tuple[str, ...] = (
        # The same engine as the DirectRunner of every Beam version, without the attempt of newer
        # ones to fetch another engine from the network.
        "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",
    )
    """For every step that runs on Beam. A change invalidates the cache of every step."""

    def __post_init__(self):
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                "expected a name of lower-case letters, digits and dashes; got "
                f"{self.name!r}; to fix, change it with --set name=…"
            )

    @property
    def pipeline_name(self) -> str:
        """In ML Metadata: models of one name and data set are measured against each other."""
        return f"{self.name}-{re.sub('[^a-z0-9]+', '-', self.data.dataset.lower())}"

    def to_json(self) -> str:
        """The configuration as indented JSON; `from_dict(json.loads(…))` gives it back."""
        return json.dumps(dataclasses.asdict(self), indent=2)


def from_dict(values: dict[str, Any]) -> PipelineConfig:
    """Builds and checks a configuration from nested dictionaries.

    Raises:
        ConfigError: naming the first field that is unknown, of the wrong type or out of range.
    """
    try:
        return pydantic.TypeAdapter(PipelineConfig).validate_python(values)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "value_error":
            raise ConfigError(message) from error
        raise ConfigError(
            f"expected {field} to be valid; got {first['input']!r} ({message}); "
            f"to fix, see the docstring of the field in pipeline/config.py"
        ) from error


def override(config: PipelineConfig, assignments: list[str]) -> PipelineConfig:
    """Changes single values, as `--set training.steps=100` does.

    Args:
        config: where to start from.
        assignments: `path=value`, the value as JSON; what is no JSON is taken as a string.

    Raises:
        ConfigError: no such path, or the value does not fit.
    """
    values = dataclasses.asdict(config)
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(
                f"expected --set path=value; got {assignment!r}; "
                "to fix, write for example --set training.steps=100"
            )
        *parents, leaf = path.split(".")
        section = values
        for parent in parents:
            section = section.get(parent) if isinstance(section, dict) else None
        if not isinstance(section, dict) or leaf not in section or isinstance(section[leaf], dict):
            known = _paths(values)
            close = difflib.get_close_matches(path, known, n=3, cutoff=0.5)
            hint = f"use {' or '.join(close)}" if close else "see --dry-run for all values"
            raise ConfigError(
                f"expected a value of the configuration; got {path!r}; to fix, {hint}"
            )
        try:
            section[leaf] = json.loads(text)
        except json.JSONDecodeError:
            section[leaf] = text
    return from_dict(values)


def _paths(values: dict[str, Any], prefix: str = "") -> list[str]:
    paths = []
    for key, value in values.items():
        paths += _paths(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]
    return paths
