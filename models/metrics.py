"""What a confusion matrix says about a segmentation, in NumPy alone.

A matrix is `[C, C]` pixel counts for C classes: the row is the class in the truth, the column the
predicted one. Ignored pixels are in no row, and a prediction of the ignored class on a labelled
pixel is an error like any other. `models.confusion` counts such matrices.
"""

import numpy as np


def iou_per_class(matrix: np.ndarray) -> np.ndarray:
    """Intersection over union of every class (Everingham et al. 2010, section 4.4).

    Args:
        matrix: integers `[C, C]`, rows truth, columns prediction.

    Returns:
        float64 `[C]` in [0, 1]; NaN for a class that is absent from the truth.
    """
    matrix = _checked(matrix)
    intersection = np.diagonal(matrix)
    truth = matrix.sum(axis=1)
    union = truth + matrix.sum(axis=0) - intersection
    return np.divide(
        intersection, union, out=np.full(len(matrix), np.nan), where=truth > 0, dtype=np.float64
    )


def mean_iou(matrix: np.ndarray) -> float:
    """Mean IoU over the classes present in the truth; NaN if there are none.

    `tf.keras.metrics.MeanIoU`, like the `tf.metrics.mean_iou` of the official evaluation, averages
    over the classes present in the truth *or* the prediction, so a class that is absent and
    predicted once counts as an IoU of 0. The two agree where the truth holds every class, as on a
    whole validation split; they differ on a slice of it or a single picture.

    Args:
        matrix: integers `[C, C]`, rows truth, columns prediction.

    Returns:
        A fraction in [0, 1].
    """
    iou = iou_per_class(matrix)
    present = ~np.isnan(iou)
    return float(iou[present].mean()) if present.any() else float("nan")


def pixel_accuracy(matrix: np.ndarray) -> float:
    """Share of the labelled pixels that are predicted right, in [0, 1]; NaN without such pixels.

    Args:
        matrix: integers `[C, C]`, rows truth, columns prediction.
    """
    matrix = _checked(matrix)
    total = matrix.sum()
    return float(np.trace(matrix) / total) if total else float("nan")


def dead_classes(matrix: np.ndarray) -> tuple[int, ...]:
    """Classes of the truth of which no pixel was predicted right; their IoU is 0.

    Args:
        matrix: integers `[C, C]`, rows truth, columns prediction.

    Returns:
        Class ids, ascending.
    """
    matrix = _checked(matrix)
    return tuple(np.flatnonzero((matrix.sum(axis=1) > 0) & (np.diagonal(matrix) == 0)).tolist())


def best_constant_mean_iou(matrix: np.ndarray) -> float:
    """The highest mean IoU that one class everywhere would have had on this truth.

    Class c everywhere has its share of the labelled pixels as IoU and 0 for all others, so the most
    frequent class is the best one.

    Args:
        matrix: integers `[C, C]`, rows truth, columns prediction; only the truth counts.

    Returns:
        A fraction in [0, 1]; NaN without labelled pixels.
    """
    truth = _checked(matrix).sum(axis=1)
    total = truth.sum()
    return float(truth.max() / total / np.count_nonzero(truth)) if total else float("nan")


def _checked(matrix: np.ndarray) -> np.ndarray:
    """The matrix in int64, so that no sum over a data set overflows."""
    matrix = np.asarray(matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"expected a square confusion matrix; got shape {matrix.shape}; to fix, sum over the "
            "pictures first"
        )
    return matrix.astype(np.int64)
