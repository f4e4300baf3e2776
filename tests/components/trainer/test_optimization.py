"""Updates of small networks against plain NumPy, in Keras' own compile and fit."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.trainer.optimization import (
    LAST_LAYER,
    SGD,
    build_optimizer,
    build_schedule,
    decayed_paths,
    freeze,
    gradient_multipliers,
)
from components.trainer.options import TrainingOptions
from models import DeepLabV3Plus
from models.losses import SegmentationLoss

layers = keras.layers


def options(**changes):
    defaults = {"steps": 10, "steps_per_epoch": 10, "schedule": "constant", "learning_rate": 0.1}
    return TrainingOptions(**{**defaults, **changes})


class SmallNet(keras.Model):
    """A backbone with a depthwise layer, a nested head, and logits."""

    def __init__(self):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((4, 4, 3))
        x = layers.Conv2D(4, 1, use_bias=False, name="backbone.conv")(inputs)
        x = layers.BatchNormalization(name="backbone.norm")(x)
        x = layers.DepthwiseConv2D(3, padding="same", name="backbone.depthwise")(x)
        inside = keras.Input((4, 4, 4))
        separable = layers.SeparableConv2D(4, 3, padding="same", name="separable")(inside)
        x = keras.Model(inside, separable, name="head")(x)
        super().__init__(inputs, layers.Conv2D(2, 1, name=LAST_LAYER)(x))

    @property
    def backbone_layers(self):
        return [layer for layer in self.layers if layer.name.startswith("backbone.")]


def data(size=2):
    random = np.random.default_rng(0)
    return random.standard_normal((size, 4, 4, 3)).astype(np.float32), random.integers(
        0, 2, (size, 4, 4)
    )


def values(model):
    return {variable.path: variable.numpy() for variable in model.variables}


def mean_square(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_pred), axis=(1, 2, 3))


def no_gradient(y_true, y_pred):
    return 0.0 * mean_square(y_true, y_pred)


def train(model, chosen, loss=mean_square, steps=3, **compile_options):
    # Tracing takes longer than so few steps; what is compiled says so.
    compile_options = compile_options or {"run_eagerly": True}
    model.compile(build_optimizer(chosen, model), loss, **compile_options)
    model.fit(*data(), batch_size=2, epochs=steps, verbose=0)
    return values(model)


# === Learning rate ===


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"schedule": "poly", "learning_rate": 0.007},
            {s: 0.007 * (1 - s / 1000) ** 0.9 for s in (0, 1, 500, 999, 1000)},
        ),
        (
            {"schedule": "poly", "end_learning_rate": 0.01, "power": 2.0},
            {500: 0.09 * 0.5**2 + 0.01, 1000: 0.01, 2000: 0.01},
        ),
        (
            {"schedule": "step", "decay_every_steps": 300, "decay_factor": 0.5},
            {0: 0.1, 299: 0.1, 300: 0.05, 899: 0.025, 900: 0.0125},
        ),
        ({"schedule": "constant"}, {0: 0.1, 999: 0.1}),
        (
            {"schedule": "poly", "warmup_steps": 200, "warmup_learning_rate": 1e-4},
            {0: 1e-4, 199: 1e-4, 200: 0.1, 600: 0.1 * 0.5**0.9, 1000: 0.0},
        ),
        (
            {"schedule": "step", "warmup_steps": 200, "decay_every_steps": 300},
            {199: 1e-4, 200: 0.1, 499: 0.1, 500: 0.01},
        ),
        (
            {"warmup_steps": 200, "warmup_learning_rate": 0.02, "warmup_mode": "linear"},
            {0: 0.02, 100: 0.06, 150: 0.08, 200: 0.1},
        ),
    ],
)
def test_schedule_matches_formula(changes, expected):
    schedule = build_schedule(options(steps=1000, **changes))
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    for step, rate in expected.items():
        assert float(schedule(step)) == pytest.approx(rate, rel=1e-4, abs=1e-9)
        assert float(again(tf.constant(step, tf.int64))) == float(schedule(step))


# === Rules by variable ===


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


def gradients(model):
    images, _ = data()
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(mean_square(None, model(images, training=True)))
    return dict(
        zip(
            [variable.path for variable in model.trainable_variables],
            tape.gradient(loss, [v.value for v in model.trainable_variables]),
            strict=True,
        )
    )


@pytest.mark.parametrize(
    ("mode", "compile_options"),
    [("l2", {}), ("decoupled", {}), ("l2", {"jit_compile": False}), ("l2", {"jit_compile": True})],
)
def test_momentum_with_all_rules_matches_numpy(mode, compile_options):
    chosen = options(
        weight_decay=0.2,
        weight_decay_mode=mode,
        last_layer_gradient_multiplier=10.0,
        bias_gradient_multiplier=2.0,
        learning_rate=0.01,
    )
    reference = SmallNet()
    decayed = set(decayed_paths(reference))
    momentum = dict.fromkeys([v.path for v in reference.trainable_variables], 0.0)
    for _ in range(3):
        found = gradients(reference)
        for variable in reference.trainable_variables:
            path, weight, gradient = variable.path, variable.numpy(), found[variable.path].numpy()
            decay = 0.2 if path in decayed else 0.0
            if mode == "l2":
                gradient = gradient + decay * weight
            else:
                weight = weight - 0.01 * decay * weight
            gradient = gradient * (10 if LAST_LAYER in path else 1)
            gradient = gradient * (2 if path.endswith("/bias") else 1)
            momentum[path] = 0.9 * momentum[path] - 0.01 * gradient
            variable.assign(weight + momentum[path])
    after = train(SmallNet(), chosen, **compile_options)
    for variable in reference.trainable_variables:
        np.testing.assert_allclose(after[variable.path], variable.numpy(), rtol=1e-3, atol=1e-5)


def with_keras_own_decay(optimizer, model):
    """Trains with Keras' `weight_decay` in place of ours, on the same kernels."""
    decayed = decayed_paths(model)
    optimizer.exclude_from_weight_decay(
        [v for v in model.trainable_variables if v.path not in decayed]
    )
    model.compile(optimizer, mean_square, run_eagerly=True)
    model.fit(*data(), batch_size=2, epochs=3, verbose=0)
    return values(model)


