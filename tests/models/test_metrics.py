"""Confusion matrices against pixel-by-pixel counting, and the numbers that are read off them."""

import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from keras import ops

from models import metrics
from models.confusion import SegmentationMetrics, confusion_matrix

BACKEND = keras.backend.backend()

# Rows truth, columns prediction. Class 2 is absent from the truth, but predicted once.
MATRIX = np.array([[6, 1, 1], [2, 2, 0], [0, 0, 0]])


# === NumPy part ===


def test_iou_of_each_class_by_hand():
    np.testing.assert_allclose(metrics.iou_per_class(MATRIX), [6 / 10, 2 / 5, np.nan])


def test_mean_iou_is_over_the_classes_of_the_truth():
    assert metrics.mean_iou(MATRIX) == pytest.approx((6 / 10 + 2 / 5) / 2)


def test_keras_mean_iou_counts_the_absent_class_as_zero():
    # The difference that the docstring of `mean_iou` states.
    reference = keras.metrics.MeanIoU(num_classes=3)
    truth, prediction = np.nonzero(MATRIX)
    reference.update_state(truth, prediction, sample_weight=MATRIX[truth, prediction])
    assert float(reference.result()) == pytest.approx((6 / 10 + 2 / 5 + 0) / 3)


def test_pixel_accuracy_by_hand():
    assert metrics.pixel_accuracy(MATRIX) == pytest.approx(8 / 12)


def random_matrix(seed: int) -> np.ndarray:
    """Up to seven classes, some of them absent or never right."""
    random = np.random.default_rng(seed)
    classes = random.integers(1, 8)
    matrix = random.integers(0, 1000, (classes, classes)) * random.integers(0, 2, (classes, 1))
    return matrix * (1 - np.diag(random.integers(0, 2, classes)))


@pytest.mark.parametrize("seed", range(60))
def test_dead_are_the_classes_of_the_truth_with_an_iou_of_zero(seed):
    matrix = random_matrix(seed)
    dead = metrics.dead_classes(matrix)
    assert list(dead) == np.flatnonzero(metrics.iou_per_class(matrix) == 0).tolist()


@pytest.mark.parametrize("seed", range(60))
def test_the_best_constant_answer_is_the_best_of_all_that_are_tried(seed):
    matrix = random_matrix(seed)
    truth = matrix.sum(axis=1)
    if not truth.any():
        matrix[0, 0], truth = 1, np.eye(len(matrix))[0]
    tried = [
        metrics.mean_iou(truth[:, None] * (np.arange(len(matrix)) == answer))
        for answer in range(len(matrix))
    ]
    assert metrics.best_constant_mean_iou(matrix) == pytest.approx(max(tried), abs=1e-12)


