"""JPEGs: every row there, upright, the pixels of other libraries, whoever wrote them."""

import io
import itertools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from components.dataset.decoding.image import DAMAGED, decode_image
from components.dataset.examination.jpeg_warnings import jpeg_warning
from components.dataset.limits import DEFAULT

pytestmark = pytest.mark.slow

END = b"\xff\xd9"
ENCODERS = {
    "plain": {},
    "progressive": {"progressive": True},
    "optimised": {"optimize": True},
    "full colour": {"subsampling": 0},
    "restarts": {"restart_marker_blocks": 3},
    "progressive with restarts": {"progressive": True, "restart_marker_rows": 1},
    "coarse": {"quality": 5},
    "finest": {"quality": 100},
}
MODES = ("RGB", "L", "CMYK")
KINDS = list(itertools.product(MODES, ENCODERS))


def jpeg(mode: str, encoder: str, pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, "JPEG", **ENCODERS[encoder])
    return file.getvalue()


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth enough for a JPEG, and nowhere the grey that stands for missing pixels."""
    small = np.random.default_rng(seed).integers(0, 256, (height // 4 + 1, width // 4 + 1, 3))
    return np.asarray(Image.fromarray(small.astype(np.uint8)).resize((width, height)))


def problem(encoded: bytes) -> str:
    try:
        return decode_image(encoded, DEFAULT).problem.numpy().decode()
    except tf.errors.OpError:
        return DAMAGED


@pytest.mark.parametrize(("mode", "encoder"), KINDS)
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (9, 17), (64, 48), (100, 131)])
def test_a_whole_file_has_its_pixels_whoever_wrote_it(mode, encoder, size):
    encoded = jpeg(mode, encoder, noise(*size))
    decoded = decode_image(encoded, DEFAULT)
    assert decoded.problem.numpy() == b"" and jpeg_warning(encoded) == ""
    if mode != "CMYK":  # Which has several ways to become red, green and blue.
        seen = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))
        np.testing.assert_array_equal(decoded.pixels.numpy(), seen)


@pytest.mark.parametrize("value", [0, 64, 127, 128, 255])
@pytest.mark.parametrize(("mode", "encoder"), KINDS)
def test_a_picture_of_one_colour_is_whole(mode, encoder, value):
    """Some are the very grey that stands for missing pixels."""
    encoded = jpeg(mode, encoder, np.full((40, 50, 3), value, np.uint8))
    assert problem(encoded) == jpeg_warning(encoded) == ""


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.8, 0.95])
@pytest.mark.parametrize(("mode", "encoder"), KINDS)
def test_a_file_without_its_last_rows_is_damaged(mode, encoder, share):
    encoded = jpeg(mode, encoder, noise(100, 131))
    first_scan = encoded.index(b"\xff\xda")
    place = first_scan + 14 + int(share * (len(encoded) - first_scan - 16))
    cut = encoded[:place].rstrip(b"\xff") + END
    assert problem(cut) == DAMAGED or jpeg_warning(cut)
    # Cut within its last scan, a progressive picture has all rows, some of them less sharp.
    if "progressive" not in encoder or b"\xff\xda" in encoded[place:]:
        assert problem(cut) == DAMAGED


def test_a_progressive_file_without_its_last_scans_is_damaged():
    encoded = jpeg("RGB", "progressive", noise(64, 64))
    scans = encoded.split(b"\xff\xda")
    for kept in range(2, len(scans)):
        assert problem(b"\xff\xda".join(scans[:kept]) + END) == DAMAGED


@pytest.mark.parametrize(
    "behind", [END, b"\0" * 100, b"\xff" * 9, jpeg("RGB", "plain", noise(9, 9))]
)
def test_what_stands_behind_the_end_does_not_count(behind):
    encoded = jpeg("RGB", "plain", noise(64, 64))
    assert problem(encoded + behind) == ""
    assert problem(encoded[: len(encoded) // 2] + END + behind) == DAMAGED


@pytest.mark.parametrize("encoder", ["plain", "progressive"])
def test_a_thumbnail_in_the_metadata_is_no_part_of_the_picture(encoder):
    inner = jpeg("RGB", "progressive", noise(24, 24))
    encoded = jpeg("RGB", encoder, noise(64, 64))
    segment = b"\xff\xe1" + (len(inner) + 8).to_bytes(2, "big") + b"Other\0" + inner
    with_thumbnail = encoded[:2] + segment + encoded[2:]
    np.testing.assert_array_equal(
        decode_image(with_thumbnail, DEFAULT).pixels.numpy(),
        decode_image(encoded, DEFAULT).pixels.numpy(),
    )


def test_zeros_in_the_middle_are_what_libjpeg_warns_of():
    """A block of the disk that was never written; a graph sees it where rows are missing."""
    encoded = jpeg("RGB", "plain", noise(200, 200))
    middle = len(encoded) // 2
    damaged = encoded[:middle] + bytes(400) + encoded[middle + 400 :]
    assert jpeg_warning(damaged)


@pytest.mark.parametrize("count", [1, 16])
def test_a_few_bytes_too_many_are_no_damage(count):
    encoded = jpeg("RGB", "plain", noise(64, 64))
    longer = encoded[:-2] + b"\x55" * count + END
    assert jpeg_warning(longer) == problem(longer) == ""
    assert "extraneous bytes" in jpeg_warning(encoded[:-2] + b"\x55" * 40 + END)
