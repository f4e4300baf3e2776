"""GIF and BMP: the first frame whole, palettes of every width, no wrong pixels."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from components.dataset.decoding.image import DAMAGED, decode_image
from components.dataset.limits import DEFAULT

SIZES = [(1, 1), (3, 5), (7, 8), (16, 33)]


def decoded(encoded: bytes) -> np.ndarray | str:
    """Pixels, or what is wrong."""
    try:
        found = decode_image(encoded, DEFAULT)
    except tf.errors.OpError:
        return DAMAGED
    return found.problem.numpy().decode() or found.pixels.numpy()


def bmp(indices: np.ndarray, bits: int, palette: np.ndarray, *, from_above: bool = False) -> bytes:
    """An uncompressed BMP of a palette, rows from below unless said otherwise."""
    height, width = indices.shape
    rows = indices if from_above else indices[::-1]
    packed = b""
    for row in rows:
        spread = np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, 8 - bits :].ravel()
        line = np.packbits(spread).tobytes()
        packed += line + bytes(-len(line) % 4)
    table = b"".join(bytes([*color[::-1], 0]) for color in palette.tolist())
    start = 54 + len(table)
    head = struct.pack("<2sIII", b"BM", start + len(packed), 0, start)
    info = struct.pack(
        "<IiiHHIIiiII", 40, width, -height if from_above else height, 1, bits, 0, 0, 0, 0,
        len(palette), 0,
    )  # fmt: skip
    return head + info + table + packed


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bits", [1, 4, 8])
@pytest.mark.parametrize("from_above", [False, True])
def test_a_palette_gives_its_colours(size, bits, from_above):
    random = np.random.default_rng(bits)
    palette = random.integers(0, 256, (2**bits, 3), np.uint8)
    indices = random.integers(0, 2**bits, size)
    encoded = bmp(indices, bits, palette, from_above=from_above)
    np.testing.assert_array_equal(decoded(encoded), palette[indices])
    assert decoded(encoded[:-1]) == DAMAGED
    np.testing.assert_array_equal(decoded(encoded + b"\0\0"), palette[indices])


def test_an_index_beyond_the_palette_is_damage():
    encoded = bmp(np.array([[3]]), 8, np.zeros((3, 3), np.uint8))
    assert decoded(encoded) == DAMAGED


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_what_other_programs_write_is_what_they_see(size, mode):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    image = Image.fromarray(pixels).convert(mode)
    file = io.BytesIO()
    image.save(file, "BMP")
    np.testing.assert_array_equal(decoded(file.getvalue()), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize(("bits", "compression"), [(16, 0), (8, 1), (4, 2), (32, 3), (24, 4)])
def test_another_kind_of_bmp_is_refused_by_name(bits, compression):
    encoded = bytearray(bmp(np.zeros((4, 4), int), 8, np.zeros((256, 3), np.uint8)))
    struct.pack_into("<HI", encoded, 28, bits, compression)
    assert f"{bits} bits" in decoded(bytes(encoded))


@pytest.mark.parametrize("size", [(1, 65_536), (65_536, 1)])
def test_a_longer_bmp_than_any_jpeg_is_refused(size):
    encoded = bmp(np.zeros(size, int), 8, np.zeros((256, 3), np.uint8))
    assert decoded(encoded) == "expected a BMP of at most 65,535 pixels a side, got one of 65536"


def gif(frames: list[Image.Image]) -> bytes:
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


def picture(seed: int, size: tuple[int, int] = (40, 30)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    return Image.fromarray(pixels).quantize(64)


def test_the_first_frame_of_an_animation_is_the_picture():
    first = picture(0)
    encoded = gif([first, *(picture(seed) for seed in range(1, 9))])
    np.testing.assert_array_equal(decoded(encoded), np.asarray(first.convert("RGB")))
    # Frames that are never read may be missing.
    np.testing.assert_array_equal(decoded(encoded[:-500]), np.asarray(first.convert("RGB")))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_frame_that_is_cut_off_is_damage(share):
    encoded = gif([picture(0)])
    assert decoded(encoded[: int(share * len(encoded))]) == DAMAGED
    assert decoded(encoded[: int(share * len(encoded))] + b"\0;") == DAMAGED


def test_a_frame_whose_data_end_early_is_damage_though_its_blocks_are_in_order():
    encoded = gif([picture(0)])
    start = encoded.index(b",", 13 + 3 * 64) + 11  # Behind the frame's head and its code size.
    kept = encoded[start] + 1
    assert decoded(encoded[: start + kept] + b"\0;") == DAMAGED


def test_a_first_frame_that_leaves_room_is_refused():
    encoded = bytearray(gif([picture(0)]))
    encoded[6:10] = struct.pack("<HH", 60, 60)
    assert "first frame fills its screen" in decoded(bytes(encoded))


@pytest.mark.parametrize("seed", range(40))
def test_any_damage_is_named_or_gives_a_picture_of_the_declared_size(seed):
    random = np.random.default_rng(seed)
    files = [gif([picture(0)]), bmp(np.zeros((9, 9), int), 4, np.zeros((16, 3), np.uint8))]
    damaged = bytearray(files[seed % 2])
    for _ in range(3):
        damaged[random.integers(len(damaged))] = random.integers(256)
    found = decoded(bytes(damaged))
    assert isinstance(found, str) or found.ndim == 3
