"""The layers on TensorFlow's own operations compute what Keras' do, only faster."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import native
from tests.conftest import REPOSITORY

# Relative to the largest value: a few units in the last place of the dtype.
TOLERANCE = {"float32": 2e-5, "mixed_bfloat16": 2e-2, "bfloat16": 2e-2, "mixed_float16": 2e-3}


def twins(kind: str, shape, **options):
    """Keras' layer and ours with the same random weights."""
    pair = [getattr(module, kind)(**options) for module in (keras.layers, native)]
    for layer in pair:
        layer.build(shape)
    random = np.random.default_rng(1)
    weights = [random.uniform(0.5, 1.5, weight.shape) for weight in pair[0].weights]
    for layer in pair:
        layer.set_weights(weights)
    return pair


def results(layer, x, training: bool = True) -> dict[str, np.ndarray]:
    """The layer's output, its gradients, and its weights afterwards, in float32."""
    random = np.random.default_rng(2)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=training)
        loss = tf.reduce_sum(tf.cast(y, "float32") * random.normal(size=y.shape))
    watched = {"input": x, **{w.name: w.value for w in layer.trainable_weights}}
    gradients = tape.gradient(loss, watched)
    found = {"output": y} | {f"gradient of {name}": g for name, g in gradients.items()}
    found |= {weight.name: weight.value for weight in layer.weights}
    return {name: tf.cast(value, "float32").numpy() for name, value in found.items()}


def assert_equal(keras_layer, our_layer, x, policy: str, **options) -> None:
    expected, got = (results(layer, x, **options) for layer in (keras_layer, our_layer))
    assert expected.keys() == got.keys()
    for name, value in expected.items():
        assert np.isfinite(value).all()
        scale = max(1.0, np.abs(value).max(initial=0))
        np.testing.assert_allclose(got[name], value, rtol=0, atol=TOLERANCE[policy] * scale)


def pictures(shape, policy: str = "float32", mean: float = 0.5):
    values = np.random.default_rng(0).normal(mean, 2.0, shape)
    return tf.constant(values, keras.dtype_policies.get(policy).compute_dtype)


@pytest.mark.parametrize("policy", TOLERANCE)
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride, rate", [(1, 1), (2, 1), (1, 2), (1, 3), (1, 8), (1, (2, 4))])
def test_a_convolution_is_that_of_keras(stride, rate, padding, policy):
    for size in ((17, 20), (18, 19)):
        shape = (2, *size, 6)
        pair = twins(
            "Conv2D", shape, filters=5, kernel_size=3, strides=stride, dilation_rate=rate,
            padding=padding, activation="relu", dtype=policy,
        )  # fmt: skip
        assert_equal(*pair, pictures(shape, policy), policy)


@pytest.mark.parametrize("options", [{"groups": 2}, {"kernel_size": (1, 5)}, {"use_bias": False}])
def test_a_convolution_is_that_of_keras_with_any_option(options):
    options = {"filters": 4, "kernel_size": 3, "dilation_rate": 2, "padding": "same"} | options
    pair = twins("Conv2D", (2, 9, 12, 6), **options)
    assert_equal(*pair, pictures((2, 9, 12, 6)), "float32")


def test_a_rate_may_reach_beyond_the_picture():
    pair = twins("Conv2D", (1, 5, 4, 3), filters=4, kernel_size=3, dilation_rate=12, padding="same")
    assert_equal(*pair, pictures((1, 5, 4, 3)), "float32")


@pytest.mark.parametrize("policy", TOLERANCE)
@pytest.mark.parametrize("tuned", [True, False], ids=["tuned", "frozen"])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_is_that_of_keras(training, tuned, policy):
    for shape in ((2, 17, 20, 6), (3, 8, 5, 16), (1, 1, 1, 4), (5, 1, 1, 4)):
        pair = twins("BatchNormalization", shape, momentum=0.9, epsilon=1e-3, dtype=policy)
        for layer in pair:
            layer.trainable = tuned
        assert_equal(*pair, pictures(shape, policy), policy, training=training)


@pytest.mark.parametrize(
    "options",
    [{"center": False}, {"scale": False}, {"axis": 1}, {"renorm": True}, {"epsilon": 1e-5}],
    ids=str,
)
def test_batch_norm_is_that_of_keras_with_any_option(options):
    pair = twins("BatchNormalization", (4, 9, 7, 6), **options)
    assert_equal(*pair, pictures((4, 9, 7, 6)), "float32")


@pytest.mark.parametrize("shape", [(8, 6), (8, 5, 6), (2, 3, 4, 5, 6)])
def test_batch_norm_is_that_of_keras_for_any_rank(shape):
    assert_equal(*twins("BatchNormalization", shape), pictures(shape), "float32")


