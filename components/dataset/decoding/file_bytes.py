"""Numbers out of the bytes of a file, in a graph."""

import tensorflow as tf


def part(encoded: tf.Tensor, place: tf.Tensor | int, count: tf.Tensor | int) -> tf.Tensor:
    """string: so many bytes of a file from a place on, fewer where it ends before."""
    place = tf.minimum(tf.cast(place, tf.int64), length(encoded))
    return tf.strings.substr(encoded, place, tf.cast(count, tf.int64))


def numbers(encoded: tf.Tensor, place: tf.Tensor | int, count: tf.Tensor | int) -> tf.Tensor:
    """int64 `[count]`: the bytes from a place on.

    Raises:
        tf.errors.InvalidArgumentError: the file ends before; in a graph, as in any function here.
    """
    values = tf.io.decode_raw(part(encoded, place, count), tf.uint8)
    return tf.cast(tf.ensure_shape(values, [None]), tf.int64)


def big(encoded: tf.Tensor, place: tf.Tensor | int, count: int) -> tf.Tensor:
    """An unsigned number of up to 4 bytes, the highest first."""
    return _number(encoded, place, count, [256 ** (count - 1 - i) for i in range(count)])


def little(encoded: tf.Tensor, place: tf.Tensor | int, count: int) -> tf.Tensor:
    """An unsigned number of up to 4 bytes, the lowest first."""
    return _number(encoded, place, count, [256**i for i in range(count)])


def length(encoded: tf.Tensor) -> tf.Tensor:
    """int64: how many bytes a file has."""
    return tf.cast(tf.strings.length(encoded), tf.int64)


def _number(encoded, place, count: int, weights: list[int]) -> tf.Tensor:
    # The multiplication fails where there are fewer bytes.
    return tf.reduce_sum(numbers(encoded, place, count) * tf.constant(weights, tf.int64))
