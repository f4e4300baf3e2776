"""Picture files: what goes into a record as it is, and what is written anew.

A JPEG or PNG goes in untouched, unless its EXIF tag says that it lies on its side; other pictures
become a PNG.
"""

import collections
import contextlib
import dataclasses
import io
import warnings
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageOps

from components.dataset.examination import findings
from components.dataset.examination.examine import pixels_problem
from components.dataset.examination.image_files import png_chunks

# What goes into a record as it is; MPO is a JPEG with more pictures behind it, as telephones write.
_NATIVE = {"JPEG": "jpeg", "MPO": "jpeg", "PNG": "png"}
# No others are opened: Pillow would hand an EPS file to Ghostscript, which runs it as a program.
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
_EXIF_ORIENTATION = 0x0112
_TURNED = range(2, 9)
_JPEG_QUALITY = 95


class ProblemError(Exception):
    """What is wrong with a file: cause, see `findings`, and detail."""


@dataclasses.dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it goes into the record."""

    encoded: bytes
    format: str
    ending: str
    stored_size: tuple[int, int]
    """Width and height before it is turned upright."""
    rewritten: str = ""
    """Why it is written anew; empty where it is as it was."""


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
            with Image.open(io.BytesIO(encoded), formats=_FORMATS) as image:
                if too_large := pixels_problem(*image.size):
                    raise ProblemError(corrupt, too_large)
                if image.format == "PNG":
                    collections.deque(png_chunks(encoded), maxlen=0)
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
    with opened(encoded, findings.CORRUPT_PICTURE) as image:
        reason = _rewriting_reason(image)
        if reason:
            return _rewrite(image, reason)
        kind = _NATIVE[image.format]
    return Picture(encoded, kind, ".jpg" if kind == "jpeg" else f".{kind}", image.size)


def _reason(error: Exception) -> str:
    """One line, without the address of the stream that Pillow puts into its message."""
    if isinstance(error, Image.UnidentifiedImageError):
        return "expected a picture file such as JPEG, PNG or TIFF, got something else"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _rewriting_reason(image: Image.Image) -> str:
    """Why a picture cannot go into a record as it is; empty where it can."""
    if image.format not in _NATIVE:
        return f"{image.format} as PNG"
    if image.getexif().get(_EXIF_ORIENTATION) in _TURNED:
        return "turned upright as EXIF says"
    return ""


def _rewrite(image: Image.Image, reason: str) -> Picture:
    """The picture upright, in 8-bit colours: a JPEG stays a JPEG, all else becomes a PNG."""
    stored_size = image.size
    as_jpeg = _NATIVE.get(image.format) == "jpeg"
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I") or upright.mode == "F":
        # Pillow would cut off at 255 instead of scaling.
        grey_HW = np.asarray(upright)
        if upright.mode == "F" or grey_HW.min() < 0 or grey_HW.max() > 0xFFFF:
            raise ProblemError(
                findings.CORRUPT_PICTURE,
                f"expected 8 or 16 bits for each colour, got 32 ({grey_HW.dtype})",
            )
        upright = Image.fromarray((grey_HW >> 8).astype(np.uint8))
    upright = upright.convert("RGB")
    file = io.BytesIO()
    if as_jpeg:
        upright.save(file, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
        return Picture(file.getvalue(), "jpeg", ".jpg", stored_size, reason)
    upright.save(file, "PNG")
    return Picture(file.getvalue(), "png", ".png", stored_size, reason)
