"""Every term of the loss against plain NumPy in float64, on the TensorFlow and the JAX backend."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from models.losses import SegmentationLoss, class_weights_from_histogram

CLASSES = 5
TERMS = ("cross_entropy", "focal", "dice", "lovasz")
BACKEND = keras.backend.backend()


def batch(ignore_label, size=2, seed=0):
    """Logits and labels with ignored pixels; class 3 is absent from the truth."""
    random = np.random.default_rng(seed)
    label = random.choice([1, 2, 4], size=(size, 6, 7)).astype(np.uint8)
    label[:, 2:] = random.choice([0, 1, 2, 4], size=(size, 4, 7))
    label[random.random(label.shape) < 0.25] = ignore_label
    return label, 2 * random.standard_normal((size, 6, 7, CLASSES)).astype(np.float32)


# === Plain NumPy ===


def numpy_loss(label, logits, ignore_label, term, weights=None, fraction=1.0, gamma=2.0):
    """One term, pixel by pixel and class by class."""
    logits = np.asarray(logits, np.float64).reshape(-1, CLASSES)
    label = np.asarray(label).reshape(-1)
    total_pixels = len(label)
    keep = label != ignore_label
    label, logits = label[keep].astype(int), logits[keep]
    if not len(label):
        return 0.0
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    probability = shifted / shifted.sum(axis=1, keepdims=True)
    if term in ("dice", "lovasz"):
        function = numpy_dice if term == "dice" else numpy_lovasz
        return np.mean([function(label == c, probability[:, c]) for c in np.unique(label)])
    own = probability[np.arange(len(label)), label]
    loss = -np.log(own) * ((1 - own) ** gamma if term == "focal" else 1)
    if weights is not None:
        loss = loss * np.asarray(weights)[label]
    kept = np.sort(loss)[::-1][: int(fraction * total_pixels)]
    return kept.sum() / len(kept)


def numpy_dice(truth, probability):
    return 1 - 2 * probability[truth].sum() / (truth.sum() + probability.sum())


def numpy_lovasz(truth, probability):
    """The Lovász extension by its definition: set function increments along the sorted errors."""

    def jaccard_loss(wrong):
        union = np.count_nonzero(truth | wrong)
        return 1 - np.count_nonzero(truth & ~wrong) / union

    error = np.abs(truth - probability)
    wrong, value, total = np.zeros(len(truth), bool), 0.0, 0.0
    for pixel in np.argsort(-error):
        wrong[pixel] = True
        grown = jaccard_loss(wrong)
        total += error[pixel] * (grown - value)
        value = grown
    return total


def value_and_gradient(loss, label, logits):
    """The loss and its gradient by the logits, as NumPy arrays."""
    if BACKEND == "jax":
        import jax

        value, gradient = jax.jit(jax.value_and_grad(lambda x: loss(label, x)))(logits)
    else:
        import tensorflow as tf

        logits = tf.constant(logits)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(label, logits)
        gradient = tape.gradient(value, logits)
    return float(value), np.asarray(gradient)


# === Values ===


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("ignore_label", [0, 255])
@pytest.mark.parametrize("size", [1, 3])
def test_value_matches_numpy(term, ignore_label, size):
    label, logits = batch(ignore_label, size)
    loss = SegmentationLoss(CLASSES, ignore_label, [term])
    expected = numpy_loss(label, logits, ignore_label, term)
    assert float(loss(label, logits)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("term", TERMS)
def test_gradient_matches_numpy(term):
    label, logits = batch(255, seed=1)
    value, gradient = value_and_gradient(SegmentationLoss(CLASSES, 255, [term]), label, logits)
    direction = np.random.default_rng(2).standard_normal(logits.shape)

    def shifted(distance):
        return numpy_loss(label, logits + distance * direction, 255, term)

    assert value == pytest.approx(shifted(0), rel=1e-5)
    expected = (shifted(1e-6) - shifted(-1e-6)) / 2e-6
    assert np.sum(gradient * direction) == pytest.approx(expected, rel=1e-3)
    assert np.all(gradient[label == 255] == 0)


@pytest.mark.parametrize("term", ["cross_entropy", "focal"])
def test_class_weights_multiply_the_numerator_only(term):
    label, logits = batch(255)
    weights = [0.5, 2.0, 0.0, 1.0, 3.0]
    loss = SegmentationLoss(CLASSES, 255, [term], class_weights=weights)
    expected = numpy_loss(label, logits, 255, term, weights)
    assert float(loss(label, logits)) == pytest.approx(expected, rel=1e-5)
    doubled = SegmentationLoss(CLASSES, 255, [term], class_weights=[2 * w for w in weights])
    assert float(doubled(label, logits)) == pytest.approx(2 * expected, rel=1e-5)


def test_terms_are_added():
    label, logits = batch(255)
    expected = sum(numpy_loss(label, logits, 255, term) for term in TERMS)
    assert float(SegmentationLoss(CLASSES, 255, TERMS)(label, logits)) == pytest.approx(
        expected, rel=1e-5
    )


@pytest.mark.parametrize("options", [{}, {"top_k_fraction": 0.3}, {"class_weights": [1.0] * 5}])
@pytest.mark.parametrize("ignore_label", [0, 255])
def test_all_pixels_ignored_is_exactly_zero(options, ignore_label):
    _, logits = batch(255)
    label = np.full(logits.shape[:3], ignore_label, np.uint8)
    loss = SegmentationLoss(CLASSES, ignore_label, TERMS, **options)
    value, gradient = value_and_gradient(loss, label, logits)
    assert value == 0.0
    assert np.all(gradient == 0)


def test_ignored_pixels_do_not_raise_the_loss():
    # The TF 1.3 system left ln(C) for every ignored pixel, and counted it in the mean.
    label, logits = batch(255)
    label[0] = 255
    whole = SegmentationLoss(CLASSES, 255)(label, logits)
    part = SegmentationLoss(CLASSES, 255)(label[1:], logits[1:])
    assert float(whole) == pytest.approx(float(part), rel=1e-6)


def test_lovasz_of_a_hard_prediction_is_one_minus_mean_iou():
    label, logits = batch(0)
    prediction = logits.argmax(axis=-1)
    labelled = label != 0
    ious = [
        np.sum((label == c) & (prediction == c))
        / np.sum(((label == c) | (prediction == c)) & labelled)
        for c in np.unique(label[labelled])
    ]
    sure = np.eye(CLASSES, dtype=np.float32)[prediction] * 100
    loss = SegmentationLoss(CLASSES, 0, ["lovasz"])
    assert float(loss(label, sure)) == pytest.approx(1 - np.mean(ious), abs=1e-5)


@pytest.mark.parametrize("term", TERMS)
def test_extreme_half_precision_logits_stay_finite(term):
    label, logits = batch(255)
    logits = (1e4 * np.sign(logits)).astype(np.float16)
    value, gradient = value_and_gradient(SegmentationLoss(CLASSES, 255, [term]), label, logits)
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


# === Hard pixel mining ===


@pytest.mark.parametrize("term", ["cross_entropy", "focal"])
@pytest.mark.parametrize(
    ("step", "fraction"), [(0, 1.0), (25, 0.8125), (50, 0.625), (100, 0.25), (1000, 0.25)]
)
def test_mined_fraction_falls_linearly(term, step, fraction):
    label, logits = batch(255)
    weights = [0.5, 2.0, 1.0, 1.0, 3.0]
    loss = SegmentationLoss(
        CLASSES,
        255,
        [term],
        class_weights=weights,
        hard_mining_step=100,
        top_k_fraction=0.25,
        step=keras.Variable(step, dtype="int64" if BACKEND == "tensorflow" else "int32"),
    )
    expected = numpy_loss(label, logits, 255, term, weights, fraction)
    assert float(loss(label, logits)) == pytest.approx(expected, rel=1e-5)


def test_mining_without_ramp_starts_at_top_k():
    label, logits = batch(0)
    value, gradient = value_and_gradient(
        SegmentationLoss(CLASSES, 0, top_k_fraction=0.1), label, logits
    )
    expected = numpy_loss(label, logits, 0, "cross_entropy", fraction=0.1)
    assert value == pytest.approx(expected, rel=1e-5)
    assert np.count_nonzero(np.any(gradient != 0, axis=-1)) == int(0.1 * label.size)


def test_mining_counts_tied_pixels_once():
    # 42 equal losses of ln(C), of which half are kept: the mean stays ln(C), over 21 pixels.
    label = np.zeros((1, 6, 7), np.uint8)
    logits = np.zeros((1, 6, 7, CLASSES), np.float32)
    logits[0, 0, 0, 1] = 5.0
    expected = numpy_loss(label, logits, 255, "cross_entropy", fraction=0.5)
    loss = SegmentationLoss(CLASSES, 255, top_k_fraction=0.5)
    assert float(loss(label, logits)) == pytest.approx(expected, rel=1e-6)


def test_mining_never_keeps_ignored_pixels():
    label, logits = batch(255)
    label[:, 1:] = 255
    expected = numpy_loss(label, logits, 255, "cross_entropy")
    loss = SegmentationLoss(CLASSES, 255, top_k_fraction=0.9)
    assert float(loss(label, logits)) == pytest.approx(expected, rel=1e-5)


def test_ramp_without_step_is_refused():
    loss = SegmentationLoss(CLASSES, 255, hard_mining_step=10, top_k_fraction=0.5)
    with pytest.raises(ValueError, match=r"expected a step .*; got None; to fix"):
        loss(*batch(255))


def constant_model(logits):
    """A network whose logits are a weight, whatever the picture."""
    inputs = keras.Input((6, 7, 3))
    layer = keras.layers.Conv2D(CLASSES, 1, kernel_initializer="zeros", use_bias=False)
    model = keras.Model(inputs, layer(inputs))
    layer.kernel.assign(logits[None, None])
    return model


@pytest.mark.skipif(BACKEND != "tensorflow", reason="fit shows the loss its variables on TF only")
@pytest.mark.parametrize("jit_compile", [False, True])
def test_fit_follows_the_ramp(jit_compile):
    label, images = batch(255)[0], np.random.default_rng(0).standard_normal((2, 6, 7, 3))
    kernel = np.random.default_rng(1).standard_normal((3, CLASSES))
    model = constant_model(kernel)
    optimizer = keras.optimizers.SGD(0.0)
    loss = SegmentationLoss(
        CLASSES, 255, hard_mining_step=4, top_k_fraction=0.2, step=optimizer.iterations
    )
    model.compile(optimizer, loss, jit_compile=jit_compile)
    history = model.fit(images, label, batch_size=2, epochs=6, verbose=0).history["loss"]
    expected = [
        numpy_loss(label, images @ kernel, 255, "cross_entropy", fraction=fraction)
        for fraction in (1.0, 0.8, 0.6, 0.4, 0.2, 0.2)
    ]
    assert history == pytest.approx(expected, rel=1e-4)


# Collected only in the subprocess that repeats these tests on JAX.
if BACKEND == "jax":

    def test_jax_follows_a_mapped_step():
        import jax

        label, logits = batch(255)
        step = keras.Variable(0, dtype="int32")
        loss = SegmentationLoss(CLASSES, 255, hard_mining_step=4, top_k_fraction=0.2, step=step)

        @jax.jit
        def at(value):
            with keras.StatelessScope(state_mapping=[(step, value)]):
                return loss(label, logits)

        for finished, fraction in [(0, 1.0), (2, 0.6), (4, 0.2)]:
            expected = numpy_loss(label, logits, 255, "cross_entropy", fraction=fraction)
            assert float(at(np.int32(finished))) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("term", TERMS)
def test_fit_learns_a_constant_picture(term):
    images = np.eye(3, dtype=np.float32)[np.random.default_rng(0).integers(0, 3, (4, 6, 7))]
    label = images.argmax(axis=-1).astype(np.uint8)
    label[:, 0] = 255
    model = constant_model(np.zeros((3, CLASSES)))
    loss = SegmentationLoss(CLASSES, 255, [term], top_k_fraction=0.5)
    model.compile(keras.optimizers.SGD(1.0, momentum=0.9), loss)
    history = model.fit(images, label, batch_size=2, epochs=10, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]
    predicted = np.argmax(model.predict(images, verbose=0), axis=-1)
    assert np.all(predicted[label != 255] == label[label != 255])


# === Contract ===


@pytest.mark.skipif(BACKEND != "tensorflow", reason="imports TensorFlow, which takes long")
def test_config_round_trip():
    label, logits = batch(0)
    loss = SegmentationLoss(
        CLASSES, 0, ("focal", "dice"), class_weights=[1, 2, 3, 4, 5], top_k_fraction=0.5
    )
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert float(again(label, logits)) == float(loss(label, logits))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"terms": ["hinge"]}, "terms out of cross_entropy"),
        ({"terms": []}, "terms out of"),
        ({"class_weights": [1.0]}, "5 class weights"),
        ({"class_weights": [1, 1, 1, 1, -1]}, "5 class weights"),
        ({"top_k_fraction": 0.0}, "top_k_fraction in"),
        ({"top_k_fraction": 25}, "top_k_fraction in"),
        ({"focal_gamma": 0.5}, "focal_gamma"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=rf"expected .*{message}.*; got .*; to fix"):
        SegmentationLoss(CLASSES, 255, **options)


def test_bad_shapes_are_refused():
    label, logits = batch(255)
    loss = SegmentationLoss(CLASSES, 255)
    with pytest.raises(ValueError, match="expected labels"):
        loss(label[..., None], logits)
    with pytest.raises(ValueError, match="expected labels"):
        loss(label, logits[..., :3])
    with pytest.raises(ValueError, match="expected no sample_weight"):
        loss(label, logits, sample_weight=ops.ones(2))


# === Class weights ===


def test_inverse_frequency_keeps_the_mean_weight_at_one():
    histogram = [700, 200, 100]
    weights = class_weights_from_histogram(histogram)
    np.testing.assert_allclose(weights, [10 / 21, 10 / 6, 10 / 3])
    assert np.average(weights, weights=histogram) == pytest.approx(1.0)


def test_median_frequency_gives_the_median_class_one():
    weights = class_weights_from_histogram([700, 200, 100], "median_frequency")
    np.testing.assert_allclose(weights, [2 / 7, 1.0, 2.0])


@pytest.mark.parametrize("method", ["inverse_frequency", "median_frequency"])
def test_absent_classes_get_one_and_change_no_other(method):
    with_absent = class_weights_from_histogram([0, 700, 200, 0, 100], method)
    np.testing.assert_allclose(with_absent[[0, 3]], 1.0)
    np.testing.assert_allclose(
        with_absent[[1, 2, 4]], class_weights_from_histogram([700, 200, 100], method)
    )


@pytest.mark.parametrize("histogram", [[], [0, 0], [1, -1], [[1, 2]]])
def test_bad_histogram_is_refused(histogram):
    with pytest.raises(ValueError, match="expected pixel counts"):
        class_weights_from_histogram(histogram)


def test_unknown_method_is_refused():
    with pytest.raises(ValueError, match="expected a method"):
        class_weights_from_histogram([1, 2], "uniform")


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "tensorflow", reason="starts itself on the JAX backend")
def test_losses_and_metrics_hold_on_jax():
    # In one process and few of them, since starting and compiling cost more than the tests.
    tests = [__file__, str(Path(__file__).with_name("test_metrics.py"))]
    chosen = (
        "gradient_matches or zero and 255-options1 or mapped_step or learns and cross_entropy "
        "or compiled and not False"
    )
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-qx", "-p", "no:cacheprovider", "-k", chosen, *tests],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