def test_nothing_labelled_is_nan_without_warnings():
    empty = np.zeros((3, 3), np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.all(np.isnan(metrics.iou_per_class(empty)))
        assert np.isnan(metrics.mean_iou(empty))
        assert np.isnan(metrics.pixel_accuracy(empty))
        assert np.isnan(metrics.best_constant_mean_iou(empty))
        assert metrics.dead_classes(empty) == ()


def test_sums_beyond_int32_do_not_overflow():
    matrix = np.full((2, 2), 2**31 - 1, np.int32)
    np.testing.assert_allclose(metrics.iou_per_class(matrix), [1 / 3, 1 / 3])
    assert metrics.pixel_accuracy(matrix) == pytest.approx(0.5)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (4, 3, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected a square confusion matrix; got shape .*to fix"):
        metrics.mean_iou(np.zeros(shape))


def test_numpy_part_needs_no_keras():
    code = (
        "import runpy, sys; "
        f"runpy.run_path({metrics.__file__!r}); "
        "assert not {'keras', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# === Counting ===


def counted_by_hand(label, prediction, num_classes, ignore_label):
    matrix = np.zeros((len(label), num_classes, num_classes), np.int64)
    out_of_range = np.zeros(len(label), np.int64)
    for image, row, column in np.ndindex(label.shape):
        truth, found = int(label[image, row, column]), int(prediction[image, row, column])
        if truth == ignore_label:
            continue
        if 0 <= truth < num_classes and 0 <= found < num_classes:
            matrix[image, truth, found] += 1
        else:
            out_of_range[image] += 1
    return matrix, out_of_range


def batch(num_classes, ignore_label, size, seed=0):
    """Labels that are classes, ignored, or neither, and predictions of any class."""
    random = np.random.default_rng(seed)
    known = [*range(num_classes), ignore_label, ignore_label, num_classes, 200]
    label = random.choice(known, size=(size, 9, 8)).astype(np.uint8)
    return label, random.integers(0, num_classes, (size, 9, 8))


@pytest.mark.parametrize("ignore_label", [0, 255])
@pytest.mark.parametrize("size", [1, 3])
def test_counting_matches_numpy(ignore_label, size):
    label, prediction = batch(5, ignore_label, size)
    matrix, out_of_range = confusion_matrix(label, prediction, 5, ignore_label)
    expected, expected_out = counted_by_hand(label, prediction, 5, ignore_label)
    np.testing.assert_array_equal(matrix, expected)
    np.testing.assert_array_equal(out_of_range, expected_out)
    assert np.sum(matrix) + np.sum(out_of_range) + np.sum(label == ignore_label) == label.size


def test_negative_labels_and_predictions_out_of_range_are_counted_apart():
    label = np.array([[[-1, 1, 1, 255]]])
    prediction = np.array([[[0, 3, -2, 7]]])
    matrix, out_of_range = confusion_matrix(label, prediction, 3, 255)
    assert np.sum(matrix) == 0
    np.testing.assert_array_equal(out_of_range, [3])


def test_counting_can_be_compiled():
    label, prediction = batch(5, 255, 3)
    expected, expected_out = counted_by_hand(label, prediction, 5, 255)

    def count(label, prediction):
        return confusion_matrix(label, prediction, 5, 255)

    if BACKEND == "jax":
        import jax

        functions = [jax.jit(count)]
    else:
        import tensorflow as tf

        unknown = [tf.TensorSpec([None, None, None], tf.int64)] * 2
        functions = [
            tf.function(count, input_signature=unknown),
            tf.function(count, jit_compile=True),
        ]
    for function in functions:
        matrix, out_of_range = function(label.astype(np.int64), prediction)
        np.testing.assert_array_equal(matrix, expected)
        np.testing.assert_array_equal(out_of_range, expected_out)


# === Keras metric ===


def logits_of(prediction, num_classes):
    return np.eye(num_classes, dtype=np.float32)[prediction]


def test_metric_accumulates_batches_and_matches_numpy():
    metric = SegmentationMetrics(5, 255)
    label, prediction = batch(5, 255, 4)
    for part in (slice(0, 3), slice(3, 4)):
        metric.update_state(label[part], logits_of(prediction[part], 5))
    matrix, out_of_range = counted_by_hand(label, prediction, 5, 255)
    result = metric.result()
    assert float(result["mean_iou"]) == pytest.approx(metrics.mean_iou(matrix.sum(axis=0)))
    assert float(result["pixel_accuracy"]) == pytest.approx(
        metrics.pixel_accuracy(matrix.sum(axis=0))
    )
    assert int(result["labels_out_of_range"]) == out_of_range.sum()


def test_metric_leaves_absent_classes_out_as_the_numpy_part_does():
    metric = SegmentationMetrics(3, 255)
    metric.matrix.assign(MATRIX)
    assert float(metric.result()["mean_iou"]) == pytest.approx(metrics.mean_iou(MATRIX))


def test_metric_is_nan_before_the_first_labelled_pixel_and_after_reset():
    metric = SegmentationMetrics(5, 0)
    assert np.isnan(metric.result()["mean_iou"])
    metric.update_state(np.ones((1, 2, 2)), np.ones((1, 2, 2, 5)))
    assert not np.isnan(metric.result()["mean_iou"])
    metric.reset_state()
    assert np.isnan(metric.result()["pixel_accuracy"])


def test_metric_still_counts_single_pixels_beyond_float32():
    metric = SegmentationMetrics(2, 255)
    metric.matrix.assign(np.array([[2**24, 0], [0, 0]]))
    metric.update_state(np.zeros((1, 1, 1)), np.array([[[[1.0, 0.0]]]]))
    assert int(ops.convert_to_numpy(metric.matrix)[0, 0]) == 2**24 + 1


@pytest.mark.parametrize("jit_compile", [False, True])
def test_metric_in_compiled_fit(jit_compile):
    label, prediction = batch(5, 255, 4)
    label[label >= 5] = 255
    inputs = keras.Input((9, 8, 5))
    model = keras.Model(inputs, keras.layers.Conv2D(5, 1, use_bias=False)(inputs))
    model.layers[-1].kernel.assign(np.eye(5)[None, None])
    model.compile(
        keras.optimizers.SGD(0.0),
        lambda y_true, y_pred: ops.mean(y_pred),
        metrics=[SegmentationMetrics(5, 255)],
        jit_compile=jit_compile,
    )
    images = logits_of(prediction, 5)
    log = model.fit(images, label, batch_size=2, verbose=0, validation_data=(images[:1], label[:1]))
    matrix, _ = counted_by_hand(label, prediction, 5, 255)
    assert log.history["mean_iou"][0] == pytest.approx(metrics.mean_iou(matrix.sum(axis=0)))
    assert log.history["val_pixel_accuracy"][0] == pytest.approx(metrics.pixel_accuracy(matrix[0]))
    assert log.history["labels_out_of_range"] == [0]


def test_metric_refuses_weights_and_survives_serialization():
    metric = SegmentationMetrics(5, 0, name="voc")
    with pytest.raises(ValueError, match="expected pixels of equal weight"):
        metric.update_state(np.ones((1, 2, 2)), np.ones((1, 2, 2, 5)), sample_weight=[1.0])
    again = SegmentationMetrics.from_config(metric.get_config())
    assert (again.num_classes, again.ignore_label, again.name) == (5, 0, "voc")
