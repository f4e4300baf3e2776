"""Every operation eagerly and inside tf.data, on pictures that say where each pixel came from."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from components.trainer import augmentation
from components.trainer.options import TrainingOptions

IGNORE = 65_535


def located(height, width):
    """A picture whose red and green are a pixel's row and column, and labels that are both."""
    row, column = np.mgrid[:height, :width]
    image = np.stack([row, column, 0 * row], axis=-1) / 256
    return image.astype(np.float32), (row * 256 + column).astype(np.int32)


def misalignment(image, label):
    """Largest distance, in input pixels, between where image and label say they came from."""
    inside = label != IGNORE
    places = np.stack([label // 256, label % 256], axis=-1)
    return np.abs(256 * image[..., :2] - places)[inside].max()


def eagerly(function, image, label, seed):
    return tuple(output.numpy() for output in function(image, label, tf.constant(seed)))


def in_tf_data(function, image, label, seed):
    """As in training: in a graph that does not know the size of the picture."""
    kinds = (
        tf.TensorSpec([None, None, 3], tf.float32),
        tf.TensorSpec([None, None], label.dtype),
        tf.TensorSpec([2], tf.int64),
    )
    dataset = tf.data.Dataset.from_generator(lambda: iter([(image, label, seed)]), kinds and None) if False else (
        tf.data.Dataset.from_generator(lambda: iter([(image, label, seed)]), output_signature=kinds)
    )
    return next(iter(dataset.map(function).as_numpy_iterator()))


both_modes = pytest.mark.parametrize("run", [eagerly, in_tf_data])
