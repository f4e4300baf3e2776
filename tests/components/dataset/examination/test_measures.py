"""What is measured of a record, and sums of it."""

import json

import numpy as np
import pytest

from components.dataset.examination import measures
from components.dataset.examination.measures import NOTHING, from_json, measure


def image(height, width, value=0):
    return np.full((height, width, 3), value, np.uint8)


def label(height, width, value=0):
    return np.full((height, width), value, np.uint8)


def same(first, second):
    return json.dumps(first.to_json()) == json.dumps(second.to_json())


def test_a_record_is_measured():
    label_HW = label(64, 32)
    label_HW[:8], label_HW[0] = 2, 255
    measured = measure(image(64, 32, 200), label_HW)
    assert measured.records == 1
    assert {int(i): int(measured.pixels_256[i]) for i in np.flatnonzero(measured.pixels_256)} == {
        0: 56 * 32,
        2: 7 * 32,
        255: 32,
    }
    assert np.flatnonzero(measured.sizes).tolist() == [8]  # 64 is 16 doubled twice.
    assert np.flatnonzero(measured.brightness).tolist() == [25]
    assert measured.sizes.sum() == measured.brightness.sum() == 1


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(1, 1, 0), (16, 3, 0), (3, 32, 4), (500, 375, 20), (513, 1, 20), (1, 9000, 31)],
)
def test_the_longer_side_counts_four_bins_for_each_doubling(height, width, expected):
    sizes = measure(image(height, width), label(height, width)).sizes
    assert len(sizes) == measures.SIZE_BINS and np.flatnonzero(sizes).tolist() == [expected]


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (7, 0), (8, 1), (255, 31)])
def test_brightness_bins_hold_eight_values_each(value, expected):
    brightness = measure(image(2, 2, value), label(2, 2)).brightness
    assert len(brightness) == measures.BRIGHTNESS_BINS
    assert np.flatnonzero(brightness).tolist() == [expected]


def test_measures_add_up_and_adding_leaves_the_parts_alone():
    first = measure(image(16, 16, 9), label(16, 16, 1))
    second = measure(image(64, 16, 99), label(64, 16, 2))
    before = json.dumps(first.to_json())
    total = sum([first, second, first], NOTHING)
    assert total.records == 3
    assert total.pixels_256[[1, 2]].tolist() == [2 * 256, 1024]
    assert total.sizes[[0, 8]].tolist() == [2, 1]
    assert total.brightness[[1, 12]].tolist() == [2, 1]
    assert json.dumps(first.to_json()) == before
    assert NOTHING.records == 0 and not NOTHING.pixels_256.any()
    assert same(first + NOTHING, first)


def test_measures_go_through_json():
    measured = measure(image(50, 40, 100), label(50, 40, 3))
    again = from_json(json.loads(json.dumps(measured.to_json())))
    assert same(again, measured) and again.pixels_256.dtype == np.int64


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (15, 17), (16, 16), (3, 257), (513, 300)])
@pytest.mark.parametrize("kind", ["one", "areas", "noise", "largest"])
def test_fast_sums_are_those_of_plain_counting(size, kind):
    random = np.random.default_rng(0)
    few = random.integers(0, 256, (-(-size[0] // 50), -(-size[1] // 50)), np.uint8)
    label_HW = {
        "one": np.full(size, 7, np.uint8),
        "areas": np.kron(few, np.ones((50, 50), np.uint8))[: size[0], : size[1]],
        "noise": random.integers(0, 256, size, np.uint8),
        "largest": np.full(size, 255, np.uint8),
    }[kind]
    image_HW3 = np.stack([label_HW, label_HW[::-1], label_HW], axis=2)
    for pixels, labels in (
        (image_HW3, label_HW),
        (image_HW3.transpose(1, 0, 2), label_HW.T),  # As a turned picture's may lie in memory.
    ):
        measured = measure(pixels, labels)
        counted = np.bincount(labels.reshape(-1), minlength=256)
        np.testing.assert_array_equal(measured.pixels_256, counted)
        assert measured.pixels_256.dtype == np.int64
        assert np.flatnonzero(measured.brightness).tolist() == [int(pixels.mean() / 8)]
        plain = pixels.reshape(-1, 3).astype(np.int64)
        assert measured.channels.tolist() == [*plain.sum(0), *(plain**2).sum(0)]


def test_a_report_of_before_the_channels_were_measured_is_read():
    measured = measure(image(5, 4, 3), label(5, 4))
    old = {key: value for key, value in measured.to_json().items() if key != "channels"}
    assert from_json(old).channels.tolist() == [0] * 6
    assert from_json(old).pixels_256.tolist() == measured.pixels_256.tolist()
