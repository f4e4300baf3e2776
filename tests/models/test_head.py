"""ASPP, decoder, logits and the resize that they share."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.complexity import layer_shapes
from models.layers import ResizeBilinear


def _images(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (*shape, 3)).astype("float32")


def _convolutions(model):
    return [layer.name for layer in model.head_layers if not layer.name.endswith("BatchNorm")]


def _align_corners(image_HWC, height, width):
    """Bilinear interpolation of one image, pixel by pixel."""
    result = np.zeros((height, width, image_HWC.shape[-1]))
    for i in range(height):
        for j in range(width):
            y = i * (image_HWC.shape[0] - 1) / max(height - 1, 1)
            x = j * (image_HWC.shape[1] - 1) / max(width - 1, 1)
            top, left = int(y), int(x)
            bottom = min(top + 1, image_HWC.shape[0] - 1)
            right = min(left + 1, image_HWC.shape[1] - 1)
            upper = (1 - x + left) * image_HWC[top, left] + (x - left) * image_HWC[top, right]
            lower = (1 - x + left) * image_HWC[bottom, left] + (x - left) * image_HWC[bottom, right]
            result[i, j] = (1 - y + top) * upper + (y - top) * lower
    return result


@pytest.mark.parametrize(
    "old, new",
    [((3, 5), (9, 17)), ((4, 4), (7, 10)), ((9, 8), (3, 5)), ((1, 1), (4, 3)), ((5, 4), (1, 1))],
)
def test_resize_aligns_corners(old, new):
    images = _images(2, *old)
    like = np.zeros((2, *new, 1), "float32")
    resized = ResizeBilinear()([images, like])
    for image, result in zip(images, resized, strict=True):
        np.testing.assert_allclose(result, _align_corners(image, *new), atol=1e-5)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_resize_is_that_of_tensorflow_1(align_corners, seed):
    random = np.random.default_rng(seed)
    old, new = random.integers(1, 40, 2), random.integers(1, 40, 2)
    images = _images(2, *old, seed=seed)
    resized = ResizeBilinear(align_corners)([images, np.zeros((2, *new, 1), "float32")])
    expected = tf.compat.v1.image.resize_bilinear(
        images, new, align_corners=align_corners, half_pixel_centers=False
    )
    np.testing.assert_allclose(resized, expected, atol=1e-5)


def test_all_three_resizes_of_a_network_have_its_corners(tiny):
    images = _images(1, 65, 49)
    for align_corners in (True, False):
        model = tiny(align_corners=align_corners)
        resizes = [layer for layer in model.layers if isinstance(layer, ResizeBilinear)]
        assert len(resizes) == 3
        for layer in resizes:
            inputs = keras.Model(model.input, layer.input)(images)
            expected = tf.compat.v1.image.resize_bilinear(
                inputs[0], inputs[1].shape[1:3], align_corners=align_corners
            )
            found = keras.Model(model.input, layer.output)(images)
            np.testing.assert_allclose(found, expected, atol=1e-5)


def test_resize_takes_sizes_that_are_known_only_when_it_runs():
    layer = ResizeBilinear()
    spec = tf.TensorSpec([None, None, None, 3])
    resize = tf.function(lambda x, like: layer([x, like]), input_signature=[spec, spec])
    for old, new in [((3, 5), (9, 17)), ((6, 2), (5, 8))]:
        images = _images(2, *old)
        expected = layer([images, np.zeros((1, *new, 3), "float32")])
        np.testing.assert_allclose(resize(images, np.zeros((1, *new, 3))), expected, atol=1e-6)


def test_resize_keeps_positions_exact_in_bfloat16():
    # Row 256 of 513 is the first that bfloat16 has no neighbour for.
    rows = tf.reshape(tf.range(0.0, 2.0), (1, 2, 1, 1))
    layer = ResizeBilinear(dtype="bfloat16")
    resized = layer([rows, tf.zeros((1, 513, 1, 1))])
    expected = np.linspace(0, 1, 513)
    np.testing.assert_allclose(tf.cast(resized, "float32")[0, :, 0, 0], expected, atol=2**-8)


def test_published_head_has_the_official_scopes(tiny):
    assert set(_convolutions(tiny(atrous_rates=(6, 12, 18)))) == {
        "image_pooling",
        "aspp0",
        "aspp1_depthwise",
        "aspp1_pointwise",
        "aspp2_depthwise",
        "aspp2_pointwise",
        "aspp3_depthwise",
        "aspp3_pointwise",
        "concat_projection",
        "decoder.feature_projection0",
        "decoder.decoder_conv0_depthwise",
        "decoder.decoder_conv0_pointwise",
        "decoder.decoder_conv1_depthwise",
        "decoder.decoder_conv1_pointwise",
        "logits.semantic",
    }


@pytest.mark.parametrize(
    "options, convolutions",
    [
        (
            {"atrous_rates": (), "decoder": False},
            {"image_pooling", "aspp0", "concat_projection", "logits.semantic"},
        ),
        (
            {"atrous_rates": (), "decoder": False, "image_pooling": False},
            {"aspp0", "concat_projection", "logits.semantic"},
        ),
        ({"aspp": False, "decoder": False}, {"logits.semantic"}),
        (
            {"aspp": False, "separable": False},
            {
                "decoder.feature_projection0",
                "decoder.decoder_conv0.decoder_conv0_1",
                "decoder.decoder_conv0.decoder_conv0_2",
                "logits.semantic",
            },
        ),
        (
            {"atrous_rates": (6, 12), "decoder": False, "separable": False},
            {
                "image_pooling",
                "aspp0",
                "aspp1",
                "aspp2",
                "concat_projection",
                "logits.semantic",
            },
        ),
    ],
)
def test_options_leave_parts_out(tiny, options, convolutions):
    model = tiny(**options)
    assert set(_convolutions(model)) == convolutions
    assert model(_images(1, 33, 20)).shape == (1, 33, 20, 5)


def test_channels(tiny):
    model = tiny(num_classes=7, aspp_depth=24, decoder_depth=40)
    shapes = layer_shapes(model, 65, 65)
    for branch in ("image_pooling.resize", "aspp0", "aspp1_pointwise", "concat_projection"):
        assert shapes[branch][-1] == 24
    assert shapes["decoder.feature_projection0"][-1] == 48
    assert shapes["decoder.concat"][-1] == 24 + 48
    assert shapes["decoder.decoder_conv1_pointwise"][-1] == 40
    assert shapes["logits.semantic"][-1] == 7


def test_branches_are_in_the_official_order(tiny):
    model = tiny(atrous_rates=(6, 12, 18))

    def inputs(name):
        producers = {id(layer.output): layer.name for layer in model.layers}
        return [
            producers[id(tensor)].removesuffix(".activation")
            for tensor in model.get_layer(name).input
        ]

    assert inputs("concat_projection.concat") == [
        "image_pooling.resize",
        "aspp0",
        "aspp1_pointwise",
        "aspp2_pointwise",
        "aspp3_pointwise",
    ]
    assert inputs("decoder.concat") == ["decoder.resize", "decoder.feature_projection0"]


def test_batch_normalization_is_the_heads_own(tiny):
    norms = [layer for layer in tiny().head_layers if layer.name.endswith("BatchNorm")]
    assert len(norms) == 10
    assert {(layer.epsilon, layer.momentum) for layer in norms} == {(1e-5, 0.9997)}


def test_without_batch_normalization_the_head_has_biases(tiny):
    model = tiny(head_batch_norm=False)
    assert not any(layer.name.endswith("BatchNorm") for layer in model.head_layers)
    assert all(layer.use_bias for layer in model.head_layers)
    with_norm = [layer for layer in tiny().head_layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.name for layer in with_norm if layer.use_bias] == ["logits.semantic"]


def test_initial_weights_have_the_official_spread(tiny):
    model = tiny(aspp_depth=256, decoder_depth=256, num_classes=21)
    # A normal distribution cut off at two standard deviations has 0.88 of the spread.
    for name, stddev in [
        ("aspp1_depthwise", 0.33),
        ("aspp1_pointwise", 0.06),
        ("decoder.decoder_conv1_depthwise", 0.33),
        ("decoder.decoder_conv1_pointwise", 0.06),
        ("logits.semantic", 0.01),
    ]:
        kernel = model.get_layer(name).kernel.numpy()
        assert np.abs(kernel).max() <= 2 * stddev * 1.001
        assert kernel.std() == pytest.approx(0.8796 * stddev, rel=0.1), name
    assert not model.logits_layer.bias.numpy().any()


def test_bounded_activation_bounds_every_branch(tiny):
    bounded, unbounded = tiny(bounded_activation=True), tiny()
    for model, activation in [(bounded, "relu6"), (unbounded, "relu")]:
        assert {
            keras.activations.serialize(layer.activation)
            for layer in model.layers
            if isinstance(layer, keras.layers.Activation)
        } == {activation}


def test_dropout_is_for_training_only(tiny):
    model = tiny(dropout=0.5, atrous_rates=(), decoder=False)
    for layer in model.batch_norm_layers:
        layer.trainable = False
    images = _images(1, 33, 33)
    np.testing.assert_array_equal(model(images), model(images))
    assert np.any(np.asarray(model(images, training=True)) != np.asarray(model(images)))


def test_image_pooling_sees_the_whole_image(tiny):
    model = tiny(atrous_rates=(), decoder=False)
    pooled = keras.Model(model.input, model.get_layer("image_pooling.resize").output)
    images = _images(1, 65, 65)
    feature = pooled(images).numpy()
    assert feature.shape == (1, 5, 5, 16)
    np.testing.assert_array_equal(feature, np.broadcast_to(feature[:, :1, :1], feature.shape))
    images[:, -1, -1] += 1
    assert np.any(pooled(images).numpy() != feature)
