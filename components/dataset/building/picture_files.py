"""Picture files: what goes into a record as it is, and what is written anew.

A JPEG or PNG goes in untouched, unless its EXIF says that it does not lie upright: most who read
records do not ask EXIF. That and all other pictures become a PNG, which changes no pixel.
"""

import contextlib
import dataclasses
import io
import warnings
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from PIL import Image

from components import texts
from components.dataset.building.formats import FORMATS
from components.dataset.decoding.exif import UPRIGHT, orientation, turn_upright
from components.dataset.decoding.image import DAMAGED, decode_image
from components.dataset.decoding.png import png_orientation
from components.dataset.examination import findings
from components.dataset.examination.image_files import JPEG, PNG, png_chunks, png_damage
from components.dataset.limits import DEFAULT

_DECODED_AS_SERVED = ("BMP", "GIF")
_TIFF_ORIENTATION = 0x0112
# Of a PNG, what Pillow needs for the pixels. It refuses a file for megabytes of text or of a colour
# profile, which every editor may write.
_PIXEL_CHUNKS = (b"tRNS", b"acTL", b"fcTL", b"fdAT")


class ProblemError(Exception):
    """What is wrong with a file: cause, see `findings`, and detail."""


@dataclasses.dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it goes into the record, but for one that lies otherwise than upright."""

    encoded: bytes
    format: str
    turned_by: int = UPRIGHT
    """How its file lay, see `decoding.exif`, where it is upright now."""
    rewritten: str = ""
    """Why it is written anew; empty where it is as it was."""

    @property
    def ending(self) -> str:
        """Of the name of a file that holds it."""
        return ".jpg" if self.format == "jpeg" else f".{self.format}"


@contextlib.contextmanager
def opened(encoded: bytes, corrupt: str) -> Iterator[Image.Image]:
    """An image file, not decoded yet; whatever a decoder raises in the context is a problem.

    Args:
        encoded: the file.
        corrupt: the cause, where the file is damaged.
    """
    with warnings.catch_warnings():
        # Pillow warns of odd metadata, and of what may be a bomb; the bound below is a refusal.
        warnings.simplefilter("ignore")
        try:
            if encoded.startswith(PNG):
                if damage := png_damage(encoded):
                    raise ProblemError(corrupt, f"{DAMAGED}: {damage}")
                encoded = _without_metadata(encoded)
            with Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
                _check_size(image, encoded, corrupt)
                yield image
        except ProblemError:
            raise
        except Exception as error:  # At damaged bytes Pillow's decoders raise what they like.
            raise ProblemError(corrupt, _reason(error)) from error


def record_picture(encoded: bytes) -> Picture:
    """The picture's file as it goes into a record, written anew where it has to be.

    What goes in untouched is not decoded: that is for the examination of what the record holds.

    Raises:
        ProblemError: it is no picture, or cannot be written anew.
    """
    if encoded.startswith(JPEG):
        return Picture(encoded, "jpeg")
    if encoded.startswith(PNG):
        return Picture(encoded, "png")
    with opened(encoded, findings.CORRUPT_PICTURE) as image:
        turned_by = stored_orientation(image, encoded)
        pixels = _as_served(encoded) if image.format in _DECODED_AS_SERVED else None
        if pixels is None:
            pixels = _rgb(image)
            # Newer versions of Pillow turn a TIFF themselves, and forget its tag.
            if stored_orientation(image, encoded) == turned_by:
                pixels = turn_upright(pixels, turned_by).numpy()
        return Picture(as_png(pixels), "png", turned_by, f"{image.format} as PNG")


def turned_upright(pixels: np.ndarray, turned_by: int) -> Picture:
    """A picture whose file does not lie upright.

    Args:
        pixels: RGB, uint8, upright.
        turned_by: how the file lay.
    """
    return Picture(as_png(pixels), "png", turned_by, "turned upright as EXIF says, as PNG")


def stored_orientation(image: Image.Image, encoded: bytes) -> int:
    """How a file lies, see `decoding.exif`: by its EXIF, or a TIFF's own tag, and nothing else.

    Args:
        image: opened, not decoded yet.
        encoded: the file.
    """
    if image.format == "TIFF":
        value = image.tag_v2.get(_TIFF_ORIENTATION, UPRIGHT)
        return value if value in range(1, 9) else UPRIGHT
    if image.format == "PNG":
        return int(png_orientation(encoded)) if b"eXIf" in encoded else UPRIGHT
    return int(orientation(image.info.get("exif", b"")))


def as_png(pixels: np.ndarray) -> bytes:
    """Pixels, uint8 `[height, width]` or `[height, width, 3]`, as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _as_served(encoded: bytes) -> np.ndarray | None:
    """RGB as the served model decodes it; None where it does not take files of this kind."""
    try:
        decoded = decode_image(encoded, DEFAULT)
    except tf.errors.OpError:
        return None
    return None if decoded.problem.numpy() else decoded.pixels.numpy()


def _check_size(image: Image.Image, encoded: bytes, corrupt: str) -> None:
    """Compares with the limits, in the words of `decoding.image`.

    Raises:
        ProblemError: it is too large.
    """
    limits = DEFAULT
    width, height = image.size
    if len(encoded) > limits.max_bytes:
        raise ProblemError(
            corrupt, f"expected at most {limits.max_bytes:,} bytes, got {len(encoded)}"
        )
    if width * height > limits.max_pixels:
        raise ProblemError(
            corrupt,
            f"expected at most {limits.max_pixels:,} pixels, got {texts.size(width, height)}",
        )


def _without_metadata(encoded: bytes) -> bytes:
    """A PNG file without what no pixel depends on."""
    return PNG + b"".join(
        chunk
        for name, chunk in png_chunks(encoded)
        # PNG specification, 5.4: what has a large first letter is needed to decode.
        if name[:1].isupper() or name in _PIXEL_CHUNKS
    )


def _reason(error: Exception) -> str:
    """One line, without the address of the stream that Pillow puts into its message."""
    if isinstance(error, Image.UnidentifiedImageError):
        return "expected a picture file such as JPEG, PNG or TIFF, got something else"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _rgb(image: Image.Image) -> np.ndarray:
    """RGB, uint8, as the file stores it."""
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow would cut off at 255 instead of scaling.
        grey_HW = np.asarray(image)
        if image.mode == "F" or grey_HW.min() < 0 or grey_HW.max() > 0xFFFF:
            raise ProblemError(
                findings.CORRUPT_PICTURE,
                f"expected 8 or 16 bits for each colour, got 32 ({grey_HW.dtype})",
            )
        image = Image.fromarray((grey_HW >> 8).astype(np.uint8))
    return np.asarray(image.convert("RGB"))
