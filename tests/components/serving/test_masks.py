"""Masks found in strips are those of the highest enlarged scores, at any size."""

import numpy as np
import pytest
import tensorflow as tf

from components.serving import masks
from models.layers import ResizeBilinear


def seen(scores, canvas, size, align_corners=True) -> masks.Seen:
    return masks.Seen(
        tf.constant(scores, tf.float32), canvas, tf.constant(size), ResizeBilinear(align_corners)
    )


def enlarged(scores, canvas, align_corners=True) -> np.ndarray:
    """The scores of all pixels of the canvas, by the network's own layer."""
    resize = ResizeBilinear(align_corners)
    return resize([scores[None], np.zeros([1, canvas, canvas, 1])]).numpy()[0]


def assert_highest(found: np.ndarray, every: np.ndarray) -> None:
    assert found.dtype == np.uint8 and found.shape == every.shape[:2]
    of_found = np.take_along_axis(every, found[..., None].astype(int), axis=-1)[..., 0]
    # Two classes within a rounding of each other may change places.
    np.testing.assert_allclose(of_found, every.max(axis=-1), atol=1e-5)
    assert np.mean(found == every.argmax(axis=-1)) > 0.999


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize(
    ("small", "canvas", "size", "classes"),
    [
        (33, 513, (513, 513), 21),
        (33, 513, (375, 500), 150),
        (5, 65, (64, 65), 2),
        (3, 40, (7, 33), 256),
        (1, 1, (1, 1), 3),
        (41, 41, (40, 41), 4),  # Nothing to enlarge.
        (4, 130, (130, 1), 1),
    ],
)
def test_a_picture_that_was_not_shrunk_has_the_classes_of_the_canvas(
    small, canvas, size, classes, align_corners
):
    scores = np.random.default_rng(0).normal(size=(small, small, classes)).astype(np.float32)
    found = tf.function(masks.class_ids)(
        seen(scores, canvas, size, align_corners), tf.constant(size)
    )
    height, width = size
    assert_highest(found.numpy(), enlarged(scores, canvas, align_corners)[:height, :width])


@pytest.mark.parametrize("own", [(90, 130), (1000, 1444), (33, 17), (3, 200_000), (200_000, 1)])
@pytest.mark.parametrize("classes", [3, 40])
def test_a_picture_of_another_size_has_its_scores_enlarged(own, classes):
    """As TensorFlow enlarges: middles of pixels are their places, as they were in shrinking."""
    canvas, size = 65, (45, 65) if own[1] > own[0] else (65, 33)
    scores = np.random.default_rng(0).normal(size=(9, 9, classes)).astype(np.float32)
    whole = enlarged(scores, canvas)[: size[0], : size[1]]
    found = masks.class_ids(seen(scores, canvas, size), tf.constant(own)).numpy()
    assert_highest(found, tf.image.resize(whole, own).numpy())


@pytest.mark.parametrize("own", [(375, 500), (1000, 1333)])
def test_where_neighbours_agree_nothing_is_lost(own):
    """Scores as a network's: large regions of one class, which are not enlarged, and borders."""
    random = np.random.default_rng(0)
    scores = tf.image.resize(5 * random.normal(size=(4, 4, 21)), (33, 33), "bicubic").numpy()
    found = masks.class_ids(seen(scores, 513, (385, 513)), tf.constant(own)).numpy()
    every = tf.image.resize(enlarged(scores, 513)[:385, :513], own).numpy()
    assert len(np.unique(found)) > 5
    assert np.mean(found == every.argmax(axis=-1)) > 0.9999


def test_of_equal_scores_it_is_the_first():
    scores = np.zeros((2, 2, 5), np.float32)
    scores[..., [2, 4]] = 1.0
    found = masks.class_ids(seen(scores, 70, (70, 9)), tf.constant([140, 18]))
    assert np.all(found == 2)


def test_borders_are_smooth():
    """Two classes meet in a slope: enlarged classes would make stairs as large as the factor."""
    column = np.linspace(-1, 1, 17, dtype=np.float32)
    difference = column[None, :] + 0.5 * column[:, None]
    scores = np.stack([difference, -difference], -1)
    found = masks.class_ids(seen(scores, 65, (65, 65)), tf.constant([650, 650])).numpy()
    border = found.argmax(axis=1).astype(int)
    steps = np.abs(np.diff(border[50:600]))
    assert steps.max() <= 1


def test_the_classes_that_are_there():
    ids = tf.constant([[3, 0], [3, 6]], tf.uint8)
    assert masks.present(ids, 7).numpy().tolist() == [0, 3, 6, -1, -1, -1, -1]
    assert masks.present(tf.zeros([2, 0], tf.uint8), 2).numpy().tolist() == [-1, -1]


@pytest.mark.parametrize("size", [(40, 50), (700, 900)])
def test_the_mean_confidence_is_that_of_the_chosen_classes(size):
    scores = 3 * np.random.default_rng(0).normal(size=(9, 9, 5)).astype(np.float32)
    found = masks.mean_confidence(seen(scores, 65, (52, 65)), tf.constant(size)).numpy()
    whole = tf.image.resize(enlarged(scores, 65)[:52], size)
    assert found == pytest.approx(tf.reduce_max(tf.nn.softmax(whole), -1).numpy().mean(), abs=0.005)


def test_the_confidence_is_half_between_two_equal_classes():
    found = masks.mean_confidence(seen(np.zeros((3, 3, 2)), 9, (9, 9)), tf.constant([4, 5]))
    assert found.numpy() == pytest.approx(0.5)


@pytest.mark.parametrize("size", [(3, 4), (1200, 1000)])
def test_confusion_is_counted_pixel_by_pixel(size):
    random = np.random.default_rng(0)
    label = random.choice([0, 1, 2, 3, 9, 255], size).astype(np.uint8)
    ids = random.integers(0, 4, size).astype(np.uint8)
    matrix, outside = masks.confusion(tf.constant(label), tf.constant(ids), 4, 255)
    expected = np.zeros((4, 4), np.int64)
    np.add.at(expected, (label[label < 4], ids[label < 4]), 1)
    np.testing.assert_array_equal(matrix.numpy().reshape(4, 4), expected)
    assert outside == np.sum(label == 9)
