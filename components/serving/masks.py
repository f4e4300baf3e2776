"""From the network's small scores to the classes of a picture's own pixels.

Scores are enlarged, not classes, so that borders are smooth; and a strip at a time, for the scores
of 12 megapixels and 21 classes are a gigabyte that nobody reads.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from models.confusion import confusion_matrix
from models.layers import ResizeBilinear, shares

_SCORES_OF_A_STRIP = 2**19
"""Two megabytes stay near the processor, and loops cost little."""
_PIXELS_OF_A_STRIP = 2**20
_COLUMNS = 2**16
"""A strip is no wider: a picture of one row may have a hundred million."""
_GRID = 64
"""The mean confidence is of so many rows and columns, at most: those of all pixels cost time."""


class Seen(NamedTuple):
    """The scores of one picture, and where it lies on the canvas that the network saw."""

    scores: tf.Tensor
    """float32 `[h, w, C]`, of the whole canvas."""
    canvas_size: int
    """Side of the canvas, in pixels."""
    size: tf.Tensor
    """int `[2]`, height and width of the picture inside the canvas, at its top left."""
    resize: ResizeBilinear
    """The network's last layer, for how it enlarges."""

    def positions(self, axis: int, pixels: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        """Where pixels of the picture's own size lie among the scores, float32 `[n]`."""
        inside = tf.cast(self.size[axis], tf.float32)
        # A picture is shrunk with half-pixel centers, see `components.transform.preprocessing`.
        pixels = (tf.cast(pixels, tf.float32) + 0.5) * (inside / tf.cast(size, tf.float32)) - 0.5
        return self.resize.positions(
            tf.clip_by_value(pixels, 0.0, inside - 1.0),
            tf.shape(self.scores)[axis],
            self.canvas_size,
        )

    def enlarged(self, size: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
        """The scores of some pixels.

        Args:
            size: int32 `[2]`, height and width that the picture is enlarged to.
            rows: int32 `[r]`, growing.
            columns: int32 `[c]`.

        Returns:
            float32 `[r, c, C]`.
        """
        height, width, classes = tf.unstack(tf.shape(self.scores))
        down = self.positions(0, rows, size[0])
        first = tf.cast(down[0], tf.int32)
        # The rows of scores that these lie between, and no other.
        scores = self.scores[first : tf.minimum(tf.cast(down[-1], tf.int32) + 2, height)]
        across = shares(self.positions(1, columns, size[1]), width, scores.dtype)
        around, count = tf.shape(scores)[0], tf.size(columns)
        wide = tf.reshape(tf.matmul(across, scores), [around, count * classes])
        down = shares(down - tf.cast(first, tf.float32), around, scores.dtype)
        return tf.reshape(tf.matmul(down, wide), [tf.size(rows), count, classes])


def enlarged(seen: Seen, size: tf.Tensor) -> tf.Tensor:
    """The scores of all pixels, float32 `[height, width, C]`; they take memory, see above.

    Args:
        seen: the scores.
        size: int32 `[2]`, height and width of the result.
    """
    return seen.enlarged(size, tf.range(size[0]), tf.range(size[1]))


def class_ids(seen: Seen, size: tf.Tensor) -> tf.Tensor:
    """The class of the highest enlarged score of every pixel, the first of equal ones.

    Args:
        seen: the scores.
        size: int32 `[2]`, height and width of the result, in the picture's proportions.

    Returns:
        uint8 `[height, width]`.
    """
    highest = _highest(seen.scores)
    return _in_strips(seen, size, lambda *strip: _strip_ids(seen, highest, size, *strip))


def confidences(seen: Seen, size: tf.Tensor) -> tf.Tensor:
    """The probability of the chosen class of every pixel, from 0 to 255 for 0 to 1.

    Args:
        seen: the scores.
        size: int32 `[2]`, height and width of the result, in the picture's proportions.

    Returns:
        uint8 `[height, width]`.
    """

    def strip(rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
        chosen = _probability_of_highest(seen.enlarged(size, rows, columns))
        return tf.cast(tf.round(255.0 * chosen), tf.uint8)

    return _in_strips(seen, size, strip)


def _in_strips(
    seen: Seen, size: tf.Tensor, compute: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """uint8 `[height, width]`, of what `compute` makes of rows and columns, both int32."""
    height, width = size[0], size[1]
    strip, columns = _strip(width, tf.shape(seen.scores)[2])
    across = (width + columns - 1) // columns
    count = (height + strip - 1) // strip * across

    def add(index: tf.Tensor, found: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        top, left = index // across * strip, index % across * columns
        pixels = compute(
            tf.range(top, tf.minimum(top + strip, height)),
            tf.range(left, tf.minimum(left + columns, width)),
        )
        return index + 1, found.write(index, tf.reshape(pixels, [-1]))

    found = tf.TensorArray(tf.uint8, count, infer_shape=False, element_shape=[None])
    _, found = tf.while_loop(lambda index, _: index < count, add, (0, found), parallel_iterations=1)
    return tf.reshape(found.concat(), size)


def _highest(scores: tf.Tensor) -> tf.Tensor:
    """uint8 `[…]`: the first of the highest of scores `[…, C]`.

    `top_k` was quicker than `argmax` on a CPU for 7, 21 and 150 classes.
    """
    return tf.cast(tf.math.top_k(scores, k=1, sorted=False).indices[..., 0], tf.uint8)


def _strip_ids(
    seen: Seen, highest: tf.Tensor, size: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor
) -> tf.Tensor:
    """uint8 `[r, c]`: the classes of some pixels, see `class_ids`.

    Between scores of which one class has the highest everywhere it has it, too, for they are
    weighed alike. So only the columns where some scores of the strip's disagree are enlarged.
    """
    down, across = seen.positions(0, rows, size[0]), seen.positions(1, columns, size[1])
    # [n, w], the classes of the scores around these rows.
    around = highest[tf.cast(down[0], tf.int32) : tf.cast(tf.math.ceil(down[-1]), tf.int32) + 1]
    agree = tf.reduce_all(around == around[:1], axis=0)
    left, right = tf.cast(across, tf.int32), tf.cast(tf.math.ceil(across), tf.int32)
    classes = tf.gather(around[0], left)
    agree = (
        tf.gather(agree, left) & tf.gather(agree, right) & (classes == tf.gather(around[0], right))
    )
    places = tf.where(~agree)
    found = _highest(seen.enlarged(size, rows, tf.boolean_mask(columns, ~agree)))
    ids = tf.repeat(classes[:, tf.newaxis], tf.size(rows), axis=1)
    return tf.transpose(tf.tensor_scatter_nd_update(ids, places, tf.transpose(found)))


def _strip(width: tf.Tensor, classes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Rows and columns of a strip: whole rows, or a part of one."""
    columns = tf.minimum(width, _COLUMNS)
    rows = tf.maximum(1, _SCORES_OF_A_STRIP // (columns * classes))
    return tf.where(columns < width, 1, rows), columns


def mean_confidence(seen: Seen, size: tf.Tensor) -> tf.Tensor:
    """The mean probability of the class that was chosen, over an even grid of pixels.

    Args:
        seen: the scores.
        size: int32 `[2]`, height and width of the mask.

    Returns:
        float32 scalar in (0, 1].
    """
    step = tf.maximum(1, (size + _GRID - 1) // _GRID)
    scores = seen.enlarged(size, tf.range(0, size[0], step[0]), tf.range(0, size[1], step[1]))
    return tf.reduce_mean(_probability_of_highest(scores))


def _probability_of_highest(scores: tf.Tensor) -> tf.Tensor:
    """float32 `[…]` in (0, 1], of scores `[…, C]`."""
    highest = tf.reduce_max(scores, -1, keepdims=True)
    return 1.0 / tf.reduce_sum(tf.exp(scores - highest), -1)


def present(ids: tf.Tensor, num_classes: int) -> tf.Tensor:
    """int32 `[C]`: the classes of a mask uint8 `[height, width]`, growing, then -1."""
    ids = tf.reshape(ids, [-1])

    def add(start: tf.Tensor, is_there: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        end = start + _PIXELS_OF_A_STRIP
        counts = tf.math.bincount(
            tf.cast(ids[start:end], tf.int32), minlength=num_classes, maxlength=num_classes
        )
        return end, is_there | (counts > 0)

    _, is_there = tf.while_loop(
        lambda start, _: start < tf.size(ids), add, (0, tf.zeros([num_classes], tf.bool))
    )
    classes = tf.boolean_mask(tf.range(num_classes), is_there)
    padded = tf.pad(classes, [[0, num_classes - tf.size(classes)]], constant_values=-1)
    return tf.ensure_shape(padded, [num_classes])


def confusion(
    label: tf.Tensor, ids: tf.Tensor, num_classes: int, ignore_label: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """The confusion matrix of one picture of any size, see `models.confusion`; in strips as well.

    Args:
        label: uint8 `[height, width]`, the truth.
        ids: uint8 `[height, width]`, the mask.
        num_classes: the number of classes C.
        ignore_label: pixels of this label are not counted.

    Returns:
        int64 `[C * C]`, and int64, the labels out of range.
    """
    label, ids = tf.reshape(label, [1, -1, 1]), tf.reshape(ids, [1, -1, 1])

    def add(start: tf.Tensor, matrix: tf.Tensor, out_of_range: tf.Tensor):
        end = start + _PIXELS_OF_A_STRIP
        counted, outside = confusion_matrix(
            label[:, start:end], ids[:, start:end], num_classes, ignore_label
        )
        counted = tf.reshape(tf.cast(counted, tf.int64), [-1])
        return end, matrix + counted, out_of_range + tf.cast(outside[0], tf.int64)

    nothing = tf.zeros([num_classes * num_classes], tf.int64), tf.constant(0, tf.int64)
    _, *found = tf.while_loop(
        lambda start, *_: start < tf.size(label), add, (0, *nothing), parallel_iterations=1
    )
    return tuple(found)
