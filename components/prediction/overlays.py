"""A picture with its classes laid over it, and below it which colour is which class."""

from collections.abc import Sequence

import numpy as np
import pyvips
from PIL import Image, ImageDraw, ImageFont

from components import pictures, texts
from components.errors import ConfigError
from schemas import Dataset

SIDE = 2048
"""A larger picture is shrunk to it: an overlay is to be looked at."""
_NARROWEST = 320
"""Names of classes need room, however narrow the picture is."""
_OPACITY = 0.55
_ROWS = 128
"""Are mixed together: it takes forty bytes a pixel."""
_PAPER, _INK, _EDGE = (255, 255, 255), (20, 20, 20), (90, 90, 90)


def require_colors(dataset: Dataset, class_names: Sequence[str], name: str) -> None:
    """Refuses a description whose classes are not the model's: its colours would lie.

    Args:
        dataset: the description.
        class_names: of the model, by id.
        name: of the model.

    Raises:
        ConfigError: they differ.
    """
    if dataset.class_names != tuple(class_names):
        raise ConfigError(
            f"expected the classes of {name} in the description of {dataset.name}; got "
            f"{texts.listed(dataset.class_names)}; to fix, give the --schemas that the model "
            "learned by, or --no-overlays"
        )


def shrunk_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the overlay of a picture, without the names below."""
    scale = min(1.0, SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def shown_places(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of a mask that lie at the middles of its overlay's pixels, int64."""
    columns, rows = (
        np.minimum(((np.arange(count) + 0.5) * size / count).astype(np.int64), size - 1)
        for count, size in zip(shrunk_size(width, height), (width, height), strict=True)
    )
    return rows, columns


def shrunk_picture(source: bytes | str, width: int, height: int) -> Image.Image:
    """RGB as a viewer shows it, as large as the overlay.

    Args:
        source: the file, or its path.
        width: of the picture as it is seen.
        height: likewise.

    Raises:
        pyvips.Error: it cannot be decoded.
    """
    small = shrunk_size(width, height)
    thumbnail = pyvips.Image.thumbnail if isinstance(source, str) else pyvips.Image.thumbnail_buffer
    image = thumbnail(source, small[0], height=small[1], size="force")
    image = image.colourspace("srgb").cast("uchar")
    pixels = image.numpy().reshape(image.height, image.width, image.bands)
    return Image.fromarray(np.ascontiguousarray(pixels[..., :3]))


def overlay(
    picture: Image.Image, ids_HW: np.ndarray, pixels: np.ndarray, dataset: Dataset
) -> bytes:
    """The overlay as a JPEG file.

    The first class is left uncoloured where it is black, as the background of PASCAL VOC is.

    Args:
        picture: RGB.
        ids_HW: uint8, class ids, as large as it.
        pixels: `[C]`, how often each class is in the whole mask.
        dataset: names and colours.
    """
    clear = (0,) if dataset.classes[0].color == (0, 0, 0) else ()
    width, height = picture.size
    names = _names(pixels, dataset, max(_NARROWEST, width))
    whole = Image.new("RGB", (names.width, height + names.height), _PAPER)
    line_HW = _outline(ids_HW)
    for top in range(0, height, _ROWS):
        rows = slice(top, top + _ROWS)
        part = picture.crop((0, top, width, min(top + _ROWS, height)))
        mixed = pictures.overlay(part, ids_HW[rows], dataset, clear=clear, opacity=_OPACITY)
        drawn = np.where(line_HW[rows, :, None], np.uint8(255), np.asarray(mixed))
        whole.paste(Image.fromarray(drawn), (0, top))
    whole.paste(names, (0, height))
    return pictures.encode(whole, "JPEG", quality=90)


def _outline(ids_HW: np.ndarray) -> np.ndarray:
    """Where a class ends, bool; drawn white, for a colour may be that of what it lies on."""
    line = np.zeros(ids_HW.shape, bool)
    line[:, 1:] |= ids_HW[:, 1:] != ids_HW[:, :-1]
    line[1:] |= ids_HW[1:] != ids_HW[:-1]
    return line


def _names(pixels: np.ndarray, dataset: Dataset, width: int) -> Image.Image:
    """Colour, id, name and share of every class that is there, the most frequent first."""
    size = max(14, width // 64)
    font, gap = ImageFont.load_default(size), size // 2
    entries, left, top = [], gap, gap
    for label in sorted(np.flatnonzero(pixels), key=lambda label: -pixels[label]):
        about = dataset.classes[label]
        share = texts.percent(pixels[label] / pixels.sum(), 1)
        text = f"{about.id}: {about.name} {share}"
        needs = size + gap + int(font.getlength(text))
        if left > gap and left + needs + gap > width:
            left, top = gap, top + size + gap
        entries.append((left, top, text, about.color))
        left += needs + 2 * gap
    strip = Image.new("RGB", (width, top + size + gap), _PAPER)
    draw = ImageDraw.Draw(strip)
    for left, top, text, color in entries:
        draw.rectangle((left, top, left + size, top + size), fill=color, outline=_EDGE)
        draw.text((left + size + gap, top + size / 2), text, fill=_INK, font=font, anchor="lm")
    return strip
