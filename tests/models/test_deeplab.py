"""Properties of the whole network: sizes, options, training, saving, export."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import DeepLabV3Plus
from models.complexity import layer_shapes


def _images(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (*shape, 3)).astype("float32")


def _strided(size: int, stride: int) -> int:
    """The official size formula: corners stay aligned."""
    return (size - 1) // stride + 1


@pytest.mark.parametrize(
    "height, width", [(65, 65), (64, 64), (129, 97), (50, 37), (33, 1), (321, 321), (500, 375)]
)
def test_logits_have_the_size_of_the_image(mobilenet, height, width):
    model = mobilenet()
    logits = model(_images(1, height, width))
    assert logits.shape == (1, height, width, 21)
    assert logits.dtype == tf.float32


@pytest.mark.parametrize("output_stride", [8, 16, 32])
@pytest.mark.parametrize("height, width", [(513, 513), (500, 375), (65, 129), (322, 1)])
def test_features_have_the_official_sizes(mobilenet, output_stride, height, width):
    model = mobilenet(output_stride=output_stride)
    shapes = layer_shapes(model, height, width)
    assert shapes["aspp3_pointwise"][1:3] == (
        _strided(height, output_stride),
        _strided(width, output_stride),
    )
    assert shapes["decoder.concat"][1:3] == (_strided(height, 4), _strided(width, 4))
    assert shapes["logits.semantic.resize"] == (1, height, width, 21)


def test_sizes_that_are_computed_are_those_that_come_out(tiny):
    model = tiny(output_stride=8)
    names = ["pool1", "block2.unit_1.bottleneck_v1.conv2", "block4.unit_1.bottleneck_v1.conv3"]
    layers = [model.get_layer(f"resnet_v1_50.{name}") for name in names]
    outputs = keras.Model(model.input, [layer.output for layer in layers])(_images(2, 46, 31))
    shapes = layer_shapes(model, 46, 31)
    assert [tuple(x.shape[1:]) for x in outputs] == [shapes[layer.name][1:] for layer in layers]


def test_static_and_dynamic_sizes_compute_the_same(tiny):
    dynamic, static = tiny(), tiny(input_shape=(33, 46, 3))
    static.set_weights(dynamic.get_weights())
    images = _images(2, 33, 46)
    assert static.output_shape == (None, 33, 46, 5)
    np.testing.assert_allclose(dynamic(images), static(images), atol=1e-6)


def test_batch_is_polymorphic_and_images_do_not_mix(tiny):
    model, images = tiny(), _images(3, 33, 33)
    together = model.predict(images, batch_size=3, verbose=0)
    np.testing.assert_allclose(together[1:2], model(images[1:2]), atol=1e-5)


def test_atrous_rates_follow_the_output_stride(mobilenet):
    for output_stride, rates in {8: (12, 24, 36), 16: (6, 12, 18), 32: (3, 6, 9)}.items():
        model = mobilenet(output_stride=output_stride)
        assert model.atrous_rates == rates
        dilation = [model.get_layer(f"aspp{i}_depthwise").dilation_rate for i in (1, 2, 3)]
        assert dilation == [(rate, rate) for rate in rates]


def test_config_builds_the_same_network(tiny):
    options = {
        "num_classes": 3,
        "output_stride": 8,
        "width_multiplier": 1.0,
        "atrous_rates": [2, 4],
        "aspp": True,
        "aspp_depth": 8,
        "image_pooling": False,
        "decoder": True,
        "decoder_depth": 12,
        "separable": False,
        "multi_grid": [1, 2, 4],
        "bounded_activation": True,
        "head_batch_norm": False,
        "dropout": 0.3,
        "align_corners": False,
        "input_shape": [65, None, 3],
        "dtype": "mixed_bfloat16",
        "name": "some_name",
    }
    model = tiny(**options)
    config = json.loads(json.dumps(model.get_config()))
    assert config == {"backbone": "tiny", **options}
    again = DeepLabV3Plus.from_config(config)
    assert again.get_config() == model.get_config()
    assert [w.path for w in again.weights] == [w.path for w in model.weights]


def test_keras_file_gives_the_network_back(tiny, tmp_path):
    model, images = tiny(atrous_rates=()), _images(1, 33, 20)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is DeepLabV3Plus
    assert loaded.get_config() == model.get_config()
    np.testing.assert_array_equal(loaded(images), model(images))


@pytest.mark.slow
def test_saved_model_takes_any_size(tiny, tmp_path):
    model = tiny(output_stride=8)
    model.export(tmp_path / "export", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "export")
    for shape in [(1, 33, 33), (2, 24, 41)]:
        images = _images(*shape)
        np.testing.assert_allclose(loaded.serve(images), model(images), atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"separable": False, "head_batch_norm": False}])
def test_gradients_reach_every_trainable_variable(tiny, options):
    model = tiny(**options)
    with tf.GradientTape() as tape:
        logits = model(_images(2, 33, 33), training=True)
        loss = tf.reduce_mean(logits[..., 0] ** 2 - logits[..., 1])
    gradients = tape.gradient(loss, model.trainable_variables)
    dead = [
        variable.path
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True)
        if gradient is None or not np.any(gradient)
    ]
    assert not dead


def test_training_lowers_the_loss_in_bfloat16(tiny):
    model = tiny(dtype="mixed_bfloat16", output_stride=32)
    assert model.get_layer("aspp0").compute_dtype == "bfloat16"
    assert model.logits_layer.compute_dtype == "float32"
    assert all(weight.dtype == "float32" for weight in model.weights)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # Eagerly, as tracing would take longer than these steps.
    model.compile(keras.optimizers.SGD(0.1, 0.9), loss, run_eagerly=True)
    images = _images(2, 33, 33)
    labels = (images[..., 0] > 0).astype("int32")
    losses = [model.train_on_batch(images, labels) for _ in range(4)]
    assert np.all(np.isfinite(losses))
    assert losses[-1] < losses[0]
    logits = model(images)
    assert logits.dtype == tf.float32
    assert np.all(np.isfinite(logits))


@pytest.mark.slow
def test_training_step_compiles_with_xla(tiny, monkeypatch):
    # Only whether it compiles is of interest, not how well. XLA reads this when it first runs.
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")
    model = tiny(decoder=False)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, jit_compile=True)
    before = model.logits_layer.kernel.numpy()
    assert np.isfinite(model.train_on_batch(_images(2, 33, 33), np.zeros((2, 33, 33), "int32")))
    assert np.any(model.logits_layer.kernel.numpy() != before)


def test_layers_are_grouped_for_freezing(mobilenet):
    model = mobilenet()
    weighted = {layer.name for layer in model.layers if layer.weights}
    backbone = {layer.name for layer in model.backbone_layers}
    head = {layer.name for layer in model.head_layers}
    assert backbone | head == weighted
    assert not backbone & head
    assert {name.split(".")[0] for name in backbone} == {"MobilenetV2"}
    assert model.head_layers[-1] is model.logits_layer
    assert len(model.batch_norm_layers) == sum(name.endswith("BatchNorm") for name in weighted)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"backbone": "vgg_16"}, r"expected a backbone among xception_41.*got 'vgg_16'"),
        ({"output_stride": 4}, "expected an output stride of 8, 16 or 32; got 4"),
        ({"num_classes": 0}, "expected at least one class; got num_classes=0"),
        ({"width_multiplier": 0.5}, "width_multiplier=1 for xception_65.*got 0.5"),
        ({"backbone": "mobilenet_v2", "width_multiplier": 0}, "positive one.*got 0"),
        ({"backbone": "mobilenet_v2", "multi_grid": (1, 2, 4)}, "expected no multi_grid"),
        ({"multi_grid": (1, 2)}, r"three factors.*got \(1, 2\)"),
        ({"atrous_rates": (6, 0)}, r"positive atrous rates; got \(6, 0\)"),
        ({"input_shape": (65, 65, 1)}, r"\(height, width, 3\); got \(65, 65, 1\)"),
        ({"aspp_depth": 0}, "aspp_depth=0"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message) as error:
        DeepLabV3Plus(**options)
    assert "to fix" in str(error.value)
