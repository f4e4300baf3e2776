"""What training is told of its data is what plain counting finds."""

import numpy as np
import pytest

from components.dataset.examination.measures import NOTHING, measure
from components.transform.statistics import (
    read_statistics,
    training_statistics,
    write_statistics,
)


def pictures(seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of odd sizes, some of one value only, with labels of any number."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(random.integers(1, 6)):
        size = tuple(random.integers(1, random.choice([3, 40, 400]), 2))
        low, high = sorted(random.integers(0, 256, 2))
        image_HW3 = random.integers(low, high + 1, (*size, 3), np.uint8)
        found.append((image_HW3, random.integers(0, 256, size, np.uint8)))
    return found


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("ignore_label", [255, 2])
def test_they_are_what_plain_counting_finds(seed, ignore_label):
    shown = pictures(seed)
    total = sum((measure(*pair) for pair in shown), NOTHING)
    found = training_statistics(total, num_classes=21, ignore_label=ignore_label)
    labels = np.concatenate([label.reshape(-1) for _, label in shown])
    values = np.concatenate([image.reshape(-1, 3) for image, _ in shown]).astype(np.int64)
    expected = [0 if i == ignore_label else int((labels == i).sum()) for i in range(21)]
    assert found["num_pictures"] == len(shown)
    assert found["class_pixels"] == expected
    assert found["ignored_pixels"] == labels.size - sum(expected)
    assert total.channels.tolist() == [*values.sum(0), *(values**2).sum(0)]
    np.testing.assert_allclose(found["channel_mean"], values.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found["channel_variance"], values.var(0), rtol=1e-9, atol=1e-9)


def test_sums_beyond_32_bits_are_exact():
    white = measure(np.full((2000, 4000, 3), 255, np.uint8), np.zeros((2000, 4000), np.uint8))
    total = white + white
    assert total.channels.tolist() == [255 * 16_000_000] * 3 + [255**2 * 16_000_000] * 3
    found = training_statistics(total, num_classes=2, ignore_label=255)
    assert found["channel_mean"] == [255.0] * 3 and found["channel_variance"] == [0.0] * 3


def test_they_go_through_a_folder(tmp_path):
    image_HW3, label_HW = pictures(0)[0]
    found = training_statistics(measure(image_HW3, label_HW), num_classes=3, ignore_label=255)
    write_statistics(str(tmp_path), found)
    assert read_statistics(str(tmp_path)) == found
