"""JPEG files such as cameras, editors and broken transfers leave, by changing a good one."""

import struct

import numpy as np
from PIL import Image

from tests.components.dataset.building import corpus

END = b"\xff\xd9"
NOISE_HW3 = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
"""Its JPEG has a scan of some thousand bytes, so that a part of it is many rows."""


def noise(**options) -> bytes:
    """A JPEG of noise."""
    return corpus.encode(NOISE_HW3, "JPEG", quality=95, subsampling=0, **options)


def cut(encoded: bytes, part: float, end: bytes = b"") -> bytes:
    """The first part of a file, and an end behind it."""
    return encoded[: int(len(encoded) * part)] + end


def inserted(encoded: bytes, marker: bytes, content: bytes) -> bytes:
    """A JPEG with bytes before the last place of a marker."""
    place = encoded.rindex(marker)
    return encoded[:place] + content + encoded[place:]


def with_segment(encoded: bytes, content: bytes) -> bytes:
    """A JPEG with one more segment of an application, APP1, behind its start."""
    return encoded[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + encoded[2:]


def without_exif(encoded: bytes) -> bytes:
    """A JPEG without the segment that EXIF and XMP lie in."""
    return corpus.without_segment(encoded, 0xE1) if b"\xff\xe1" in encoded else encoded


def exif(*entries: tuple[int, int, int, bytes], order: str = "<", declared: int = 0) -> bytes:
    """An EXIF block written by hand.

    Args:
        entries: tag, type (3 SHORT, 4 LONG, 5 RATIONAL), count, and content, of which what does not
            fit into four bytes goes behind the table.
        order: of the bytes, "<" or ">".
        declared: how many entries the table says it has, if not the true number.
    """
    table = struct.pack(f"{order}H", declared or len(entries))
    behind = 8 + 2 + 12 * len(entries) + 4
    contents = b""
    for tag, kind, count, content in entries:
        value = content.ljust(4, b"\0")
        if len(content) > 4:
            value = struct.pack(f"{order}I", behind + len(contents))
            contents += content
        table += struct.pack(f"{order}HHI", tag, kind, count) + value
    start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8)
    return b"Exif\0\0" + start + table + (b"" if declared else b"\0\0\0\0") + contents


def short(value: int, order: str = "<") -> bytes:
    """Two bytes."""
    return struct.pack(f"{order}H", value)


def of_orientation(orientation: int, block: bytes) -> bytes:
    """The picture as a camera stores it that gives it an orientation, with an EXIF block."""
    image = corpus.IMAGE
    if orientation in corpus.STORED:
        image = image.transpose(corpus.STORED[orientation])
    return with_segment(corpus.jpeg(image), block)


def ycck() -> bytes:
    """The picture as Adobe's programs write it for print: YCbCr of the negative, and black."""
    negative = Image.fromarray(255 - corpus.IMAGE_HW3).convert("YCbCr")
    stored_HW4 = np.dstack([np.asarray(negative), np.full((32, 64), 255, np.uint8)])
    # Pillow turns the values of CMYK over, as Adobe does.
    encoded = corpus.jpeg(Image.fromarray(255 - stored_HW4, "CMYK"))
    place = encoded.index(b"Adobe") + 11
    return encoded[:place] + b"\2" + encoded[place + 1 :]


def with_frame(encoded: bytes, kind: int = 0xC0, bits: int = 8) -> bytes:
    """A JPEG whose frame header names another process, or another number of bits."""
    place = encoded.index(b"\xff\xc0")
    return (
        encoded[: place + 1]
        + bytes((kind,))
        + encoded[place + 2 : place + 4]
        + (bytes((bits,)) + encoded[place + 5 :])
    )
