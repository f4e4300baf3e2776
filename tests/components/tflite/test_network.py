"""What a phone computes is what the network computes, whatever network it is."""

import json
import math

import keras
import numpy as np
import pytest

import schemas
from components.private_names import tflite_operators
from components.tflite.contract import contract, file_name
from components.tflite.interpreter import Interpreter
from components.tflite.making import operators
from components.tflite.network import convert, phone_network
from components.transform.preprocessing import normalise
from models.backbones import Features
from models.inference import fold
from models.variants import BACKBONES
from tests.models.test_inference import SMALL, trained

pytestmark = pytest.mark.slow

MOBILENET = {"backbone": "mobilenet_v2", "width_multiplier": 0.35}
VARIANTS = [
    MOBILENET | {"output_stride": 8, "atrous_rates": (2, 4)},
    MOBILENET | {"output_stride": 16, "separable": False, "width_multiplier": 0.5},
    MOBILENET | {"output_stride": 32, "bounded_activation": True, "atrous_rates": (1,)},
    MOBILENET | {"decoder": False, "atrous_rates": ()},
    MOBILENET | {"aspp": False, "decoder": False, "head_batch_norm": False},
    MOBILENET | {"image_pooling": False, "align_corners": False},
    MOBILENET | {"output_stride": 8, "align_corners": False, "decoder": False},
]
"""Every option of the network, and its dilated convolutions of both kinds."""


def network(side: int, **options):
    return trained(input_shape=(side, side, 3), **options)


def pictures(side: int, count: int = 2) -> list[np.ndarray]:
    """Smooth ones, as pictures are, with some black and some white in them."""
    random = np.random.default_rng(4)
    noise = random.uniform(-60, 315, (count, 5, 5, 3)).astype("float32")
    large = np.asarray(keras.ops.image.resize(noise, (side, side), "bicubic"))
    return [each[None] for each in large.clip(0, 255)]


def expected(model, pixels: np.ndarray) -> np.ndarray:
    return np.asarray(fold(model)(normalise(pixels), training=False))


def found(content: bytes, pixels: np.ndarray) -> np.ndarray:
    return Interpreter(content, 1).scores(pixels)
