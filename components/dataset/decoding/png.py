"""What a PNG's chunks say; TensorFlow's own decoder refuses one that is cut off or damaged."""

import tensorflow as tf

from components.dataset.decoding.exif import UPRIGHT, orientation
from components.dataset.decoding.file_bytes import big, length, part

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_EXIF = b"eXIf"
_FRAME = 12
"""Bytes of a chunk beside what it holds: its size, its name, a checksum."""


def starts_with_header(encoded: tf.Tensor) -> tf.Tensor:
    """bool: whether the first chunk is the header, as it must be."""
    return part(encoded, len(SIGNATURE) + 4, 4) == b"IHDR"


def png_size(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Height and width, int64, from the header."""
    return big(encoded, 20, 4), big(encoded, 16, 4)


def png_orientation(encoded: tf.Tensor | bytes) -> tf.Tensor:
    """What the first chunk `eXIf` says, int64, see `exif.orientation`.

    It may stand before the pixels or behind them, so all chunks are passed.
    """
    size = length(encoded)

    def is_on_the_way(place: tf.Tensor, kind: tf.Tensor) -> tf.Tensor:
        return (place + _FRAME <= size) & (kind != _EXIF)

    def follow(place: tf.Tensor, kind: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        kind = part(encoded, place + 4, 4)
        after = place + _FRAME + big(encoded, place, 4)
        return tf.where(kind == _EXIF, place, after), kind

    start = tf.constant(len(SIGNATURE), tf.int64)
    place, kind = tf.while_loop(is_on_the_way, follow, (start, tf.constant(b"")))
    return tf.cond(
        kind == _EXIF,
        lambda: orientation(part(encoded, place + 8, big(encoded, place, 4))),
        lambda: tf.constant(UPRIGHT, tf.int64),
    )
