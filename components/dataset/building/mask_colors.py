"""Masks in colours: the class ids of the pixels, by the colours in the description.

A colour is red, green, blue and alpha: what is transparent is data too, and has to be declared.
"""

import numpy as np
import tensorflow as tf
from PIL import Image

from components.dataset.building.mask_kinds import BITS_PER_SAMPLE, tiff_tags
from components.dataset.building.picture_files import ProblemError
from components.dataset.examination import findings
from components.dataset.examination.image_files import png_bits
from schemas import Dataset
from schemas.description import hex_color

_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")
_OPAQUE = 255


def ids_of_colors(image: Image.Image, encoded: bytes, dataset: Dataset) -> np.ndarray:
    """Class ids `[height, width]`, uint8, of a mask in the classes' colours.

    Args:
        image: the mask, opened.
        encoded: its file.
        dataset: colours of its classes, and of what is ignored.

    Raises:
        ProblemError: a colour is not declared, or the file holds others than can be read exactly.
    """
    packed_HW = _packed_colors(_rgba(image, encoded))
    ids = {_packed(color): dataset.ignore_label for color in dataset.source.ignore_colors}
    ids |= {_packed(info.color): info.id for info in dataset.classes}
    present, place_HW = np.unique(packed_HW, return_inverse=True)
    unknown = [_unpacked(int(color)) for color in present if int(color) not in ids]
    if unknown:
        raise ProblemError(*findings.unknown_colors([hex_color(color) for color in unknown]))
    table = np.array([ids[int(color)] for color in present], np.uint8)
    return table[place_HW.reshape(packed_HW.shape)]


def _packed_colors(rgba_HW4: np.ndarray) -> np.ndarray:
    """uint32 `[height, width]`; what is not seen at all is one colour, whatever lies below."""
    packed_HW = np.ascontiguousarray(rgba_HW4).view(">u4")[..., 0].astype(np.uint32)
    packed_HW[rgba_HW4[..., 3] == 0] = 0
    return packed_HW


def _packed(color: tuple[int, ...]) -> int:
    return int.from_bytes(bytes((*color, _OPAQUE)[:4]), "big")


def _unpacked(packed: int) -> tuple[int, ...]:
    *color, alpha = packed.to_bytes(4, "big")
    return tuple(color) if alpha == _OPAQUE else (*color, alpha)


def _rgba(image: Image.Image, encoded: bytes) -> np.ndarray:
    """uint8 `[height, width, 4]`, exactly as the file has them.

    Raises:
        ProblemError: it has more than 8 bits of something, or no such colours.
    """
    bits = 8
    if image.format == "PNG":
        bits = png_bits(encoded)
    elif image.format == "TIFF":
        bits = max(tiff_tags(encoded).get(BITS_PER_SAMPLE, (1,)))
    if bits > 8:
        return _of_16_bits(image, encoded)
    if image.mode not in _MODES:
        _refuse(f"colours of red, green and blue, got mode {image.mode}")
    if image.mode in ("P", "PA"):
        _check_palette(image)
    if image.format == "PNG" and image.mode == "L" and "transparency" in image.info:
        # Pillow spreads what fewer bits hold over 0 to 255, but not the value that is transparent.
        image.load()
        image.info["transparency"] *= 255 // (2**bits - 1)
    if image.mode == "1":
        image = image.convert("L")
    return np.asarray(image.convert("RGBA"))


def _of_16_bits(image: Image.Image, encoded: bytes) -> np.ndarray:
    """Of a PNG; Pillow gives the upper half alone, which may be another colour."""
    image.load()
    if image.format != "PNG" or "transparency" in image.info:
        _refuse("8 bits for each colour, got 16; to fix, save it with 8")
    values_HWC = tf.io.decode_png(encoded, dtype=tf.uint16).numpy()
    if (values_HWC >> 8 != values_HWC & 0xFF).any():
        _refuse("8 bits for each colour, got 16 that hold more; to fix, save it with 8")
    pixels_HWC = (values_HWC >> 8).astype(np.uint8)
    channels = pixels_HWC.shape[2]
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    pixels = pixels_HWC[..., 0] if channels == 1 else pixels_HWC
    return np.asarray(Image.fromarray(pixels, mode).convert("RGBA"))


def _check_palette(image: Image.Image) -> None:
    """An index beyond the palette has no colour; libraries make it black.

    Raises:
        ProblemError: there is one.
    """
    indices = np.asarray(image.getchannel(0))
    colors = len(image.palette.palette) // len(image.palette.mode)
    if indices.max() >= colors:
        raise ProblemError(
            findings.CORRUPT_MASK,
            f"expected indices of the palette's {colors} colours, got {indices.max()}",
        )


def _refuse(what: str) -> None:
    raise ProblemError(findings.UNSUITABLE_MASK, f"expected {what}")
