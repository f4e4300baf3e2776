"""Pictures for people: label maps in the data set's colours, thumbnails, files inside a page."""

import base64
import io
from collections.abc import Collection

import numpy as np
from PIL import Image

from schemas import Dataset


def colourise(label_HW: np.ndarray, dataset: Dataset) -> bytes:
    """Class ids, uint8, to a palette PNG in the data set's colours."""
    image = Image.fromarray(label_HW)
    image.putpalette(np.uint8(dataset.palette).ravel().tolist())
    return encode(image, "PNG")


def overlay(
    image: Image.Image,
    label_HW: np.ndarray,
    dataset: Dataset,
    *,
    clear: Collection[int] = (),
    opacity: float = 0.6,
) -> Image.Image:
    """The picture, RGB, with the colours of its labels laid over it.

    Args:
        image: the picture, of any size.
        label_HW: class ids, uint8; stretched to the picture.
        dataset: whose colours.
        clear: labels that are not coloured, such as the background.
        opacity: of the colours, in [0, 1].
    """
    image_HW3 = np.asarray(image.convert("RGB"), np.float32)
    label = Image.fromarray(label_HW).resize(image.size, Image.Resampling.NEAREST)
    opacity_256 = np.full(256, opacity, np.float32)
    opacity_256[list(clear)] = 0
    opacity_HW1 = opacity_256[np.asarray(label)][..., None]
    color_HW3 = np.float32(dataset.palette)[np.asarray(label)]
    mixed_HW3 = image_HW3 + opacity_HW1 * (color_HW3 - image_HW3)
    return Image.fromarray(np.rint(mixed_HW3).astype(np.uint8))


def thumbnail(image: Image.Image, side: int, *, smooth: bool = True) -> Image.Image:
    """The picture shrunk so that its long side is at most `side`; never enlarged.

    Args:
        image: the picture; it is not changed.
        side: in pixels.
        smooth: False for label maps, whose ids must not be mixed.
    """
    scale = min(1.0, side / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS if smooth else Image.Resampling.NEAREST)


def encode(image: Image.Image, file_format: str, **options: object) -> bytes:
    """The picture as a file, `file_format` and `options` as in `Image.save`."""
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def data_url(encoded: bytes) -> str:
    """A PNG or JPEG file as an address that needs no other file."""
    kind = "png" if encoded.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(encoded).decode()}"
