"""BMP, GIF and TIFF files such as Pillow does not write."""

import struct
from collections.abc import Sequence

import numpy as np
from PIL import Image

from tests.components.dataset.building import corpus

INDICES_HW = np.kron(np.array([[0, 1], [2, 3]], np.uint8), np.ones((16, 32), np.uint8))
QUARTERS = (corpus.RED, corpus.GREEN, corpus.BLUE, corpus.WHITE)
_RLE8, _BITFIELDS = 1, 3


def bmp(
    rows: Sequence[bytes],
    bits: int,
    *,
    colors: int = 0,
    compression: int = 0,
    top_down: bool = False,
    header: int = 40,
) -> bytes:
    """A BMP file of 64x32 pixels.

    Args:
        rows: packed, the upper one first.
        bits: of a pixel.
        colors: how many the palette has; the four of the picture, then black.
        compression: as in the header.
        top_down: whether the upper row comes first, which a negative height says.
        header: bytes, 40 or 124 (version 5).
    """
    palette = b"".join(bytes((*color[::-1], 0)) for color in QUARTERS[: colors or 0])
    palette += b"\0\0\0\0" * (colors - 4) if colors > 4 else b""
    pixels = b"".join(rows if top_down else rows[::-1])
    offset = 14 + header + len(palette)
    height = -32 if top_down else 32
    info = struct.pack(
        "<IiiHHIIiiII", header, 64, height, 1, bits, compression, len(pixels), 2835, 2835, colors, 0
    )
    info += _fields(header)
    return (
        b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset) + info + palette + pixels
    )


def _fields(header: int) -> bytes:
    """What version 5 has behind the older header: masks of the channels, sRGB, no profile."""
    if header == 40:
        return b""
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0)
    return masks + b"BGRs" + bytes(header - 40 - len(masks) - 4)


def palette_rows(bits: int) -> list[bytes]:
    """The rows of the picture's indices, in 8 or 4 bits."""
    if bits == 8:
        return [row.tobytes() for row in INDICES_HW]
    return [(row[::2] << 4 | row[1::2]).tobytes() for row in INDICES_HW]


def color_rows() -> list[bytes]:
    """The rows of the picture with four bytes a pixel, blue first."""
    unused_HW1 = np.zeros((32, 64, 1), np.uint8)
    return [row.tobytes() for row in np.dstack([corpus.IMAGE_HW3[..., ::-1], unused_HW1])]


def run_length_rows() -> list[bytes]:
    """The rows of the picture's indices as runs; each ends with a mark, the last with another."""
    rows = [bytes((32, row[0], 32, row[63], 0, 0)) for row in INDICES_HW]
    return [rows[0][:-1] + b"\1", *rows[1:]]


def rle8() -> bytes:
    """The picture in run-length encoding."""
    return bmp(run_length_rows(), 8, colors=4, compression=_RLE8)


def gif(width: int, height: int, frames: int, frame_size: tuple[int, int]) -> bytes:
    """A GIF whose frames may be smaller than its canvas, each of one colour."""
    palette = bytes(value for color in QUARTERS for value in color)
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x91, 0, 0) + palette
    control = b"\x21\xf9\4\0\0\0\0\0"
    frame = control + b"," + struct.pack("<HHHHB", 0, 0, *frame_size, 0) + _lzw(frame_size)
    return screen + frame * frames + b";"


def long_gif(side: int, frames: int) -> bytes:
    """A GIF of one colour, whose later frames are one pixel each."""
    first = Image.new("P", (side, side))
    first.putpalette([part for color in QUARTERS for part in color])
    one_pixel = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + _lzw((1, 1))
    return corpus.encode(first, "GIF").removesuffix(b";") + one_pixel * (frames - 1) + b";"


def _lzw(size: tuple[int, int]) -> bytes:
    """Pixels of index 0, three bits each, with the table cleared before it grows."""
    clear, end = 4, 5
    codes = []
    for place in range(size[0] * size[1]):
        if place % 2 == 0:
            codes.append(clear)
        codes.append(0)
    bits = "".join(f"{code:03b}"[::-1] for code in [*codes, end])
    packed = bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, len(bits), 8))
    blocks = (packed[i : i + 255] for i in range(0, len(packed), 255))
    return b"\2" + b"".join(bytes((len(block),)) + block for block in blocks) + b"\0"


def tiff(pixels: np.ndarray, photometric: int = 1, orientation: int = 1) -> bytes:
    """A TIFF of one strip of grey bytes.

    Args:
        pixels: uint8 `[height, width]`, as they are stored.
        photometric: 1, where 0 is black, or 0, where 0 is white.
        orientation: of the stored rows.
    """
    height, width = pixels.shape
    entries = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 8),
        (274, 3, orientation),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, pixels.size),
    ]
    table = b"".join(
        struct.pack("<HHI", tag, kind, 1) + struct.pack("<I", value) for tag, kind, value in entries
    )
    start = b"II*\0" + struct.pack("<I", 8 + pixels.size)
    return start + pixels.tobytes() + struct.pack("<H", len(entries)) + table + b"\0\0\0\0"


def pgm(pixels: np.ndarray, largest: int) -> bytes:
    """A PGM file that declares its largest value; two bytes a pixel above 255."""
    height, width = pixels.shape
    kind = np.uint8 if largest < 256 else ">u2"
    return b"P5\n%d %d\n%d\n" % (width, height, largest) + pixels.astype(kind).tobytes()
