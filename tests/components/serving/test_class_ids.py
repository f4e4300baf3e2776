"""Classes found in strips are those of the highest enlarged scores."""

import numpy as np
import pytest
import tensorflow as tf

from components.serving.class_ids import class_ids
from models.layers import ResizeBilinear


def enlarged(scores, size, resize) -> np.ndarray:
    return resize([scores, tf.zeros([scores.shape[0], *size, 1])]).numpy()


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize(
    ("batch", "small", "size", "classes"),
    [
        (1, (33, 33), (513, 513), 21),
        (2, (5, 9), (64, 64), 2),  # One whole strip.
        (3, (5, 9), (65, 33), 7),  # And one row of the next.
        (1, (3, 2), (7, 200), 256),
        (2, (1, 1), (1, 1), 3),
        (2, (40, 41), (40, 41), 4),  # Nothing to enlarge.
        (1, (4, 4), (130, 130), 1),
    ],
)
def test_it_is_the_class_of_the_highest_score(batch, small, size, classes, align_corners):
    random = np.random.default_rng(0)
    scores = tf.constant(random.normal(size=(batch, *small, classes)), tf.float32)
    resize = ResizeBilinear(align_corners)
    found = tf.function(class_ids)(scores, tf.constant(size), resize)
    assert found.dtype == tf.int32 and found.shape == (batch, *size)
    every = enlarged(scores, size, resize)
    of_found = np.take_along_axis(every, found.numpy()[..., None], axis=-1)[..., 0]
    # Two classes within a rounding of each other may change places.
    np.testing.assert_allclose(of_found, every.max(axis=-1), atol=1e-5)
    assert np.mean(found == every.argmax(axis=-1)) > 0.9999


def test_of_equal_scores_it_is_the_first():
    scores = np.zeros((1, 2, 2, 5), "float32")
    scores[..., [2, 4]] = 1.0
    found = class_ids(tf.constant(scores), tf.constant([70, 9]), ResizeBilinear())
    assert np.all(found == 2)


def test_no_picture_has_no_classes():
    found = class_ids(tf.zeros([0, 3, 3, 4]), tf.constant([70, 9]), ResizeBilinear())
    assert found.shape == (0, 70, 9)
