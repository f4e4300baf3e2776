"""Strides, rates, padding and normalization of the backbones, against the official code."""

from dataclasses import replace
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import DeepLabV3Plus
from models.backbones.xception import xception
from models.complexity import layer_shapes
from models.layers import ConvStyle, atrous_schedule, conv2d, depthwise_conv2d
from models.variants import BACKBONES

XCEPTION_65_STRIDES = [2, 2, 2] + [1] * 16 + [2, 1]


def _rate(model, name):
    layer = model.get_layer(name)
    assert layer.dilation_rate[0] == layer.dilation_rate[1]
    return layer.dilation_rate[0]


def _stride(model, name):
    return model.get_layer(name).strides[0]


@pytest.mark.parametrize(
    "output_stride, exit_flow, middle_flow",
    [(32, [(2, 1), (1, 1)], (1, 1)), (16, [(1, 1), (1, 2)], (1, 1)), (8, [(1, 2), (1, 4)], (1, 2))],
)
def test_stride_turns_into_rate(output_stride, exit_flow, middle_flow):
    schedule = atrous_schedule(XCEPTION_65_STRIDES, output_stride, current_stride=2)
    assert schedule[3:19] == [middle_flow] * 16
    assert schedule[19:] == exit_flow
    assert schedule[:2] == [(2, 1), (2, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
def test_features_have_the_official_sizes_and_channels(network, backbone):
    model = network(backbone)
    high, low = (320, 144) if backbone == "mobilenet_v2" else (2048, 256)
    assert model.get_layer("aspp0").input.shape[-1] == high
    assert model.get_layer("decoder.feature_projection0").input.shape[-1] == low
    for height, width in [(513, 513), (500, 375), (65, 130), (1, 2)]:
        shapes = layer_shapes(model, height, width)
        assert shapes["aspp0"][1:3] == ((height - 1) // 16 + 1, (width - 1) // 16 + 1)
        assert shapes["decoder.feature_projection0"][1:3] == (
            (height - 1) // 4 + 1,
            (width - 1) // 4 + 1,
        )


@pytest.mark.parametrize("backbone", ["xception_41", "resnet_v1_50_beta"])
def test_network_runs_on_an_odd_image(network, backbone):
    logits = network(backbone)(np.zeros((1, 34, 21, 3), "float32"))
    assert logits.shape == (1, 34, 21, 21)
    assert np.all(np.isfinite(logits))


def test_xception_rates(network):
    middle = "xception_65.middle_flow.block1.unit_{}.xception_module.separable_conv{}_depthwise"
    exit_flow = "xception_65.exit_flow.block{}.unit_1.xception_module.separable_conv{}_depthwise"
    for model, middle_rate, exit_rates in [
        (network("xception_65"), 1, (1, 2)),
        (network("xception_65", output_stride=8), 2, (2, 4)),
    ]:
        for conv in (1, 2, 3):
            assert {_rate(model, middle.format(unit, conv)) for unit in (1, 16)} == {middle_rate}
            assert _rate(model, exit_flow.format(1, conv)) == exit_rates[0]
            assert _rate(model, exit_flow.format(2, conv)) == exit_rates[1]
        assert _stride(model, exit_flow.format(1, 3)) == 1


def test_xception_strides_in_the_third_convolution(network):
    entry = "xception_65.entry_flow.block{}.unit_1.xception_module.{}"
    model = network("xception_65")
    for block in (1, 2, 3):
        strides = [
            _stride(model, entry.format(block, f"separable_conv{conv}_depthwise"))
            for conv in (1, 2, 3)
        ]
        assert strides == [1, 1, 2]
        assert _stride(model, entry.format(block, "shortcut")) == 2


def test_xception_low_level_features_are_linear(network):
    for backbone, block in [("xception_41", 2), ("xception_65", 2), ("xception_71", 3)]:
        source = network(backbone).get_layer("decoder.feature_projection0").input
        assert (
            source
            is network(backbone)
            .get_layer(
                f"{backbone}.entry_flow.block{block}.unit_1.xception_module"
                ".separable_conv2_pointwise.BatchNorm"
            )
            .output
        )


def test_xception_activates_before_but_in_the_last_module_after(network):
    names = {layer.name for layer in network("xception_41").layers}
    first = "xception_41.entry_flow.block1.unit_1.xception_module.separable_conv1"
    last = "xception_41.exit_flow.block2.unit_1.xception_module.separable_conv1"
    assert f"{first}.activation" in names
    assert f"{first}_pointwise.activation" not in names
    assert f"{last}.activation" not in names
    assert {f"{last}_depthwise.activation", f"{last}_pointwise.activation"} <= names


def test_bounded_xception_keeps_all_features_within_six(monkeypatch):
    short = partial(xception, middle_modules=1, deep_entry_flow=False)
    monkeypatch.setitem(BACKBONES, "xception_41", replace(BACKBONES["xception_41"], build=short))
    model = DeepLabV3Plus(
        "xception_41", atrous_rates=(), aspp_depth=8, decoder=False, bounded_activation=True
    )
    features = keras.Model(model.input, model.get_layer("aspp0").input)
    assert np.max(features(np.full((1, 33, 33, 3), 1e4, "float32"))) <= 6
    assert not any(
        layer.name.endswith(".pad") for layer in model.layers if "xception_module" in layer.name
    )


def test_resnet_rates_and_strides():
    model = DeepLabV3Plus(
        "resnet_v1_50_beta", output_stride=8, multi_grid=(1, 2, 4), decoder=False, aspp_depth=8
    )
    unit = "resnet_v1_50.block{}.unit_{}.bottleneck_v1.conv2"
    strides = {
        (block, number): _stride(model, unit.format(block, number))
        for block, count in zip((1, 2, 3, 4), (3, 4, 6, 3), strict=True)
        for number in range(1, count + 1)
    }
    assert [key for key, stride in strides.items() if stride == 2] == [(1, 3)]
    assert [_rate(model, unit.format(2, number)) for number in (1, 4)] == [1, 1]
    assert [_rate(model, unit.format(3, number)) for number in (1, 6)] == [2, 2]
    assert [_rate(model, unit.format(4, number)) for number in (1, 2, 3)] == [4, 8, 16]


def test_resnet_strides_in_the_last_unit_of_three_blocks(network):
    model = network("resnet_v1_101_beta")
    unit = "resnet_v1_101.block{}.unit_{}.bottleneck_v1.{}"
    for block, last, stride in [(1, 3, 2), (2, 4, 2), (3, 23, 1)]:
        assert _stride(model, unit.format(block, 1, "conv2")) == 1
        assert _stride(model, unit.format(block, last, "conv2")) == stride
        assert _stride(model, unit.format(block, 1, "shortcut")) == 1
    low_level = model.get_layer("decoder.feature_projection0").input
    assert low_level is model.get_layer(unit.format(1, 2, "conv3.BatchNorm")).output


def test_mobilenet_rates_and_low_level_features(mobilenet):
    unit = "MobilenetV2.expanded_conv_{}.depthwise"
    for output_stride, first, middle, last in [(32, 1, 1, 1), (16, 1, 1, 2), (8, 1, 2, 4)]:
        model = mobilenet(output_stride=output_stride)
        assert _rate(model, unit.format(6)) == first
        assert _rate(model, unit.format(13)) == middle
        assert _rate(model, unit.format(14)) == last
    low_level = model.get_layer("decoder.feature_projection0").input
    assert low_level is model.get_layer(unit.format(2) + ".activation").output


def test_mobilenet_width_rounds_to_eight_at_width_one_only(network, mobilenet):
    for model, channels in [(mobilenet(), 6), (network("mobilenet_v2"), 24)]:
        assert model.get_layer("MobilenetV2.expanded_conv_1.project").filters == channels
        expanded = model.get_layer("MobilenetV2.expanded_conv_2.expand").filters
        assert expanded == {6: 40, 24: 144}[channels]


@pytest.mark.parametrize(
    "backbone, epsilon, momentum",
    [
        ("xception_41", 1e-3, 0.9997),
        ("resnet_v1_50_beta", 1e-5, 0.95),
        ("mobilenet_v2", 1e-3, 0.997),
    ],
)
def test_batch_normalization_is_the_official_one(network, backbone, epsilon, momentum):
    norms = [
        layer
        for layer in network(backbone).backbone_layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert {(layer.epsilon, layer.momentum) for layer in norms} == {(epsilon, momentum)}


@pytest.mark.parametrize("convolve", ["full", "depthwise"])
@pytest.mark.parametrize("size", [8, 9])
def test_fixed_padding_is_a_subsampled_convolution(convolve, size):
    style = ConvStyle(momentum=0.9, epsilon=1e-3, initializer="he_normal", batch_norm=False)
    images = keras.Input((None, None, 3))

    def build(**options):
        if convolve == "full":
            x = conv2d(images, 4, 3, "conv", style, activate=False, **options)
        else:
            x = depthwise_conv2d(images, "conv", style, activate=False, **options)
        return keras.Model(images, x)

    dense, fixed, same = build(), build(stride=2, fixed_padding=True), build(stride=2)
    fixed.set_weights(dense.get_weights())
    same.set_weights(dense.get_weights())
    x = tf.random.stateless_normal((1, size, size, 3), (0, 0))
    subsampled = dense(x)[:, ::2, ::2]
    np.testing.assert_allclose(fixed(x), subsampled, atol=1e-5)
    # 'SAME' differs for even sizes, which is why fixed padding exists.
    assert np.allclose(same(x), subsampled, atol=1e-5) == (size % 2 == 1)
