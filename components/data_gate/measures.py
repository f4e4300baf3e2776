"""How far apart the measures of two splits are."""

import math

import numpy as np
from scipy.special import rel_entr

from components.dataset.examination.measures import Measures


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
