"""TFMA metrics that are all read off one confusion matrix.

The evaluation signature of the model returns each picture's matrix (`models.metrics` says how it
is laid out), so that no full-size mask travels through Beam: at 513 pixels and 21 classes 3.5 KB a
picture instead of 4 MB.
"""

import functools
from collections.abc import Callable, Sequence

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types

from components.evaluator.options import ABOVE_CONSTANT, DEAD_CLASSES, PREDICTED_PIXELS
from components.serving.interface import CONFUSION_MATRIX, LABELS_OUT_OF_RANGE, UNDECODABLE
from models import metrics

_MATRIX_NAME = "confusion_matrix"


class _SumMatrices(beam.CombineFn):
    """Adds up the confusion matrices of one model, exactly, in int64."""

    def __init__(self, key: metric_types.MetricKey, num_classes: int):
        self._key = key
        self._num_classes = num_classes

    def create_accumulator(self) -> np.ndarray:
        return np.zeros((self._num_classes, self._num_classes), np.int64)

    def add_input(self, total: np.ndarray, element: metric_types.StandardMetricInputs):
        outputs = element.get_predictions(self._key.model_name)
        for name, meaning in (
            (LABELS_OUT_OF_RANGE, "labels out of range"),
            (UNDECODABLE, "a picture that cannot be decoded"),
        ):
            if np.any(outputs[name]):
                raise ValueError(
                    f"expected clean records in the Evaluator; got {meaning}; to fix, run the "
                    "data gate before it, with the same number of classes"
                )
        matrices = np.asarray(outputs[CONFUSION_MATRIX], np.int64)
        matrices = matrices.reshape(-1, matrices.shape[-1])
        if matrices.shape[1] != total.size:
            raise ValueError(
                f"expected a model of {self._num_classes} classes; got confusion matrices of "
                f"{matrices.shape[1]} numbers; to fix, give the run a --set name=… of its own"
            )
        return total + matrices.sum(axis=0).reshape(total.shape)

    def merge_accumulators(self, accumulators) -> np.ndarray:
        return np.sum(list(accumulators), axis=0)

    def extract_output(self, total: np.ndarray) -> dict[metric_types.MetricKey, np.ndarray]:
        return {self._key: total}


def _computations(
    values: Callable[[np.ndarray], dict[str, float]],
    num_classes: int,
    model_names: Sequence[str] | None = None,
    **_,
) -> metric_types.MetricComputations:
    """The matrix of each model, shared by all metrics, and what `values` reads off it."""
    computations = []
    for model_name in model_names or [""]:
        # TFMA merges computations with equal keys, so several metrics cost one pass. The model's
        # name must be part of the key: without it candidate and baseline would be merged.
        matrix_key = metric_types.MetricKey(name=_MATRIX_NAME, model_name=model_name)
        empty = np.zeros((num_classes, num_classes), np.int64)
        keys = {
            name: metric_types.MetricKey(name=name, model_name=model_name) for name in values(empty)
        }

        def result(found, matrix_key=matrix_key, keys=keys):
            return {keys[name]: value for name, value in values(found[matrix_key]).items()}

        computations.append(
            metric_types.MetricComputation(
                keys=[matrix_key],
                preprocessors=[
                    metric_types.StandardMetricInputsPreprocessor(
                        model_names=[model_name] if model_name else None,
                        name=f"predictions_of_{model_name or 'model'}",
                    )
                ],
                combiner=_SumMatrices(matrix_key, num_classes),
            )
        )
        computations.append(
            metric_types.DerivedMetricComputation(keys=list(keys.values()), result=result)
        )
    return computations


class _MatrixMetric(metric_types.Metric):
    """Base: a metric is a function from a confusion matrix to named numbers.

    `source` is a fingerprint of this package; it makes a change of it part of the cache key.
    """

    def __init__(
        self,
        name: str,
        values: Callable[[np.ndarray], dict[str, float]],
        num_classes: int,
        source: str,
    ):
        super().__init__(functools.partial(_computations, values, num_classes), name=name)
        del source


class MeanIoU(_MatrixMetric):
    """Mean IoU over the classes that occur in the labels."""

    def __init__(self, num_classes: int, source: str = "", name: str = "mean_iou"):
        super().__init__(name, lambda m: {name: float(metrics.mean_iou(m))}, num_classes, source)


class PixelAccuracy(_MatrixMetric):
    """Share of the labelled pixels that are predicted right."""

    def __init__(self, num_classes: int, source: str = "", name: str = "pixel_accuracy"):
        super().__init__(
            name, lambda m: {name: float(metrics.pixel_accuracy(m))}, num_classes, source
        )


class DeadClasses(_MatrixMetric):
    """How many classes of the truth are never found, as `models.metrics.dead_classes` counts."""

    def __init__(self, num_classes: int, source: str = "", name: str = DEAD_CLASSES):
        super().__init__(
            name, lambda m: {name: float(len(metrics.dead_classes(m)))}, num_classes, source
        )


class AboveConstant(_MatrixMetric):
    """By how much the mean IoU is above that of the best constant answer; at most 0 is no model."""

    def __init__(self, num_classes: int, source: str = "", name: str = ABOVE_CONSTANT):
        super().__init__(
            name,
            lambda m: {name: metrics.mean_iou(m) - metrics.best_constant_mean_iou(m)},
            num_classes,
            source,
        )


class ClassIoU(_MatrixMetric):
    """IoU of each class as `iou/<class name>`; NaN for a class that occurs in no label."""

    def __init__(self, class_names: Sequence[str], source: str = "", name: str = "iou"):
        super().__init__(
            name,
            lambda m: {
                f"{name}/{class_name}": float(value)
                for class_name, value in zip(class_names, metrics.iou_per_class(m), strict=True)
            },
            len(class_names),
            source,
        )


class PredictedPixels(_MatrixMetric):
    """Labelled pixels that each class was predicted for, as `predicted/<class name>`."""

    def __init__(self, class_names: Sequence[str], source: str = "", name: str = PREDICTED_PIXELS):
        super().__init__(
            name,
            lambda m: {
                f"{name}/{class_name}": float(count)
                for class_name, count in zip(class_names, m.sum(axis=0), strict=True)
            },
            len(class_names),
            source,
        )
