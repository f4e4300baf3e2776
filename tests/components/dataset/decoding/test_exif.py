"""How a file lies: EXIF of any make, in a JPEG and a PNG; broken EXIF says nothing."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from components.dataset.decoding.exif import UPRIGHT, orientation, turn_upright
from components.dataset.decoding.image import decode_image
from components.dataset.limits import DEFAULT
from tests.components.dataset.building.corpus import STORED

IMAGE_HW3 = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}


def tiff(entries: list[tuple[int, int, int, bytes]], order: str = "<", offset: int = 8) -> bytes:
    """A block of EXIF: tag, type, count and value of each entry."""
    head = {"<": b"II\x2a\0", ">": b"MM\0\x2a"}[order] + struct.pack(order + "I", offset)
    body = struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        body += struct.pack(order + "HHI", tag, kind, count) + value.ljust(4, b"\0")
    return head + bytes(offset - 8) + body + bytes(4)


def tagged(value: int, kind: int = 3, order: str = "<", **options) -> bytes:
    packed = struct.pack(order + NUMBERS[kind], value)
    return tiff([(0x0112, kind, 1, packed)], order, **options)


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_any_whole_number_in_any_order_counts(value, order, kind, prefix):
    assert int(orientation(prefix + tagged(value, kind, order))) == value


def test_it_may_stand_anywhere_among_the_tags():
    other = (0x010F, 2, 4, b"abc\0")
    lies = (0x0112, 3, 1, struct.pack("<H", 6))
    assert int(orientation(tiff([other] * 9 + [lies] + [other], offset=50))) == 6


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"Exif\0\0",
        b"no EXIF at all",
        tagged(0),
        tagged(9),
        tagged(65535),
        tagged(6)[:10],
        tagged(6)[:20],
        tagged(6).replace(b"II", b"XX"),
        tagged(6)[:4] + b"\xff\xff\xff\xff" + tagged(6)[8:],
        tiff([(0x0112, 5, 1, b"\x06")]),
        tiff([(0x0112, 3, 2, b"\x06\0\x06\0")]),
    ],
)
def test_what_is_broken_or_no_orientation_is_upright(exif):
    assert int(orientation(exif)) == UPRIGHT


@pytest.mark.parametrize("seed", range(20))
def test_no_damage_to_exif_fails(seed):
    random = np.random.default_rng(seed)
    damaged = bytearray(tagged(6))
    for _ in range(3):
        damaged[random.integers(len(damaged))] = random.integers(256)
    assert 1 <= int(orientation(bytes(damaged[: random.integers(1, len(damaged) + 1)]))) <= 8


@pytest.mark.parametrize("lies", range(1, 9))
def test_pixels_are_turned_as_viewers_turn_them(lies):
    stored = Image.fromarray(IMAGE_HW3)
    stored = stored.transpose(STORED[lies]) if lies in STORED else stored
    np.testing.assert_array_equal(turn_upright(np.asarray(stored), lies).numpy(), IMAGE_HW3)


def chunk(name: bytes, held: bytes) -> bytes:

    crc = struct.pack(">I", zlib.crc32(name + held))
    return struct.pack(">I", len(held)) + name + held + crc


def png(before: bytes = b"", behind: bytes = b"") -> bytes:
    file = io.BytesIO()
    Image.fromarray(IMAGE_HW3).save(file, "PNG")
    encoded = file.getvalue()
    return encoded[:33] + before + encoded[33:-12] + behind + encoded[-12:]


@pytest.mark.parametrize(
    ("encoded", "lies"),
    [
        (png(chunk(b"eXIf", tagged(6))), 6),
        (png(behind=chunk(b"eXIf", tagged(3, order=">"))), 3),
        (png(chunk(b"tEXt", b"Comment\0the chunk eXIf says MM") + chunk(b"eXIf", tagged(8))), 8),
        (png(chunk(b"tEXt", b"a\0" + chunk(b"eXIf", tagged(6)))), 1),
        (png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation='6'/>")), 1),
        (png(chunk(b"eXIf", b"")), 1),
    ],
)
def test_of_a_png_the_chunk_counts_and_nothing_that_looks_like_it(encoded, lies):
    decoded = decode_image(encoded, DEFAULT)
    assert decoded.problem.numpy() == b"" and int(decoded.orientation) == lies
    expected = turn_upright(IMAGE_HW3, lies).numpy()
    np.testing.assert_array_equal(decoded.pixels.numpy(), expected)
