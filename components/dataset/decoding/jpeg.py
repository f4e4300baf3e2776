"""What a JPEG's markers say (ITU T.81), and whether its pixels are all there.

libjpeg fills what is missing with grey, warns on the terminal and says nothing to who called it.
TensorFlow's decoder passes that on as a picture, and nothing in a graph can read a warning. So the
same is found from outside: what becomes of a whole file does not depend on bytes behind its last
pixel. Damage in the middle that costs no rows cannot be seen so; who examines records sees it, see
`examination.jpeg_warnings`.
"""

import hashlib
from typing import NamedTuple

import tensorflow as tf

from components.dataset.decoding.exif import UPRIGHT, orientation
from components.dataset.decoding.file_bytes import part

_SOF0, _LAST_SOF = 0xC0, 0xCF
_NOT_SOF = (0xC4, 0xC8, 0xCC)
_EOI, _SOS, _APP1 = 0xD9, 0xDA, 0xE1
# Stuffed bytes, restarts, the start of a picture; and 0xFF again, which fills.
_NO_MARKERS = (0x00, 0x01, *range(0xD0, 0xD9), 0xFF)
_EXIF = tuple(b"Exif\0\0")
_END = b"\xff\xd9"
_HEAD = 22
"""So many bytes of a segment, its marker included, hold all that is read here."""
_DOUBLINGS = 12
"""Enough to follow 4,096 markers."""
_COEFFICIENTS, _COMPONENTS = 64, 4
_NOT_SENT = 99
_CORNER = 2


class Markers(NamedTuple):
    """What the markers say; int64 unless said otherwise."""

    height: tf.Tensor
    width: tf.Tensor
    orientation: tf.Tensor
    """See `exif.orientation`."""
    end: tf.Tensor
    """Where the end of the picture is marked; -1 where nothing marks it."""
    filled_in: tf.Tensor
    """int32: the grey that libjpeg gives to missing pixels."""
    is_complete: tf.Tensor
    """bool: each coefficient of each component was sent to its last bit."""


