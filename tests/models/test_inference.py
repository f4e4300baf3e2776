"""The folded network answers as the trained one does."""

import keras
import numpy as np
import pytest

from models import DeepLabV3Plus
from models.inference import fold
from models.variants import BACKBONES

pytestmark = pytest.mark.slow

SMALL = {"aspp_depth": 8, "decoder_depth": 8}


def trained(**options) -> DeepLabV3Plus:
    """A network whose normalization does something everywhere, as after training."""
    model = DeepLabV3Plus(num_classes=5, **SMALL | options)
    random = np.random.default_rng(0)
    for layer in model.layers:
        if layer in model.batch_norm_layers:
            layer.set_weights([random.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
        elif layer.weights and len(layer.weights) > 1:  # A bias, which is zero before training.
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel, random.normal(size=bias.shape)])
    return model


def images(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (2, height, width, 3)).astype("float32")


def scores(model: DeepLabV3Plus) -> keras.Model:
    return keras.Model(model.input, model.logits_layer.output)


def largest_difference(network, other, inputs) -> float:
    """Of two networks' answers, as a share of the largest value."""
    one, two = (np.asarray(each(inputs, training=False)) for each in (network, other))
    assert one.shape == two.shape and one.dtype == two.dtype == np.float32
    return np.abs(one - two).max() / np.abs(one).max()


@pytest.mark.parametrize(
    "options",
    [
        {"backbone": "mobilenet_v2", "width_multiplier": 0.35},
        {"backbone": "mobilenet_v2", "width_multiplier": 0.35, "head_batch_norm": False},
        {"backbone": "mobilenet_v2", "width_multiplier": 0.35, "aspp": False, "decoder": False},
        {"backbone": "mobilenet_v2", "width_multiplier": 0.35, "output_stride": 8},
        {"backbone": "resnet_v1_50_beta", "separable": False, "multi_grid": (1, 2, 4)},
        {"backbone": "xception_41"},
        {"backbone": "xception_41", "bounded_activation": True},
    ],
    ids=str,
)
def test_scores_are_those_of_the_trained_network(options):
    model = trained(**options)
    assert largest_difference(scores(model), fold(model), images(33, 48)) < 2e-5


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_is_folded(backbone):
    model = trained(backbone=backbone, dtype="float64")
    assert largest_difference(scores(model), fold(model), images(65, 41)) < 1e-6


def test_neither_normalization_nor_random_numbers_are_left():
    model = trained(backbone="mobilenet_v2", width_multiplier=0.35)
    folded = fold(model)
    assert not any(
        isinstance(layer, keras.layers.BatchNormalization | keras.layers.Dropout)
        for layer in folded.layers
    )
    assert {variable.name for variable in folded.variables} == {"kernel", "bias"}
    assert folded.count_params() < model.count_params()


def test_the_trained_network_stays_as_it_was_and_lends_nothing():
    model = trained(backbone="mobilenet_v2", width_multiplier=0.35)
    before = [np.array(variable) for variable in model.variables]
    folded = fold(model)
    for variable in folded.variables:
        variable.assign(np.zeros(variable.shape))
    assert all(np.array_equal(*pair) for pair in zip(before, model.variables, strict=True))


def test_a_network_that_was_compiled_is_folded():
    model = trained(backbone="mobilenet_v2", width_multiplier=0.35)
    model.compile("sgd", loss=lambda truth, found: found)
    assert largest_difference(scores(model), fold(model), images(33, 33)) < 2e-5


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_dtype_policies_stay(dtype):
    model = trained(backbone="mobilenet_v2", width_multiplier=0.35, dtype=dtype)
    folded = fold(model)
    for layer in folded.layers:
        if layer.weights:
            assert layer.dtype_policy == model.get_layer(layer.name).dtype_policy
    noise = {"mixed_bfloat16": 0.1, "mixed_float16": 0.02, "float64": 1e-5}[dtype]
    assert largest_difference(scores(model), folded, images(33, 33)) < noise