def test_statistics_of_features_far_from_zero_keep_their_digits():
    pair = twins("BatchNormalization", (4, 33, 33, 8), momentum=0.0)
    x = pictures((4, 33, 33, 8), mean=300.0)
    for layer in pair:
        layer(x, training=True)
    np.testing.assert_allclose(pair[1].moving_variance, pair[0].moving_variance, rtol=1e-4)
    np.testing.assert_allclose(pair[1].moving_mean, pair[0].moving_mean, rtol=1e-6)


def test_an_empty_batch_changes_no_statistics():
    _, ours = twins("BatchNormalization", (0, 4, 4, 3))
    before = ours.get_weights()
    found = results(ours, tf.zeros((0, 4, 4, 3)))
    for old, new in zip(before, ours.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)
    np.testing.assert_array_equal(found["gradient of gamma"], 0)


def test_a_traced_layer_takes_pictures_of_any_size():
    conv, norm = native.Conv2D(4, 3, dilation_rate=2, padding="same"), native.BatchNormalization()
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, norm(conv(inputs)))
    function = tf.function(
        lambda x: model(x, training=True), input_signature=[tf.TensorSpec((None, None, None, 3))]
    )
    for shape in ((1, 7, 8, 3), (2, 12, 5, 3)):
        assert function(tf.ones(shape)).shape == (*shape[:3], 4)


def has_gradient() -> bool:
    """Whether this machine has that of a dilated convolution, by its processor and its settings."""
    x = tf.ones((1, 8, 8, 3))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.nn.conv2d(x, tf.ones((3, 3, 3, 4)), 1, "SAME", dilations=2)
    try:
        return tape.gradient(y, x) is not None
    except tf.errors.OpError:
        return False


def test_space_to_batch_is_left_just_where_the_gradient_is_missing_otherwise():
    layer = native.Conv2D(4, 3, dilation_rate=2, padding="same")
    layer.build((1, 8, 8, 3))
    graph = tf.function(layer).get_concrete_function(tf.ones((1, 8, 8, 3))).graph
    kinds = {operation.type for operation in graph.get_operations()}
    assert ("SpaceToBatchND" in kinds) is not has_gradient()


@pytest.mark.parametrize(
    "kind, options",
    [("Conv2D", {"filters": 4, "kernel_size": 3, "dilation_rate": 2}), ("BatchNormalization", {})],
)
def test_a_layer_says_of_itself_and_stores_what_keras_layers_do(kind, options):
    theirs, ours = twins(kind, (1, 9, 9, 3), name="layer", **options)
    assert isinstance(ours, type(theirs))
    configurations = [layer.get_config() for layer in (theirs, ours)]
    assert str(configurations[0]) == str(configurations[1])
    assert [w.path for w in ours.weights] == [w.path for w in theirs.weights]
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(ours))
    assert type(again) is type(ours)


def test_a_step_changes_a_network_as_with_keras_layers(tiny, monkeypatch):
    images, labels = pictures((2, 41, 34, 3)), np.zeros((2, 41, 34), "int32")
    keras.utils.set_random_seed(0)
    networks = [tiny(output_stride=8, dropout=0.0, separable=False)]
    for name in ("Conv2D", "BatchNormalization"):
        monkeypatch.setattr(native, name, getattr(keras.layers, name))
    networks.append(tiny(output_stride=8, dropout=0.0, separable=False))
    networks[1].set_weights(before := networks[0].get_weights())
    for network in networks:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        network.compile(keras.optimizers.SGD(1.0), loss, jit_compile=False)
        network.train_on_batch(images, labels)
    for old, ours, theirs in zip(before, *(network.weights for network in networks), strict=True):
        change, expected = ours.numpy() - old, theirs.numpy() - old
        tolerance = 1e-3 * np.abs(expected).max() + 1e-6
        np.testing.assert_allclose(change, expected, rtol=0, atol=tolerance, err_msg=ours.path)


_REPLICAS = """
import keras, numpy as np, sys, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from models import native

random = np.random.default_rng(0)
images = random.normal(1, 2, (8, 12, 9, 3)).astype("float32")
labels = random.integers(0, 2, (8, 12, 9))

def trained(layers):
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([
            layers.Conv2D(4, 3, dilation_rate=2, padding="same"), layers.BatchNormalization(),
            keras.layers.Conv2D(2, 1),
        ])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1), loss, jit_compile=False)
    fed = tf.data.Dataset.from_tensor_slices((images, labels)).batch(4)
    model.fit(fed, epochs=2, verbose=0)
    return [weight.numpy() for weight in model.weights]

for ours, theirs in zip(trained(native), trained(keras.layers)):
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
"""


@pytest.mark.slow
def test_two_replicas_train_as_with_keras_layers():
    # In a process of its own, for the devices must be set before TensorFlow starts.
    done = subprocess.run(
        [sys.executable, "-c", _REPLICAS],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_all_of_this_holds_without_onednn():
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", __file__),
            *("-q", "-p", "no:cacheprovider", "-m", "not slow"),
        ],
        cwd=REPOSITORY, env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
