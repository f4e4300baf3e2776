"""What decays, by how much, and where our decoupled decay is Keras' own and where it is not."""

import keras
import numpy as np
import pytest

from components.trainer.optimization import (
    LAST_LAYER,
    SGD,
    build_optimizer,
    decayed_paths,
    gradient_multipliers,
)
from models import DeepLabV3Plus
from tests.components.trainer.small_net import (
    SmallNet,
    data,
    layers,
    mean_square,
    no_gradient,
    options,
    train,
    values,
)

DECOUPLED = {"weight_decay": 0.01, "weight_decay_mode": "decoupled"}


def test_weight_decay_reaches_all_kernels_but_depthwise_ones():
    assert set(decayed_paths(SmallNet())) == {
        "backbone.conv/kernel",
        "separable/pointwise_kernel",
        f"{LAST_LAYER}/kernel",
    }


def test_weight_decay_reaches_the_backbone_of_deeplab():
    # In the TF 1.3 system it stopped at the head.
    model = DeepLabV3Plus("mobilenet_v2", 2, width_multiplier=0.5, aspp_depth=8, decoder_depth=8)
    decayed = decayed_paths(model)
    kernels = [v.path for v in model.trainable_variables if v.path.endswith("/kernel")]
    spared = set(kernels) - set(decayed)
    assert set(decayed) <= set(kernels)
    assert {f"{layer.name}/kernel" for layer in model.backbone_layers} & set(decayed)
    assert spared == {path for path in kernels if "depthwise" in path}
    assert set(gradient_multipliers(model, last_layer=10.0)) == {
        f"{LAST_LAYER}/kernel",
        f"{LAST_LAYER}/bias",
    }


@pytest.mark.parametrize("mode", ["l2", "decoupled"])
def test_without_gradient_only_decayed_kernels_shrink(mode):
    model = SmallNet()
    before, decayed = values(model), set(decayed_paths(model))
    chosen = options(weight_decay=0.5, weight_decay_mode=mode, optimizer="sgd")
    after = train(model, chosen, no_gradient, steps=1)
    for variable in model.trainable_variables:
        path = variable.path
        kept = 1 - 0.1 * 0.5 if path in decayed else 1.0
        np.testing.assert_allclose(after[path], kept * before[path], rtol=1e-6)


def with_keras_own_decay(optimizer, model):
    """Trains with Keras' `weight_decay` in place of ours, on the same kernels."""
    decayed = decayed_paths(model)
    optimizer.exclude_from_weight_decay(
        [v for v in model.trainable_variables if v.path not in decayed]
    )
    model.compile(optimizer, mean_square, run_eagerly=True)
    model.fit(*data(), batch_size=2, epochs=3, verbose=0)
    return values(model)


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [
        ("adamw", keras.optimizers.AdamW(0.1, weight_decay=0.01)),
        ("momentum", keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.01)),
    ],
)
def test_decoupled_decay_is_that_of_keras_where_all_learning_rates_are_equal(name, optimizer):
    chosen = options(optimizer=name, bias_gradient_multiplier=1.0, **DECOUPLED)
    after = train(SmallNet(), chosen)
    for path, value in with_keras_own_decay(optimizer, SmallNet()).items():
        np.testing.assert_allclose(after[path], value, rtol=1e-5, atol=1e-6)


def test_a_backbone_that_does_not_learn_does_not_decay_either():
    before, kernel = values(SmallNet()), "backbone.conv/kernel"
    after = train(SmallNet(), options(backbone_learning_rate_multiplier=0.0, **DECOUPLED))
    np.testing.assert_array_equal(after[kernel], before[kernel])
    assert np.any(after["separable/pointwise_kernel"] != before["separable/pointwise_kernel"])


def test_keras_own_decay_would_shrink_a_backbone_that_does_not_learn():
    before, kernel = values(SmallNet()), "backbone.conv/kernel"
    still = dict.fromkeys([path for path in before if path.startswith("backbone.conv/")], 0.0)
    after = with_keras_own_decay(
        SGD(learning_rate=0.1, weight_decay=0.01, learning_rate_multipliers=still), SmallNet()
    )
    np.testing.assert_allclose(after[kernel], (1 - 0.1 * 0.01) ** 3 * before[kernel], rtol=1e-6)


def test_l2_of_adam_goes_through_its_moments():
    # One step of Adam moves every weight that has a gradient by the learning rate, L2 or not.
    model = SmallNet()
    before = values(model)
    after = train(model, options(optimizer="adam", weight_decay=0.5), no_gradient, steps=1)
    path = "backbone.conv/kernel"
    np.testing.assert_allclose(
        after[path], before[path] - 0.1 * np.sign(before[path]), rtol=0, atol=1e-3
    )


def test_loss_scaling_of_float16_does_not_scale_weight_decay():
    inputs = keras.Input((4, 4, 3))
    outputs = layers.Conv2D(2, 1, name=LAST_LAYER, dtype="mixed_float16")(inputs)
    model = keras.Model(inputs, outputs)
    optimizer = keras.optimizers.LossScaleOptimizer(
        build_optimizer(options(optimizer="sgd", weight_decay=0.5), model)
    )
    before = model.layers[-1].kernel.numpy()
    model.compile(optimizer, no_gradient, run_eagerly=True)
    model.fit(*data(), verbose=0)
    np.testing.assert_allclose(model.layers[-1].kernel.numpy(), 0.95 * before, rtol=1e-5)