DECOUPLED = {"weight_decay": 0.01, "weight_decay_mode": "decoupled"}


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


@pytest.mark.parametrize("optimizer", ["momentum", "adamw"])
def test_backbone_learns_at_a_rate_of_its_own(optimizer):
    rules = {"optimizer": optimizer, **DECOUPLED}
    before = values(SmallNet())
    same, slow = (
        train(SmallNet(), options(**rules, backbone_learning_rate_multiplier=factor), steps=1)
        for factor in (1.0, 0.1)
    )
    for variable in SmallNet().trainable_variables:
        path = variable.path
        factor = 0.1 if path.startswith("backbone.") else 1.0
        step = same[path] - before[path]
        assert np.abs(step).max() > 1e-6 or "norm" in path
        np.testing.assert_allclose(slow[path] - before[path], factor * step, rtol=1e-3, atol=1e-6)


def test_l2_of_adam_goes_through_its_moments():
    # One step of Adam moves every weight that has a gradient by the learning rate, L2 or not.
    model = SmallNet()
    before = values(model)
    after = train(model, options(optimizer="adam", weight_decay=0.5), no_gradient, steps=1)
    path = "backbone.conv/kernel"
    np.testing.assert_allclose(
        after[path], before[path] - 0.1 * np.sign(before[path]), rtol=0, atol=1e-3
    )


def test_gradient_is_clipped_by_its_norm_over_all_variables():
    def steep(y_true, y_pred):
        return 1e6 * mean_square(y_true, y_pred)

    chosen = options(
        optimizer="sgd", weight_decay=0.0, gradient_clip_norm=0.5, bias_gradient_multiplier=1.0
    )
    model = SmallNet()
    before = values(model)
    after = train(model, chosen, steep, steps=1)
    moved = [after[v.path] - before[v.path] for v in model.trainable_variables]
    norm = np.sqrt(sum(np.sum(np.square(change)) for change in moved))
    assert norm == pytest.approx(0.1 * 0.5, rel=1e-3)


def test_multipliers_of_last_layer_and_biases_combine():
    assert gradient_multipliers(SmallNet(), last_layer=10.0, bias=2.0) == {
        "backbone.depthwise/bias": 2.0,
        "separable/bias": 2.0,
        f"{LAST_LAYER}/kernel": 10.0,
        f"{LAST_LAYER}/bias": 20.0,
    }
    assert gradient_multipliers(SmallNet()) == {}


def test_multiplier_without_last_layer_is_refused():
    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, layers.Conv2D(2, 1)(inputs))
    with pytest.raises(ValueError, match=r"expected a trainable layer named logits\.semantic"):
        build_optimizer(options(last_layer_gradient_multiplier=10.0), model)


