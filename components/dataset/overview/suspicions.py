"""What is worth a look in one record: all that is wrong with it, and what may be right."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from components import texts
from components.dataset.examination import findings
from components.dataset.examination.examine import Examined
from components.dataset.examination.measures import count_labels
from schemas import Dataset

NEARLY_EMPTY_SHARE = 0.005
"""Less than this share of the labelled pixels outside the background is nearly nothing."""
MOSTLY_IGNORED_SHARE = 0.95
"""From this share of ignored pixels on, little is left to learn from."""
FEW_PIXELS = 16
"""A class with fewer pixels in a mask may be a slip of the brush, or an edge that was smoothed."""
EXTREME_ASPECT = 3.0
"""A long side more than so many times the short one leaves most of a square crop to padding."""
SMALL_SIDE = 64
"""A picture with a shorter side, in pixels, is small for a network that sees a 16th of it."""
BACKGROUND_NAMES = ("background", "_background_", "__background__", "bg", "none", "other")
"""Class 0 is the background if it has one of these names; other data sets have none."""

NEARLY_EMPTY = "nearly empty"
MOSTLY_IGNORED = "almost all ignored"
FEW_PIXELS_OF_A_CLASS = "class of few pixels"
EXTREME_SHAPE = "extreme shape"
SMALL = "very small"

GRAVE = {
    findings.UNREADABLE: "the file is no TFRecord or is cut off; what follows in it was not read",
    findings.MISSING_FEATURE: "the record lacks its picture or its mask",
    findings.CORRUPT_PICTURE: "the picture cannot be decoded",
    findings.CORRUPT_MASK: "the mask cannot be decoded",
    findings.UNSUITABLE_MASK: "the mask is no grey PNG of class ids; training would see other ids",
    findings.OTHER_SIZE: "picture and mask differ in size",
    findings.OUT_OF_RANGE: "the mask holds labels that no class has",
    findings.ALL_IGNORED: "every pixel has the ignore label",
    findings.IN_TWO_SPLITS: "the picture, or its name, is in another split too",
    findings.DUPLICATE: "the picture, or its name, is there several times",
}
"""What a run stops at, or would learn wrong from, gravest first, and what each means."""

DOUBTFUL = {
    MOSTLY_IGNORED: f"at least {texts.percent(MOSTLY_IGNORED_SHARE)} of the pixels are ignored",
    NEARLY_EMPTY: f"less than {texts.percent(NEARLY_EMPTY_SHARE, 1)} of the labelled pixels are "
    "not background",
    findings.ONE_CLASS: "one class fills the whole mask",
    FEW_PIXELS_OF_A_CLASS: f"a class has fewer than {FEW_PIXELS} pixels: a damaged mask, or one "
    "that was resized or smoothed",
    EXTREME_SHAPE: f"one side is more than {EXTREME_ASPECT:g} times the other",
    SMALL: f"the short side is below {SMALL_SIDE} pixels",
}
"""What may be right, and is worth a look."""


@dataclasses.dataclass(frozen=True, slots=True)
class Suspicion:
    """Why a record is worth a look."""

    reason: str
    """One of `GRAVE` or `DOUBTFUL`."""
    detail: str
    rank: float = 0.0
    """Among records of the same reason, the worst has the lowest."""


def background_id(dataset: Dataset) -> int | None:
    """The class that stands for "nothing of interest"; None where the data set has none."""
    named = dataset.class_names[0].strip().lower() in BACKGROUND_NAMES
    return 0 if named and dataset.ignore_label != 0 else None


def suspicions(examined: Examined, dataset: Dataset) -> list[Suspicion]:
    """Why a record is worth a look, what a run stops at first.

    Args:
        examined: the record.
        dataset: its classes and ignore label.
    """
    found = [Suspicion(*problem) for problem in examined.problems]
    if examined.size:
        found += _suspicions_of_size(examined.size)
    if examined.label_HW is not None:
        found += _suspicions_of_label(examined.label_HW, dataset)
    return found


def _suspicions_of_size(size: tuple[int, int]) -> Iterator[Suspicion]:
    short, long = sorted(size)
    if long > EXTREME_ASPECT * short:
        yield Suspicion(
            EXTREME_SHAPE, f"{texts.size(*size)} pixels, {long / short:.1f} : 1", -long / short
        )
    if short < SMALL_SIDE:
        yield Suspicion(SMALL, f"{texts.size(*size)} pixels", short)


def _suspicions_of_label(label_HW: np.ndarray, dataset: Dataset) -> Iterator[Suspicion]:
    pixels_256 = count_labels(label_HW)
    ignored = pixels_256[dataset.ignore_label] / pixels_256.sum()
    if MOSTLY_IGNORED_SHARE <= ignored < 1:
        yield Suspicion(MOSTLY_IGNORED, f"{texts.percent(ignored, 1)} of the pixels", -ignored)

    pixels_C = pixels_256[: dataset.num_classes].copy()
    if dataset.ignore_label < dataset.num_classes:
        pixels_C[dataset.ignore_label] = 0
    present = np.flatnonzero(pixels_C)
    background = background_id(dataset)
    if len(present) and background is not None:
        share = 1 - pixels_C[background] / pixels_C.sum()
        if share == 0:
            yield Suspicion(NEARLY_EMPTY, "only background", 0)
        elif share < NEARLY_EMPTY_SHARE:
            yield Suspicion(NEARLY_EMPTY, f"{texts.percent(share, 2)} are not background", share)
    if len(present) == 1 and present[0] != background:
        yield Suspicion(findings.ONE_CLASS, f"only {dataset.class_names[present[0]]}")
    few = [i for i in present if pixels_C[i] < FEW_PIXELS]
    if few:
        yield Suspicion(
            FEW_PIXELS_OF_A_CLASS,
            ", ".join(_few_pixels(label_HW, int(i), dataset) for i in few),
            int(min(pixels_C[few])),
        )


def _few_pixels(label_HW: np.ndarray, label: int, dataset: Dataset) -> str:
    places_N2 = np.argwhere(label_HW == label)
    pixels = texts.counted(len(places_N2), "pixel")
    y, x = places_N2[0]
    return f"{dataset.class_names[label]} has {pixels}, at x {x}, y {y}"
