"""What a split of records looks like in numbers, and how far two of them are apart."""

import dataclasses
import math
from typing import Any

import numpy as np
from scipy.special import rel_entr

SIZE_BINS = 32
"""Bins of the longer side, four for each doubling from 16 pixels on."""
BRIGHTNESS_BINS = 32
"""Bins of a picture's mean grey value, from 0 to 255."""


@dataclasses.dataclass(frozen=True, slots=True)
class Measures:
    """Sums over the records of a split."""

    records: int
    pixels_256: np.ndarray
    """How many pixels each label from 0 to 255 has."""
    sizes: np.ndarray
    """How many pictures have a longer side in each of `SIZE_BINS`."""
    brightness: np.ndarray
    """How many pictures have a mean grey value in each of `BRIGHTNESS_BINS`."""

    def __add__(self, other: "Measures") -> "Measures":
        return Measures(
            self.records + other.records,
            self.pixels_256 + other.pixels_256,
            self.sizes + other.sizes,
            self.brightness + other.brightness,
        )

    def to_json(self) -> dict[str, Any]:
        """Lists in place of arrays."""
        return {
            "records": self.records,
            "pixels": self.pixels_256.tolist(),
            "sizes": self.sizes.tolist(),
            "brightness": self.brightness.tolist(),
        }


NOTHING = Measures(
    0,
    np.zeros(256, np.int64),
    np.zeros(SIZE_BINS, np.int64),
    np.zeros(BRIGHTNESS_BINS, np.int64),
)


def measure(image_HW3: np.ndarray, label_HW: np.ndarray) -> Measures:
    """One record's part of the sums.

    Args:
        image_HW3: uint8.
        label_HW: uint8 class ids.
    """
    longer = max(image_HW3.shape[:2])
    size_bin = min(max(round(4 * math.log2(longer / 16)), 0), SIZE_BINS - 1)
    brightness_bin = int(image_HW3.mean() / 256 * BRIGHTNESS_BINS)
    return Measures(
        1,
        np.bincount(label_HW.ravel(), minlength=256),
        np.bincount([size_bin], minlength=SIZE_BINS),
        np.bincount([brightness_bin], minlength=BRIGHTNESS_BINS),
    )


def from_json(values: dict[str, Any]) -> Measures:
    """What `Measures.to_json` gave."""
    return Measures(
        values["records"],
        *(np.array(values[key], np.int64) for key in ("pixels", "sizes", "brightness")),
    )


def distances(
    new: Measures, old: Measures, num_classes: int, ignore_label: int
) -> dict[str, float]:
    """How far apart two splits are in `class`, `size` and `brightness`.

    The Jensen-Shannon divergence of the histograms, in bits: 0 for equal ones, 1 for such that
    share nothing. `class` compares the pixels of the classes, without what is ignored.
    """
    counted = [label for label in range(num_classes) if label != ignore_label]
    return {
        "class": divergence(new.pixels_256[counted], old.pixels_256[counted]),
        "size": divergence(new.sizes, old.sizes),
        "brightness": divergence(new.brightness, old.brightness),
    }


def divergence(first: np.ndarray, second: np.ndarray) -> float:
    """Jensen-Shannon divergence of two histograms, in [0, 1]; 1 where just one is empty."""
    if not first.sum() or not second.sum():
        return float(bool(first.sum()) != bool(second.sum()))
    p, q = first / first.sum(), second / second.sum()
    middle = (p + q) / 2
    bits = (rel_entr(p, middle) + rel_entr(q, middle)).sum() / 2 / math.log(2)
    # Not SciPy's `jensenshannon`: rounding makes a root of a little less than nothing of its sum.
    return float(np.clip(bits, 0, 1))
