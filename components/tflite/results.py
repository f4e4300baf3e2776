"""What the files for phones are worth beside the exported model, and whether they may be pushed."""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Self

from components.storage import paths
from components.tflite.options import INT8, TFLiteOptions

FILE = "report.json"
"""In the artifact, beside the files themselves; not pushed: times differ from run to run."""

PUSHED = "assets.extra/tflite"
"""Folder of the other files in a pushed version."""


def pushed_files(folder: str) -> dict[str, bytes]:
    """What is pushed of an artifact, by the path in the version."""
    names = [name for name in paths.list_folder(folder) if name != FILE]
    return {f"{PUSHED}/{name}": paths.read_bytes(paths.join(folder, name)) for name in names}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class KindResult:
    """One file."""

    kind: str
    problem: str = ""
    """Why the converter or the interpreter refused the network; empty where there is a file."""
    size_bytes: int = 0
    seconds: float = math.nan
    """Median of one call of the network, without decoding and without enlarging the scores."""
    agreement: float = math.nan
    """Share of all pixels whose class is that of the exported model."""
    mean_iou: float = math.nan
    operators: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """How many there are of each operator with each type of result, as `CONV_2D int8`."""

    @property
    def in_float(self) -> dict[str, int]:
        """The operators that give floats."""
        return {name: n for name, n in self.operators.items() if " float" in name}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TFLiteReport:
    """All files, the model that they were measured beside, and the verdict."""

    pictures: int
    """Records of the validation split that were judged."""
    threads: int
    """Of the interpreter."""
    mean_iou: float
    """Of the exported model on the same records."""
    kinds: tuple[KindResult, ...]
    reasons: tuple[str, ...]
    """Why the files must not be pushed, a sentence for each; empty where they may."""

    @property
    def blessed(self) -> bool:
        """Whether every file that was asked for is there and good enough."""
        return not self.reasons

    def write(self, folder: str) -> None:
        """Writes it into the folder of an artifact."""
        text = json.dumps(dataclasses.asdict(self), indent=2)
        paths.write_text(paths.join(folder, FILE), text)

    @classmethod
    def read(cls, folder: str) -> Self:
        """What `write` wrote."""
        values = json.loads(paths.read_text(paths.join(folder, FILE)))
        kinds = tuple(KindResult(**kind) for kind in values["kinds"])
        return cls(**values | {"kinds": kinds, "reasons": tuple(values["reasons"])})


def reasons(
    kinds: tuple[KindResult, ...], mean_iou: float, options: TFLiteOptions
) -> tuple[str, ...]:
    """One sentence for each file that is not there or has lost too much.

    Args:
        kinds: as measured.
        mean_iou: of the exported model, on the same records.
        options: with the thresholds.
    """
    return tuple(reason for each in kinds if (reason := _reason(each, mean_iou, options)))


def _reason(result: KindResult, mean_iou: float, options: TFLiteOptions) -> str:
    kind = result.kind
    if result.problem:
        return (
            f"expected a TensorFlow Lite file of the kind {kind}; got: {result.problem}; to fix, "
            f"leave {kind} out of tflite.kinds, or change the network"
        )
    lost = 100 * (mean_iou - result.mean_iou)
    allowed = options.points(kind)
    # Written so that no number is refused, too.
    if lost <= allowed:
        return ""
    better = (
        "give tflite.calibration_pictures more, train with model.bounded_activation=true, "
        if kind == INT8
        else ""
    )
    return (
        f"expected the {kind} file within {allowed:g} points of the exported model's mean IoU, "
        f"{mean_iou:.4f}; got {result.mean_iou:.4f}, {lost:.2f} points below; to fix, {better}"
        f"leave {kind} out of tflite.kinds, or allow more by tflite.max_points_lost"
    )
