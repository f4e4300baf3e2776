"""How a picture lies: EXIF's tag 0x0112 alone, and turning pixels by it.

What else may name an orientation (XMP, a text in a PNG) is not followed: viewers do not either.
"""

import tensorflow as tf

from components.dataset.decoding.file_bytes import big, length, little, numbers, part

UPRIGHT = 1
_PREFIX = b"Exif\0\0"
_LITTLE, _BIG = b"II\x2a\0", b"MM\0\x2a"
_ORIENTATION = 0x0112
_ENTRY = 12
# TIFF 6.0, section 2: BYTE, SHORT, LONG and their signed kin. Cameras write a SHORT, programs any.
_ONE_BYTE, _TWO_BYTES, _FOUR_BYTES = (1, 6), (3, 8), (4, 9)


def orientation(exif: tf.Tensor | bytes) -> tf.Tensor:
    """int64, 1 to 8, as EXIF 2.32 numbers them; 1 where EXIF is broken or says nothing.

    Args:
        exif: a block of EXIF from the order of its bytes on, with or without `Exif\\0\\0` before.
    """
    start = tf.where(part(exif, 0, len(_PREFIX)) == _PREFIX, len(_PREFIX), 0)
    exif = part(exif, start, tf.strings.length(exif))
    size = length(exif)
    padded = tf.strings.join([exif, bytes(8)])
    order = part(padded, 0, 4)
    is_little = order == _LITTLE

    def number(place: tf.Tensor | int, count: int) -> tf.Tensor:
        return tf.where(is_little, little(padded, place, count), big(padded, place, count))

    place = number(4, 4)
    is_readable = (is_little | (order == _BIG)) & (place + 2 <= size)
    place = tf.where(is_readable, place, 0)
    room = (size - place - 2) // _ENTRY
    count = tf.where(is_readable, tf.minimum(number(place, 2), room), 0)
    entries = tf.reshape(numbers(padded, place + 2, count * _ENTRY), [-1, _ENTRY])
    return _of_entries(entries, is_little)


def _of_entries(entries: tf.Tensor, is_little: tf.Tensor) -> tf.Tensor:
    """The orientation among the entries, int64 `[count, 12]`, of a directory."""

    def number(places: list[int]) -> tf.Tensor:
        values = tf.gather(entries, places, axis=1)
        powers = tf.constant([256**i for i in range(len(places))], tf.int64)
        return tf.reduce_sum(values * tf.where(is_little, powers, tf.reverse(powers, [0])), axis=1)

    def is_one_of(values: tf.Tensor, wanted: tuple[int, ...]) -> tf.Tensor:
        return tf.reduce_any(values[:, None] == tf.constant(wanted, tf.int64), axis=1)

    kind, one = number([2, 3]), number([4, 5, 6, 7]) == 1
    value = tf.where(
        is_one_of(kind, _ONE_BYTE),
        entries[:, 8],
        tf.where(is_one_of(kind, _TWO_BYTES), number([8, 9]), number([8, 9, 10, 11])),
    )
    known = is_one_of(kind, (*_ONE_BYTE, *_TWO_BYTES, *_FOUR_BYTES))
    meant = (number([0, 1]) == _ORIENTATION) & known & one & (value >= 1) & (value <= 8)
    return tf.concat([tf.boolean_mask(value, meant), [UPRIGHT]], axis=0)[0]


def turn_upright(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Pixels `[height, width, channels]` as a viewer shows them.

    Args:
        pixels: as they are stored.
        orientation: int64, see above.
    """
    channels = pixels.shape[2]
    pixels = tf.cond(orientation >= 5, lambda: tf.transpose(pixels, [1, 0, 2]), lambda: pixels)
    # EXIF 2.32, 4.6.4: where the row 0 and the column 0 of what is stored are seen.
    upside_down = tf.reduce_any(orientation == tf.constant([3, 4, 7, 8], tf.int64))
    mirrored = tf.reduce_any(orientation == tf.constant([2, 3, 6, 7], tf.int64))
    axes = tf.boolean_mask([0, 1], tf.stack([upside_down, mirrored]))
    turned = tf.cond(tf.size(axes) > 0, lambda: tf.reverse(pixels, axes), lambda: pixels)
    return tf.ensure_shape(turned, [None, None, channels])
