"""Updates of small networks against plain NumPy, in Keras' own compile and fit."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.trainer.optimization import (
    LAST_LAYER,
    build_optimizer,
    decayed_paths,
    freeze,
    gradient_multipliers,
)
from models.losses import SegmentationLoss
from tests.components.trainer.small_net import (
    SmallNet,
    data,
    layers,
    mean_square,
    options,
    train,
    values,
)
from tests.conftest import REPOSITORY

# === Rules by variable ===


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


@pytest.mark.parametrize("optimizer", ["momentum", "adamw"])
def test_backbone_learns_at_a_rate_of_its_own(optimizer):
    rules = {"optimizer": optimizer, "weight_decay": 0.01, "weight_decay_mode": "decoupled"}
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
sys.path.insert(0, sys.argv[1])
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from components.trainer.optimization import LAST_LAYER, build_optimizer
from small_net import data, layers, options, values
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
for changes in ({"gradient_clip_norm": 0.01}, {"weight_decay_mode": "decoupled"}):
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
        [sys.executable, "-c", _REPLICAS, __file__.rpartition("/")[0]],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
