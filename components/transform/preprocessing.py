"""Decoding, resizing and normalising: one TensorFlow Transform graph for training and serving.

Nothing else in the project prepares pictures for the network. The graph never fails on a picture
that cannot be decoded, it flags it: a server must answer the other pictures of the batch, while
the Trainer and the Evaluator refuse to go on.
"""

from typing import Any

import tensorflow as tf

from components.dataset import records
from components.dataset.decoding.image import DAMAGED, decode_image, decode_label
from components.dataset.limits import Limits

# Outputs of the graph. B: batch, S: side of the canvas.
IMAGE = "image"  # float32 [B, S, S, 3] in [-1, 1], padded with 0 (the mean pixel, 127.5)
LABEL = "label"  # int64 [B, S, S], class ids, padded with the ignore label
SIZE = "size"  # int64 [B, 2], height and width of the picture inside the canvas
ORIGINAL_SIZE = "original_size"  # int64 [B, 2], height and width of the picture, upright
PROBLEM = "problem"  # string [B], why the picture could not be decoded; empty where it could

_MEAN_PIXEL = 0.0  # normalised


def normalise(image: tf.Tensor) -> tf.Tensor:
    """RGB values 0-255 to float32 in [-1, 1], as the official networks expect them."""
    return tf.cast(image, tf.float32) * (2.0 / 255.0) - 1.0


def fit_size(height: tf.Tensor, width: tf.Tensor, canvas_size: int) -> tf.Tensor:
    """int32 `[2]`: the size at which a picture fits the canvas, aspect kept, never enlarged."""
    longest = tf.cast(tf.maximum(height, width), tf.float32)
    scale = tf.minimum(1.0, tf.cast(canvas_size, tf.float32) / longest)
    size = tf.round(tf.cast(tf.stack([height, width]), tf.float32) * scale)
    return tf.maximum(1, tf.cast(size, tf.int32))


def _letterbox(pixels: tf.Tensor, canvas_size: int, method: str) -> tuple[tf.Tensor, tf.Tensor]:
    """Shrinks to fit and returns the picture with its new size, both unpadded."""
    size = fit_size(tf.shape(pixels)[0], tf.shape(pixels)[1], canvas_size)
    shrunk = tf.cond(
        tf.reduce_all(size == tf.shape(pixels)[:2]),
        lambda: tf.cast(pixels, tf.float32),
        # Without antialiasing a large photograph would be sampled, not shrunk.
        lambda: tf.cast(
            tf.image.resize(pixels, size, method=method, antialias=method == "bilinear"),
            tf.float32,
        ),
    )
    return shrunk, size


def _pad(pixels: tf.Tensor, size: tf.Tensor, canvas_size: int, value: float) -> tf.Tensor:
    """Pads bottom and right to `[canvas_size, canvas_size, channels]`."""
    bottom, right = canvas_size - size[0], canvas_size - size[1]
    padded = tf.pad(pixels, [[0, bottom], [0, right], [0, 0]], constant_values=value)
    return tf.ensure_shape(padded, [canvas_size, canvas_size, pixels.shape[2]])


def map_tolerant(function, encoded: tf.Tensor, fallback: tuple[tf.Tensor, ...]):
    """Applies `function` to every file of a batch; where it fails, `fallback` stands.

    A graph has no exceptions, but `tf.data` can drop the elements that fail. One data set for the
    whole batch costs 4 ms a 513-pixel picture, one for each picture 14 ms.

    Args:
        function: the place in the batch, int32, and one encoded file to a tuple of tensors of fixed
            shape.
        encoded: string `[B]`.
        fallback: what stands for a file that fails, shaped as the outputs of `function`.

    Returns:
        The outputs, each with a leading batch dimension, and bool `[B]`: which files succeeded.
    """
    count = tf.size(encoded)
    numbered = tf.data.Dataset.from_tensor_slices((tf.range(count), encoded))
    done = numbered.map(
        lambda index, file: (index, *function(index, file)), num_parallel_calls=tf.data.AUTOTUNE
    ).ignore_errors()
    # The sentinel keeps the data set from being empty where every file fails.
    done = done.concatenate(tf.data.Dataset.from_tensors((count, *fallback)))
    index, *outputs = done.batch(tf.cast(count, tf.int64) + 1).get_single_element()
    # int32 [B]: the row of each picture among those done; the sentinel's, the last, if it failed.
    row = tf.tensor_scatter_nd_update(
        tf.fill([count + 1], tf.size(index) - 1), index[:, None], tf.range(tf.size(index))
    )[:count]
    # Where none failed they are in order, and need no copy.
    placed = tf.cond(
        tf.size(index) > count,
        lambda: [output[:count] for output in outputs],
        lambda: [tf.gather(output, row) for output in outputs],
    )
    return placed, row < tf.size(index) - 1


def preprocessing_fn(
    inputs: dict[str, tf.Tensor], custom_config: dict[str, Any]
) -> dict[str, tf.Tensor]:
    """The Transform graph, from raw records `[B, 1]` to the outputs named above.

    Images are resized bilinearly, masks to the nearest pixel. Nothing in it comes from the data. At
    serving there is no mask; the label is then all ignore.

    Args:
        inputs: the raw features; `image/encoded` and the mask are string `[B, 1]`.
        custom_config: `canvas_size`, `ignore_label`; `limits` by option, see `Limits`.
    """
    canvas_size = custom_config["canvas_size"]
    ignore_label = custom_config["ignore_label"]
    limits = Limits(**custom_config.get("limits", {}))

    images = tf.reshape(inputs[records.IMAGE], [-1])
    labels = tf.reshape(inputs[records.LABEL], [-1])

    def prepare_image(_, file):
        pixels, problem, _ = decode_image(file, limits)
        shrunk, size = _letterbox(pixels, canvas_size, "bilinear")
        canvas = _pad(normalise(shrunk), size, canvas_size, _MEAN_PIXEL)
        return canvas, size, tf.shape(pixels)[:2], problem

    def prepare_label(_, file):
        shrunk, size = _letterbox(decode_label(file, limits).pixels, canvas_size, "nearest")
        canvas = _pad(shrunk, size, canvas_size, float(ignore_label))
        return [tf.cast(canvas[..., 0], tf.int64)]

    one = tf.ones([2], tf.int32)
    (image, size, original_size, problem), is_done = map_tolerant(
        prepare_image, images, (tf.zeros([canvas_size, canvas_size, 3]), one, one, "")
    )
    (label,), _ = map_tolerant(
        prepare_label,
        labels,
        [tf.fill([canvas_size, canvas_size], tf.constant(ignore_label, tf.int64))],
    )
    return {
        IMAGE: image,
        LABEL: label,
        SIZE: tf.cast(size, tf.int64),
        ORIGINAL_SIZE: tf.cast(original_size, tf.int64),
        PROBLEM: tf.where(is_done, problem, DAMAGED),
    }
