"""What a phone computes is what the network computes, whatever network it is."""

import keras
import numpy as np
import pytest

from components.private_names import tflite_operators
from components.tflite.interpreter import Interpreter
from components.tflite.making import operators
from components.tflite.network import convert, phone_network
from components.transform.preprocessing import normalise
from models.inference import fold
from tests.models.test_inference import trained

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
    """One whose classes differ from place to place, as after training."""
    model = trained(input_shape=(side, side, 3), **options)
    layer, random = model.logits_layer, np.random.default_rng(2)
    kernel = random.normal(size=layer.kernel.shape)
    layer.set_weights([kernel, np.zeros(layer.bias.shape)])
    (scores,) = expected(model, pictures(side, 1)[0])
    spread = scores.std((0, 1)) + 1e-9
    layer.set_weights([kernel / spread, -scores.mean((0, 1)) / spread])
    return model


def pictures(side: int, count: int = 2) -> list[np.ndarray]:
    """Smooth ones, as pictures are, with some black and some white in them."""
    noise = np.random.default_rng(4).uniform(-60, 315, (count, 5, 5, 3)).astype("float32")
    large = np.asarray(keras.ops.image.resize(noise, (side, side), "bicubic"))
    return [each[None] for each in large.clip(0, 255)]


def expected(model, pixels: np.ndarray) -> np.ndarray:
    return np.asarray(fold(model)(normalise(pixels), training=False))


@pytest.mark.parametrize(
    ("side", "options"),
    [*zip((65, 50, 49, 64, 33, 40, 65), VARIANTS, strict=True)]
    + [(33, {"backbone": name}) for name in ("xception_41", "resnet_v1_50_beta")],
    ids=str,
)
def test_a_float32_file_answers_as_the_network_does(side, options):
    model = network(side, **options)
    content = convert(phone_network(model), "float32", lambda: [])
    pixels = pictures(side)[1]
    one, two = expected(model, pixels), Interpreter(content, 1).scores(pixels)
    assert one.shape == two.shape and two.dtype == np.float32
    assert np.abs(one - two).max() < 1e-4 * np.abs(one).max()
    classes = one.argmax(-1)
    # One class everywhere would prove little.
    assert len(np.unique(classes)) >= 3
    assert (classes == two.argmax(-1)).mean() >= 0.9999
    kinds = {name for name, _ in tflite_operators(content)}
    # Neither cut into small pictures, nor enlarged by products, nor computed by TensorFlow.
    assert not kinds & {"SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND", "BATCH_MATMUL", "GATHER"}
    assert not any(name.startswith("Flex") for name in kinds)


@pytest.mark.parametrize("options", [VARIANTS[0], VARIANTS[5]], ids=str)
def test_an_int8_file_computes_in_integers_and_takes_pixels_as_they_are(options):
    model = trained(input_shape=(49, 49, 3), **options)
    dark = [each / 9 for each in pictures(49, 3)]
    content = convert(phone_network(model), "int8", lambda: dark)
    assert all(name.endswith(" int8") for name in operators(content))
    file = Interpreter(content, 1)
    assert file.input["dtype"] is np.uint8 and file.output["dtype"] is np.int8
    # The whole range, though no picture has it.
    assert file.input["quantization"] == (pytest.approx(1.0, abs=1e-6), 0)
    one, two = expected(model, dark[0]), file.scores(dark[0])
    assert one.shape == two.shape and two.dtype == np.float32
    assert np.abs(one - two).max() < 0.05 * np.abs(one).max()


def test_a_float16_file_is_half_as_large_and_nearly_the_same():
    model = trained(input_shape=(33, 33, 3), **VARIANTS[3])
    phones, pixels = phone_network(model), pictures(33)[0]
    whole, half = (convert(phones, kind, lambda: []) for kind in ("float32", "float16"))
    assert len(half) < 0.6 * len(whole)
    one, two = expected(model, pixels), Interpreter(half, 1).scores(pixels)
    assert np.abs(one - two).max() < 5e-3 * np.abs(one).max()


def test_the_network_that_was_trained_stays_as_it_was():
    model = trained(input_shape=(33, 33, 3), **VARIANTS[3])
    phones = phone_network(model)
    before = [np.array(each) for each in model.get_weights()]
    phones.set_weights([np.zeros_like(each) for each in phones.get_weights()])
    assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))
