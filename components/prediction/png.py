"""Grey PNG files of any size, some rows in memory at a time.

libvips writes them as well, but reads pixels from a file by mapping the whole of it into memory.
"""

import struct
import zlib
from collections.abc import Iterable
from typing import BinaryIO

HIGHEST = 2**31 - 1
"""Of width and height, by the PNG specification, 11.2.1."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BITS, _GREY = 8, 0


def write(file: BinaryIO, width: int, height: int, strips: Iterable[bytes]) -> None:
    """Writes an 8-bit grey PNG.

    Args:
        file: to write to.
        width: in pixels.
        height: in pixels.
        strips: pixels of whole rows, one byte each, from the top.
    """
    file.write(_SIGNATURE)
    _chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, _BITS, _GREY, 0, 0, 0))
    packer = zlib.compressobj()
    for strip in strips:
        for start in range(0, len(strip), width):
            # Each row begins with its filter, 0 for none: differences of class ids pack no better.
            _chunk(file, b"IDAT", packer.compress(b"\0" + strip[start : start + width]))
    _chunk(file, b"IDAT", packer.flush())
    _chunk(file, b"IEND", b"")


def _chunk(file: BinaryIO, kind: bytes, data: bytes) -> None:
    if not data and kind == b"IDAT":  # What came so far is not enough to pack.
        return
    file.write(struct.pack(">I", len(data)))
    file.write(kind)
    file.write(data)
    file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))))
