"""BMP files with their palettes, of which TensorFlow's own decoder takes the indices for grey."""

import tensorflow as tf

from components.dataset.decoding.file_bytes import little, numbers, part

_FILE_HEADER, _INFO_HEADER = 14, 40
_SIDE = 2**16 - 1
"""As long as a JPEG's. No PNG, such as a mask, holds a million, and each row costs time."""


def bmp_size(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Height and width, int64; a negative height, of rows from the top, is made positive."""
    return tf.abs(_signed(little(encoded, 22, 4))), tf.abs(_signed(little(encoded, 18, 4)))


def bmp_problem(encoded: tf.Tensor) -> tf.Tensor:
    """Which BMP is not decoded, string; empty where it is."""
    bits, compression = little(encoded, 28, 2), little(encoded, 30, 4)
    known = tf.reduce_any(bits == tf.constant([1, 4, 8, 24, 32], tf.int64))
    plain = (little(encoded, _FILE_HEADER, 4) >= _INFO_HEADER) & (compression == 0) & known
    got = tf.strings.join([tf.strings.as_string(bits), " bits"])
    got = tf.where(compression == 0, got, tf.strings.join([got, ", compressed or with masks"]))
    expected = "expected a BMP of 1, 4, 8, 24 or 32 plain bits a pixel, got one of "
    problem = tf.where(plain, "", tf.strings.join([expected, got]))
    longest = tf.maximum(*bmp_size(encoded))
    expected = f"expected a BMP of at most {_SIDE:,} pixels a side, got one of "
    too_long = tf.strings.join([expected, tf.strings.as_string(longest)])
    return tf.where((problem == "") & (longest > _SIDE), too_long, problem)


def decode_bmp(encoded: tf.Tensor) -> tf.Tensor:
    """uint8 RGB `[height, width, 3]`.

    Raises:
        tf.errors.InvalidArgumentError: rows are missing.
    """
    height, width = bmp_size(encoded)
    bits = little(encoded, 28, 2)
    row_bytes = (width * bits + 31) // 32 * 4
    start = little(encoded, 10, 4)
    stored = tf.io.decode_raw(part(encoded, start, height * row_bytes), tf.uint8)
    rows = tf.reshape(stored, [height, row_bytes])

    def colors() -> tf.Tensor:
        used = rows[:, : width * bits // 8]
        blue_first = tf.reshape(used, [height, width, bits // 8])[..., :3]
        return tf.cond(
            is_from_below,
            lambda: tf.reverse(blue_first, [0, 2]),
            lambda: tf.reverse(blue_first, [2]),
        )

    def indices() -> tf.Tensor:
        palette = _palette(encoded, start, bits)

        # Row by row: indices of 32 bits, which `gather` wants, of all would take more memory.
        def colors_of_row(row: tf.Tensor) -> tf.Tensor:
            stored = tf.where(is_from_below, height - 1 - row, row)
            used = _unpacked(rows[stored], tf.cast(bits, tf.int32))[:width]
            return tf.gather(palette, used)

        of_row = tf.TensorSpec([None, 3], tf.uint8)
        return tf.map_fn(colors_of_row, tf.range(height), fn_output_signature=of_row)

    is_from_below = _signed(little(encoded, 22, 4)) > 0
    return tf.ensure_shape(tf.cond(bits >= 24, colors, indices), [None, None, 3])


def _palette(encoded: tf.Tensor, end: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """uint8 RGB `[colours, 3]`; an index beyond them fails."""
    start = _FILE_HEADER + little(encoded, _FILE_HEADER, 4)
    named = little(encoded, 46, 4)
    count = tf.where(named > 0, named, tf.bitwise.left_shift(tf.constant(1, tf.int64), bits))
    count = tf.minimum(count, (end - start) // 4)
    table = tf.reshape(numbers(encoded, start, 4 * count), [-1, 4])
    return tf.cast(tf.reverse(table[:, :3], [1]), tf.uint8)


def _unpacked(row: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """int32 `[≥ width]`: one value for each `bits` of every byte, the highest first."""
    shifts = tf.range(8 - bits, -1, -bits)
    values = tf.bitwise.right_shift(tf.cast(row, tf.int32)[:, None], shifts)
    return tf.reshape(tf.bitwise.bitwise_and(values, tf.bitwise.left_shift(1, bits) - 1), [-1])


def _signed(value: tf.Tensor) -> tf.Tensor:
    return tf.where(value >= 2**31, value - 2**32, value)