def _random_bytes(count: int) -> bytes:
    """The same ones always, none of them 0xFF, which starts a marker."""
    digests = (hashlib.sha256(bytes([i])).digest() for i in range(count // 32))
    return bytes(value % 255 for digest in digests for value in digest)


# What no decoder takes for missing pixels: noise, with every restart marker in it.
_FILLER = _random_bytes(512) + b"".join(
    bytes([0xFF, 0xD0 + i]) + _random_bytes(64) for i in range(8)
)


def jpeg_markers(encoded: tf.Tensor) -> Markers:
    """What stands between the start of a file and the first end of a picture.

    Without a loop: it costs a graph as much time as the decoding of a small picture.
    """
    file = tf.io.decode_raw(encoded, tf.uint8)
    places, kinds = _markers(file)
    bytes_of_head = places[:, None] + tf.range(_HEAD, dtype=tf.int64)
    last = tf.size(file, tf.int64) - 1
    heads = tf.cast(tf.gather(file, tf.minimum(bytes_of_head, last)), tf.int64)
    is_exif = (kinds == _APP1) & tf.reduce_all(heads[:, 4:10] == _EXIF, axis=1)
    first = tf.argmax(is_exif)
    lies = tf.cond(
        tf.reduce_any(is_exif),
        lambda: _orientation(encoded, places[first], heads[first]),
        lambda: tf.constant(UPRIGHT, tf.int64),
    )
    is_frame = (kinds >= _SOF0) & (kinds <= _LAST_SOF) & ~_is_one_of(kinds, _NOT_SOF)
    # A row of zeros for a file without.
    frame = tf.pad(tf.boolean_mask(heads, is_frame), [[0, 1], [0, 0]])[0]
    ends = tf.boolean_mask(places, kinds == _EOI)
    return Markers(
        height=256 * frame[5] + frame[6],
        width=256 * frame[7] + frame[8],
        orientation=lies,
        end=tf.concat([ends, [-1]], axis=0)[0],
        filled_in=tf.where(frame[9] == _COMPONENTS, 64, 128),  # Of four inks, and of all else.
        is_complete=_is_complete(frame, tf.boolean_mask(heads, kinds == _SOS)),
    )


def _markers(file: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Places and kinds, int64 and int32, of the markers up to the end of the picture.

    Args:
        file: uint8, its bytes.
    """
    last = tf.size(file, tf.int64) - 1
    # Few bytes are 0xFF, so that the rest takes next to no memory.
    places = tf.where(file == 0xFF)[:, 0]
    kinds = tf.cast(tf.gather(file, tf.minimum(places + 1, last)), tf.int32)
    may_be = (places < last) & ~_is_one_of(kinds, _NO_MARKERS)
    places, kinds = tf.boolean_mask(places, may_be), tf.boolean_mask(kinds, may_be)
    # Each but the end says how far away the next is. What is not met on the way from the first is
    # none: a thumbnail within EXIF is full of markers.
    sizes = [tf.cast(tf.gather(file, tf.minimum(places + i, last)), tf.int64) for i in (2, 3)]
    count = tf.size(places)
    following = tf.searchsorted(places, places + 2 + 256 * sizes[0] + sizes[1])
    following = tf.where(kinds == _EOI, count, following)
    ahead = tf.concat([following, [count]], axis=0)
    is_met = tf.one_hot(0, count + 1, on_value=1, off_value=0)
    for _ in range(_DOUBLINGS):
        is_met = tf.tensor_scatter_nd_max(is_met, ahead[:, None], is_met)
        ahead = tf.gather(ahead, ahead)
    is_met = is_met[:-1] > 0
    return tf.boolean_mask(places, is_met), tf.boolean_mask(kinds, is_met)


def _orientation(encoded: tf.Tensor, place: tf.Tensor, head: tf.Tensor) -> tf.Tensor:
    """int64: what a segment of EXIF says, by its place and its head."""
    return orientation(part(encoded, place + 4, 256 * head[2] + head[3] - 2))


def _is_complete(frame: tf.Tensor, scans: tf.Tensor) -> tf.Tensor:
    """bool: whether each coefficient of each component was sent to its last bit.

    Args:
        frame: int64 `[size of a head]`, of the frame.
        scans: int64 `[scans, size of a head]`, in their order.
    """
    count = frame[9]
    components = frame[10::3][:_COMPONENTS]
    sent = scans[:, 4, None]  # How many components each has.
    place = tf.range(_COMPONENTS, dtype=tf.int64)
    names = tf.where(place < sent, scans[:, 5:13:2], -1)
    is_component = tf.reduce_any(names[:, None] == components[:, None], axis=2)
    tails = tf.stack([5 + 2 * scans[:, 4] + i for i in range(3)], axis=1)
    first, final, low_bit = tf.unstack(tf.gather(scans, tails, batch_dims=1), axis=1)
    coefficient = tf.range(_COEFFICIENTS, dtype=tf.int64)
    is_within = (coefficient >= first[:, None]) & (coefficient <= final[:, None])
    is_sent = is_component[:, :, None] & is_within[:, None]
    # Of each the last scan that sent it decides.
    number = tf.range(1, tf.size(first) + 1)[:, None, None]
    decides = tf.reduce_max(tf.where(is_sent, number, 0), axis=0)
    missing_bits = tf.gather(tf.concat([[_NOT_SENT], low_bit % 16], axis=0), decides)
    is_used = tf.range(_COMPONENTS, dtype=tf.int64) < count
    return tf.reduce_all((missing_bits == 0) | ~is_used[:, None])


def _is_one_of(values: tf.Tensor, wanted: tuple[int, ...]) -> tf.Tensor:
    """bool, elementwise."""
    return tf.reduce_any(values[..., None] == tf.constant(wanted, values.dtype), axis=-1)


def decode(encoded: tf.Tensor, ratio: int = 1) -> tf.Tensor:
    """uint8 RGB `[height, width, 3]`, as it is stored.

    TensorFlow's own choice is a hasty transform, up to 17 of 255 levels from what other libraries
    see; that moved the official network's mean IoU on 300 pictures by 0.003.

    Args:
        encoded: the file.
        ratio: 2, 4 or 8 shrinks by it, which saves memory.
    """
    return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE", ratio=ratio)


def is_whole(encoded: tf.Tensor, markers: Markers, pixels: tf.Tensor) -> tf.Tensor:
    """bool: whether no rows are missing, and of a progressive picture no scans.

    Args:
        encoded: the file.
        markers: of it, with an end.
        pixels: what `decode` made of it.
    """

    def is_cut_off() -> tf.Tensor:
        data = part(encoded, 0, markers.end)
        # DC values alone, at an eighth of the size: that is quick, and takes little memory.
        filled = decode(tf.strings.join([data, _FILLER, _END]), ratio=8)
        return tf.reduce_any(filled != decode(tf.strings.join([data, _END]), ratio=8))

    # What libjpeg fills in is grey down to the last corner, so few whole files need the other
    # look, of which libjpeg says on the terminal that bytes are left over.
    corner = tf.cast(tf.reshape(pixels[-_CORNER:, -_CORNER:], [-1]), tf.int32)
    is_grey = tf.reduce_all(corner == markers.filled_in)
    return markers.is_complete & ~tf.cond(is_grey, is_cut_off, lambda: tf.constant(False))
