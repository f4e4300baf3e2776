"""How far apart the measures of two splits are, and whether that is too far."""

import math
from collections.abc import Mapping

import numpy as np
from scipy.special import rel_entr

from components.dataset.examination.measures import Measures

LIMITS = {"class": 0.1, "size": 0.2, "brightness": 0.2}
"""Farther apart is worth a warning, unless a run says otherwise under `gate`."""


def exceeded(
    what: str,
    new: Measures,
    old: Measures,
    num_classes: int,
    ignore_label: int,
    limits: Mapping[str, float],
) -> list[str]:
    """One line for each distance of two splits that exceeds its limit.

    Args:
        what: is compared, for people.
        new: of one.
        old: of the other.
        num_classes: labels from 0 to this one are classes.
        ignore_label: of pixels that do not count.
        limits: by the names of `distances`.
    """
    return [
        f"{what}: {name} distance {distance:.3f}, at most {limits[name]:g}"
        for name, distance in distances(new, old, num_classes, ignore_label).items()
        if distance > limits[name]
    ]


def skew(
    splits: Mapping[str, Measures],
    num_classes: int,
    ignore_label: int,
    limits: Mapping[str, float] = LIMITS,
) -> list[str]:
    """What differs between "train" and "val", see `exceeded`; nothing where one is empty."""
    if not all(split in splits and splits[split].records for split in ("train", "val")):
        return []
    what = "skew of the training against the validation split"
    return exceeded(what, splits["train"], splits["val"], num_classes, ignore_label, limits)


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
