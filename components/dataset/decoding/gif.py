"""The first frame of a GIF, without reading the others: an animation can hold thousands."""

import tensorflow as tf

from components.dataset.decoding.file_bytes import little, numbers, part

_HEADER = 13
_EXTENSION, _FRAME = 0x21, 0x2C
_TRAILER = b";"
# What the next byte starts, where it is no part of an extension or a frame.
_START, _DONE = 0, -1


def gif_size(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Height and width of the screen, int64."""
    return little(encoded, 8, 2), little(encoded, 6, 2)


def first_frame(encoded: tf.Tensor) -> tf.Tensor:
    """The file up to the end of its first frame, as a whole file (GIF89a specification).

    Raises:
        tf.errors.InvalidArgumentError: it ends before.
    """

    def step(place: tf.Tensor, within: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        value = _byte(encoded, place)
        is_start, is_frame = within == _START, value == _FRAME
        is_block = is_frame | (value == _EXTENSION)
        with tf.control_dependencies([tf.debugging.assert_equal(is_block | ~is_start, True)]):
            flags = _byte(
                encoded, place + tf.where(is_start & is_frame, tf.constant(9, tf.int64), 0)
            )
        head = tf.where(is_frame, 11 + _table_size(flags), tf.constant(2, tf.int64))
        after = tf.where(within == _FRAME, tf.constant(_DONE, tf.int64), _START)
        return (
            place + tf.where(is_start, head, 1 + value),
            tf.where(is_start, value, tf.where(value == 0, after, within)),
        )

    place = _HEADER + _table_size(_byte(encoded, 10))
    place, _ = tf.while_loop(
        lambda place, within: within != _DONE, step, (place, tf.constant(_START, tf.int64))
    )
    return tf.strings.join([part(encoded, 0, place), _TRAILER])


def _table_size(flags: tf.Tensor) -> tf.Tensor:
    """Bytes of the colour table that the flags announce."""
    size = 3 * tf.bitwise.left_shift(tf.constant(2, tf.int64), tf.bitwise.bitwise_and(flags, 7))
    return tf.where(flags >= 128, size, 0)


def _byte(encoded: tf.Tensor, place: tf.Tensor | int) -> tf.Tensor:
    return numbers(encoded, place, 1)[0]
