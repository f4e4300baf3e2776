"""How far two measures are apart, and whether that is too far."""

import numpy as np
import pytest
from scipy.spatial import distance

from components.dataset.examination.distances import (
    LIMITS,
    distances,
    divergence,
    exceeded,
    skew,
)
from components.dataset.examination.measures import NOTHING, measure


def image(height, width, value=0):
    return np.full((height, width, 3), value, np.uint8)


def label(height, width, value=0):
    return np.full((height, width), value, np.uint8)


def test_divergence_is_that_of_scipy():
    random = np.random.default_rng(0)
    for _ in range(50):
        first, second = random.integers(0, 1000, (2, 21)) * random.integers(0, 2, (2, 21))
        first[0] += 1
        second[-1] += 1
        expected = distance.jensenshannon(first, second, base=2) ** 2
        assert divergence(first, second) == pytest.approx(expected, abs=1e-12)


def test_divergence_is_0_for_the_same_1_for_nothing_in_common_and_knows_no_order():
    first, second, third = np.array([3, 5, 0]), np.array([0, 0, 7]), np.array([1, 0, 1])
    assert divergence(first, first * 10) == 0
    assert divergence(first, second) == 1
    assert 0 < divergence(first, third) == divergence(third, first) < 1


def test_divergence_of_what_is_empty():
    some, none = np.array([1, 2]), np.zeros(2, np.int64)
    assert (divergence(none, none), divergence(some, none), divergence(none, some)) == (0, 1, 1)


def test_distances_name_what_differs():
    old = measure(image(64, 64, 100), label(64, 64, 1))
    assert distances(old, old, 3, 255) == {"class": 0, "size": 0, "brightness": 0}
    other_class = measure(image(64, 64, 100), label(64, 64, 2))
    assert distances(other_class, old, 3, 255) == {"class": 1, "size": 0, "brightness": 0}
    larger = measure(image(64, 512, 100), label(64, 512, 1))
    assert distances(larger, old, 3, 255) == {"class": 0, "size": 1, "brightness": 0}
    darker = measure(image(64, 64, 10), label(64, 64, 1))
    assert distances(darker, old, 3, 255) == {"class": 0, "size": 0, "brightness": 1}


@pytest.mark.parametrize("ignored", [0, 255])
def test_what_is_ignored_does_not_count_as_a_class(ignored):
    label_HW = label(64, 64, 1)
    old = measure(image(64, 64), label_HW)
    label_HW[:32] = ignored
    new = measure(image(64, 64), label_HW)
    assert distances(new, old, 3, ignore_label=ignored)["class"] == 0


def test_class_0_counts_where_it_is_not_ignored():
    label_HW = label(64, 64, 1)
    old = measure(image(64, 64), label_HW)
    label_HW[:32] = 0
    new = measure(image(64, 64), label_HW)
    expected = distance.jensenshannon([1, 1], [0, 1], base=2) ** 2
    assert distances(new, old, 3, ignore_label=255)["class"] == pytest.approx(expected)


def test_what_is_too_far_apart_is_said_in_one_line_each():
    old = measure(image(64, 64, 100), label(64, 64, 1))
    new = measure(image(64, 512, 100), label(64, 512, 2))
    assert exceeded("this", new, old, 3, 255, LIMITS) == [
        "this: class distance 1.000, at most 0.1",
        "this: size distance 1.000, at most 0.2",
    ]
    assert exceeded("this", new, old, 3, 255, dict.fromkeys(LIMITS, 1.0)) == []


def test_skew_needs_two_splits_with_records():
    old = measure(image(64, 64, 100), label(64, 64, 1))
    new = measure(image(64, 64, 100), label(64, 64, 2))
    assert skew({"train": new, "val": old, "more": NOTHING}, 3, 255) == [
        "skew of the training against the validation split: class distance 1.000, at most 0.1"
    ]
    for splits in ({"train": new}, {"train": new, "val": NOTHING}, {"a": new, "val": old}):
        assert skew(splits, 3, 255) == []
