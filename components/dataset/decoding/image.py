"""The decoders that train, judge and serve: nothing else makes pixels of a record."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from components.dataset.decoding import bmp, gif, jpeg, png
from components.dataset.decoding.exif import UPRIGHT, turn_upright
from components.dataset.decoding.file_bytes import part
from components.dataset.limits import Limits

DAMAGED = "the file is cut off or damaged"
_SMALL_FRAME = "expected a GIF whose first frame fills its screen, got a smaller one"
UNKNOWN = "expected a JPEG, PNG, GIF or BMP file, got something else"


_Pixels = tuple[tf.Tensor, tf.Tensor]
"""As they are stored, and what is wrong with them."""


class Decoded(NamedTuple):
    """A picture, or why there is none."""

    pixels: tf.Tensor
    """uint8 `[height, width, channels]`, upright; one black pixel where there is a problem."""
    problem: tf.Tensor
    """string, empty where the pixels are those of the file."""
    orientation: tf.Tensor
    """int64, how the file lies, see `exif.orientation`; the pixels are turned already."""


class _Header(NamedTuple):
    """What a file says before it is decoded."""

    height: tf.Tensor
    width: tf.Tensor
    orientation: tf.Tensor
    problem: tf.Tensor


def decode_image(encoded: tf.Tensor | bytes, limits: Limits) -> Decoded:
    """A JPEG, PNG, GIF (its first frame) or BMP file to RGB, upright as its EXIF says.

    Args:
        encoded: string, the file.
        limits: what is larger is not decoded.

    Raises:
        tf.errors.InvalidArgumentError: it is damaged; in a graph, where nothing else can be said.
    """
    return _image_decoder(limits)(encoded)


def decode_label(encoded: tf.Tensor | bytes, limits: Limits) -> Decoded:
    """A one-channel PNG of class ids to uint8 `[height, width, 1]`; the rest as `decode_image`."""
    return _label_decoder(limits)(encoded)


# Traced once in a process: a trace takes seconds, and graphs of Transform are built many times.
@functools.cache
def _image_decoder(limits: Limits):
    @tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
    def decode(encoded: tf.Tensor) -> Decoded:
        def known() -> Decoded:
            # Not `tf.switch_case`, which TensorFlow Transform cannot write down.
            otherwise = functools.partial(_none, UNKNOWN)
            for start, one in _FORMATS.items():
                otherwise = functools.partial(
                    tf.cond,
                    part(encoded, 0, len(start)) == start,
                    functools.partial(one, encoded, limits),
                    otherwise,
                )
            return otherwise()

        return _unless_too_long(encoded, limits, known)

    return decode


@functools.cache
def _label_decoder(limits: Limits):
    @tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
    def decode(encoded: tf.Tensor) -> Decoded:
        def label() -> Decoded:
            header = _png_header(encoded, limits)
            return _decode(header, lambda: _whole(tf.io.decode_png(encoded, channels=1)), 1)

        return _unless_too_long(encoded, limits, label, channels=1)

    return decode


def _unless_too_long(
    encoded: tf.Tensor, limits: Limits, decode: Callable[[], Decoded], channels: int = 3
) -> Decoded:
    """Decodes a file of no more bytes than may be."""
    size = tf.strings.length(encoded)
    expected = f"expected at most {limits.max_bytes:,} bytes, got "
    too_long = tf.strings.join([expected, tf.strings.as_string(size)])
    return tf.cond(size > limits.max_bytes, lambda: _none(too_long, channels), decode)


def _size_problem(limits: Limits, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """string, empty where so many pixels may be; in the words of `texts.size`, width first."""
    got = [tf.strings.as_string(width), "x", tf.strings.as_string(height)]
    expected = f"expected at most {limits.max_pixels:,} pixels, got "
    return tf.where(height * width <= limits.max_pixels, "", tf.strings.join([expected, *got]))


def _jpeg(encoded: tf.Tensor, limits: Limits) -> Decoded:
    markers = jpeg.Markers(*jpeg.jpeg_markers(encoded))
    problem = _size_problem(limits, markers.height, markers.width)
    problem = tf.where((problem == "") & (markers.end < 0), DAMAGED, problem)
    header = _Header(markers.height, markers.width, markers.orientation, problem)

    def decode() -> _Pixels:
        pixels = jpeg.decode(encoded)
        is_whole = jpeg.is_whole(encoded, markers, pixels)
        return pixels, tf.where(is_whole, "", DAMAGED)

    return _decode(header, decode)


def _png_header(encoded: tf.Tensor, limits: Limits) -> _Header:
    height, width = png.png_size(encoded)
    problem = _size_problem(limits, height, width)
    problem = tf.where(png.starts_with_header(encoded), problem, DAMAGED)
    return _Header(height, width, png.png_orientation(encoded), problem)


def _png(encoded: tf.Tensor, limits: Limits) -> Decoded:
    header = _png_header(encoded, limits)
    return _decode(header, lambda: _whole(tf.io.decode_png(encoded, channels=3)))


def _gif(encoded: tf.Tensor, limits: Limits) -> Decoded:
    height, width = gif.gif_size(encoded)
    problem = _size_problem(limits, height, width)
    header = _Header(height, width, tf.constant(UPRIGHT, tf.int64), problem)

    def decode() -> _Pixels:
        frame = gif.first_frame(encoded)
        pixels = tf.io.decode_image(frame, channels=3, expand_animations=False)
        fills = tf.reduce_all(tf.shape(pixels, tf.int64)[:2] == tf.stack([height, width]))
        return pixels, tf.where(fills, "", _SMALL_FRAME)

    return _decode(header, decode)


def _bmp(encoded: tf.Tensor, limits: Limits) -> Decoded:
    height, width = bmp.bmp_size(encoded)
    problem = _size_problem(limits, height, width)
    problem = tf.where(problem == "", bmp.bmp_problem(encoded), problem)
    header = _Header(height, width, tf.constant(UPRIGHT, tf.int64), problem)
    return _decode(header, lambda: _whole(bmp.decode_bmp(encoded)))


def _decode(header: _Header, decode: Callable[[], _Pixels], channels: int = 3) -> Decoded:
    """Decodes where the header has no problem, and turns upright."""

    def nothing(problem: tf.Tensor) -> _Pixels:
        return tf.zeros([1, 1, channels], tf.uint8), problem

    def upright() -> _Pixels:
        pixels, problem = decode()
        pixels = tf.ensure_shape(pixels, [None, None, channels])
        return tf.cond(
            problem == "",
            lambda: (turn_upright(pixels, header.orientation), problem),
            lambda: nothing(problem),
        )

    pixels, problem = tf.cond(header.problem == "", upright, lambda: nothing(header.problem))
    return Decoded(tf.ensure_shape(pixels, [None, None, channels]), problem, header.orientation)


def _whole(pixels: tf.Tensor) -> _Pixels:
    return pixels, tf.constant("")


def _none(problem: tf.Tensor | str, channels: int = 3) -> Decoded:
    return Decoded(
        tf.zeros([1, 1, channels], tf.uint8),
        tf.convert_to_tensor(problem),
        tf.constant(UPRIGHT, tf.int64),
    )


_FORMATS = {b"BM": _bmp, b"GIF8": _gif, png.SIGNATURE: _png, b"\xff\xd8\xff": _jpeg}
"""By what their files start with; the commonest, which is asked for first, last."""
