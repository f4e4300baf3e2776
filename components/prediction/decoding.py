"""A picture of any size as upright RGB pixels in a file, some rows in memory at a time.

The pixels are those of `components.dataset.decoding` and of `build`: alpha is dropped, of 16 bits
the higher 8 are taken, and CMYK becomes RGB without a colour profile.
"""

import contextlib
import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyvips

from components import texts
from components.dataset.limits import MAX_PIXELS
from components.prediction import files
from components.prediction.files import PictureError
from components.prediction.spill import Plane

_BY_ROWS = (
    *(b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"),
    *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),  # TIFF, and that of more than 4 GiB
)
"""How files start that libvips reads row by row, unless they are interlaced or progressive."""
_STRIP_BYTES = 1 << 20
_UPRIGHT = 1

# Nothing is asked for twice, and what libvips keeps in case it were is memory.
pyvips.cache_set_max(0)
# What stops a picture is raised; odd metadata does not.
logging.getLogger("pyvips").setLevel(logging.ERROR)


@dataclasses.dataclass(frozen=True, slots=True)
class Opened:
    """A picture whose header was read, and nothing else."""

    image: pyvips.Image
    """As it is stored."""
    source: bytes | str
    """What a viewer would open: the file, or its path."""
    orientation: int
    """1 to 8, as EXIF numbers them."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width as it is seen."""
        stored = self.image.height, self.image.width
        return stored[::-1] if self.orientation >= 5 else stored


class Upright:
    """The pixels of a picture as it is seen, RGB, uint8; a file holds them as they are stored."""

    def __init__(self, plane: Plane, orientation: int):
        self._plane, self._orientation = plane, orientation
        height, width, _ = plane.shape
        self.size = (width, height) if orientation >= 5 else (height, width)

    def read(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """A rectangle, uint8 `[height, width, 3]`."""
        turned = self._orientation
        # EXIF 2.32, 4.6.4, as in `components.dataset.decoding.exif`.
        upside_down, mirrored = turned in (3, 4, 7, 8), turned in (2, 3, 6, 7)
        if upside_down:
            top = self.size[0] - top - height
        if mirrored:
            left = self.size[1] - left - width
        if turned >= 5:
            pixels = self._plane.read(left, top, width, height).transpose(1, 0, 2)
        else:
            pixels = self._plane.read(top, left, height, width)
        return pixels[:: -1 if upside_down else 1, :: -1 if mirrored else 1]


def open_picture(path: Path, max_pixels: int) -> Opened:
    """Reads the header of a picture.

    Args:
        path: of the file.
        max_pixels: what is larger is refused; as is what would have to be decoded as a whole, and
            is larger than the other limits of the pipeline.

    Raises:
        PictureError: it is no picture, or too large.
    """
    if _start(path).startswith(_BY_ROWS):
        source: bytes | str = str(path)
        load = pyvips.Image.new_from_file
        arguments = (source,)
    else:
        source = files.as_served(files.read(path))
        load = pyvips.Image.new_from_buffer
        arguments = (source, "")
    with _vips_errors():
        image = load(*arguments, access="sequential", fail_on="error")
    pixels = image.width * image.height
    as_a_whole = image.get_typeof("interlaced") and image.get("interlaced")
    if pixels > (min(max_pixels, MAX_PIXELS) if as_a_whole else max_pixels):
        limit = min(max_pixels, MAX_PIXELS) if as_a_whole else max_pixels
        kind = " of an interlaced or progressive file" if as_a_whole else ""
        raise PictureError(
            f"expected at most {limit:,} pixels{kind}, got {texts.size(image.width, image.height)}"
        )
    value = image.get("orientation") if image.get_typeof("orientation") else _UPRIGHT
    return Opened(image, source, value if value in range(1, 9) else _UPRIGHT)


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise files.unreadable(error) from error


def decode(opened: Opened, folder: Path) -> tuple[Plane, Upright]:
    """Decodes into a file.

    Args:
        opened: the picture.
        folder: where the file is, 3 bytes a pixel; the caller closes the plane.

    Raises:
        PictureError: it is damaged, or of a kind that has no 8 or 16 bits a colour.
    """
    image = opened.image
    plane = Plane(folder, image.height, image.width, 3)
    try:
        with _vips_errors():
            region = pyvips.Region.new(image)
            rows = max(1, _STRIP_BYTES // (3 * image.width))
            for top in range(0, image.height, rows):
                count = min(rows, image.height - top)
                stored = np.frombuffer(
                    region.fetch(0, top, image.width, count), _dtype(image)
                ).reshape(count, image.width, image.bands)
                plane.write(top, 0, _rgb(stored, image.interpretation))
    except BaseException:
        plane.close()
        raise
    return plane, Upright(plane, opened.orientation)


def _dtype(image: pyvips.Image) -> type:
    kinds = {"uchar": np.uint8, "ushort": np.uint16}
    if image.format not in kinds:
        raise PictureError(f"expected 8 or 16 bits for each colour, got {image.format}")
    return kinds[image.format]


def _rgb(stored_HWC: np.ndarray, interpretation: str) -> np.ndarray:
    if stored_HWC.dtype == np.uint16:
        stored_HWC = np.uint8(stored_HWC >> 8)
    channels = stored_HWC.shape[2]
    if interpretation == "cmyk":
        without_ink = 255 - stored_HWC[..., :4].astype(np.uint16)
        return np.uint8(without_ink[..., :3] * without_ink[..., 3:] // 255)
    if channels < 3:  # Grey, and how opaque.
        return np.repeat(stored_HWC[..., :1], 3, axis=2)
    return stored_HWC[..., :3]


@contextlib.contextmanager
def _vips_errors() -> Iterator[None]:
    try:
        yield
    except pyvips.Error as error:
        raise PictureError(
            f"expected a picture that can be decoded whole, got {first_line(error)}"
        ) from error


def first_line(error: pyvips.Error) -> str:
    """What libvips says, in one line."""
    lines = (error.detail or str(error)).strip().splitlines()
    return lines[0] if lines else "nothing that says why"
