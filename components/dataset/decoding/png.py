"""What a PNG's chunks say; TensorFlow's own decoder refuses one that is cut off or damaged."""

import tensorflow as tf

from components.dataset.decoding.exif import UPRIGHT, orientation
from components.dataset.decoding.file_bytes import big, part

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_size(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Height and width, int64, from the header."""
    return big(encoded, 20, 4), big(encoded, 16, 4)


def png_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """What a chunk `eXIf` says, int64, see `exif.orientation`.

    It may stand before the pixels or behind them. Its name is looked for anywhere, which is quicker
    than to follow thousands of chunks.
    """
    file = tf.io.decode_raw(encoded, tf.uint8)
    is_name = tf.reduce_all(
        tf.stack([file[i : tf.size(file) - 3 + i] == value for i, value in enumerate(b"eXIf")]), 0
    )
    place = tf.argmax(is_name)

    def found() -> tf.Tensor:
        return orientation(part(encoded, place + 4, big(encoded, place - 4, 4)))

    return tf.cond(tf.reduce_any(is_name), found, lambda: tf.constant(UPRIGHT, tf.int64))