def test_layers_frozen_after_the_optimizer_are_refused():
    model = SmallNet()
    model.compile(build_optimizer(options(), model), mean_square, run_eagerly=True)
    freeze(model, options(freeze_backbone=True))
    with pytest.raises(ValueError, match="freeze layers before the optimizer is built"):
        model.fit(*data(), verbose=0)


def test_optimizer_survives_serialization():
    model = SmallNet()
    chosen = options(schedule="poly", warmup_steps=2, weight_decay=0.1, gradient_clip_norm=1.0)
    optimizer = build_optimizer(chosen, model)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(again) is type(optimizer)
    assert keras.optimizers.serialize(again) == keras.optimizers.serialize(optimizer)


def test_run_goes_on_from_a_checkpoint_as_if_uninterrupted(tmp_path):
    chosen = options(schedule="poly", warmup_steps=1, weight_decay=0.1, learning_rate=0.02)

    def compiled():
        model = SmallNet()
        model.compile(build_optimizer(chosen, model), mean_square, run_eagerly=True)
        model.optimizer.build(model.trainable_variables)
        return model, tf.train.Checkpoint(model=model, optimizer=model.optimizer)

    whole, _ = compiled()
    whole.fit(*data(), epochs=4, verbose=0)
    first, checkpoint = compiled()
    first.fit(*data(), epochs=2, verbose=0)
    path = checkpoint.write(str(tmp_path / "checkpoint"))
    second, checkpoint = compiled()
    checkpoint.read(path).assert_consumed()
    assert int(second.optimizer.iterations) == 2
    second.fit(*data(), epochs=2, verbose=0)
    for path, value in values(whole).items():
        np.testing.assert_allclose(values(second)[path], value, rtol=1e-5, atol=1e-7)


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


# === Frozen layers ===


@pytest.mark.parametrize(
    ("changes", "frozen"),
    [
        ({}, ()),
        ({"fine_tune_batch_norm": False}, ("backbone.norm",)),
        ({"freeze_backbone": True}, ("backbone.conv", "backbone.norm", "backbone.depthwise")),
    ],
)
def test_frozen_layers_keep_weights_and_statistics(changes, frozen):
    model = SmallNet()
    chosen = options(**changes)
    freeze(model, chosen)
    before = values(model)
    after = train(model, chosen, SegmentationLoss(2, 255))
    for path in before:
        stayed = np.array_equal(before[path], after[path])
        assert stayed == (path.split("/")[0] in frozen), path


# === Several replicas ===

_REPLICAS = """
import keras, numpy as np, sys, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
sys.path.insert(0, {folder!r})
from test_optimization import LAST_LAYER, build_optimizer, data, layers, options, values
from models.losses import SegmentationLoss

def trained(strategy, images, label, **changes):
    with strategy.scope():
        keras.utils.set_random_seed(0)
        inputs = keras.Input((4, 4, 3))
        model = keras.Model(inputs, layers.Conv2D(2, 1, name=LAST_LAYER)(inputs))
        optimizer = build_optimizer(options(weight_decay=0.3, **changes), model)
        loss = SegmentationLoss(
            2, 255, hard_mining_step=4, top_k_fraction=0.5, step=optimizer.iterations
        )
        model.compile(optimizer, loss)
    fed = tf.data.Dataset.from_tensors((images, label)).repeat(3)
    history = model.fit(fed, epochs=1, verbose=0).history["loss"]
    return history, values(model)

one, two = tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert two.num_replicas_in_sync == 2
# Each replica gets the same half, so that both mine and clip as one replica does.
images, label = (np.concatenate([half] * 2) for half in data(2))
for changes in ({{"gradient_clip_norm": 0.01}}, {{"weight_decay_mode": "decoupled"}}):
    (loss_one, values_one), (loss_two, values_two) = (
        trained(strategy, images, label, **changes) for strategy in (one, two)
    )
    np.testing.assert_allclose(loss_two, loss_one, rtol=1e-5)
    for path in values_one:
        np.testing.assert_allclose(values_two[path], values_one[path], rtol=1e-4, atol=1e-6)
"""


@pytest.mark.slow
def test_two_replicas_train_as_one():
    # In a process of its own, for the devices must be set before TensorFlow starts.
    run = subprocess.run(
        [sys.executable, "-c", _REPLICAS.format(folder=__file__.rpartition("/")[0])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
