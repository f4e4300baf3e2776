"""Tiles: they cover, add up to one, and answer as the whole picture; memory does not grow."""

import io
import itertools
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import pyvips
from PIL import Image

from components.errors import ConfigError
from components.prediction import decoding, large, tiles
from components.prediction.files import PictureError
from components.prediction.spill import Plane
from tests.components.prediction.looking import CLASSES, save
from tests.conftest import REPOSITORY

CANVAS = 33
RANDOM = np.random.default_rng(7)


@pytest.mark.parametrize("overlap", [0, 0.1, 0.25, 0.4, 0.5])
@pytest.mark.parametrize("canvas", [33, 64, 513])
def test_tiles_cover_every_pixel_and_their_shares_add_up_to_one(canvas, overlap):
    lengths = {1, canvas - 1, canvas, canvas + 1, 2 * canvas, *RANDOM.integers(1, 9 * canvas, 60)}
    for length in lengths:
        axis = tiles.axis(int(length), canvas, overlap)
        total = np.zeros(length)
        for index, start in enumerate(axis.starts):
            assert 0 <= start and start + axis.side <= length
            shares = axis.shares(index)
            assert shares.min() >= 0
            total[start : start + axis.side] += shares
        np.testing.assert_allclose(total, 1, atol=1e-6)
        assert axis.side == min(canvas, length)
        for before, after in itertools.pairwise(axis.starts):
            assert before + canvas - after >= overlap * canvas


def test_a_tile_says_nothing_where_it_sees_less_than_the_picture_shows():
    axis = tiles.axis(1000, 100, 0.4)
    for index in range(len(axis.starts)):
        shares = axis.shares(index)
        assert index == 0 or not shares[:10].any()
        assert index == len(axis.starts) - 1 or not shares[-10:].any()
        # No step: a seam would be seen.
        assert np.abs(np.diff(shares)).max() < 1.5 / (axis.overlap / 2) + 1e-6


@pytest.mark.parametrize("overlap", [-0.1, 0.51, float("nan")])
def test_what_tiles_cannot_overlap_by_is_refused(overlap):
    with pytest.raises(ConfigError, match="expected an overlap of tiles"):
        tiles.check_overlap(overlap)


# === Pixels ===


def upright(path, folder):
    opened = decoding.open_picture(path, 10**9)
    plane, picture = decoding.decode(opened, folder)
    pixels = picture.read(0, 0, *picture.size)
    plane.close()
    assert opened.size == picture.size == pixels.shape[:2]
    return pixels


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_is_read_as_it_is_seen(orientation, tmp_path):
    stored = RANDOM.integers(0, 256, (37, 23, 3), np.uint8)
    tags = Image.Exif()
    tags[0x0112] = orientation
    path = tmp_path / "p.png"
    Image.fromarray(stored).save(path, exif=tags)
    from components.dataset.decoding.exif import turn_upright

    expected = turn_upright(stored, np.int64(orientation)).numpy()
    np.testing.assert_array_equal(upright(path, tmp_path), expected)
    opened = decoding.open_picture(path, 10**9)
    plane, picture = decoding.decode(opened, tmp_path)
    for _ in range(20):
        top, left = (int(RANDOM.integers(0, size)) for size in picture.size)
        height = int(RANDOM.integers(1, picture.size[0] - top + 1))
        width = int(RANDOM.integers(1, picture.size[1] - left + 1))
        part = picture.read(top, left, height, width)
        np.testing.assert_array_equal(part, expected[top : top + height, left : left + width])
    plane.close()


def encoded(mode: str, kind: str, **options) -> bytes:
    random = np.random.default_rng(1)
    channels = {"L": (), "LA": (2,), "RGB": (3,), "RGBA": (4,), "CMYK": (4,), "I;16": ()}[mode]
    if mode == "I;16":
        pixels = random.integers(0, 2**16, (9, 11), np.uint16)
    else:
        pixels = random.integers(0, 256, (9, 11, *channels), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels, mode).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        *[(mode, "PNG") for mode in ("L", "LA", "RGB", "RGBA", "I;16")],
        *[(mode, "JPEG") for mode in ("L", "RGB", "CMYK")],
        *[(mode, "TIFF") for mode in ("L", "RGB", "RGBA", "I;16")],
        *[("RGB", kind) for kind in ("GIF", "BMP", "WEBP", "PPM")],
    ],
)
def test_pixels_are_those_that_are_trained_on(mode, kind, tmp_path):
    """Of every kind that `build` reads, as it reads them."""
    from components.dataset.building.picture_files import record_picture
    from components.dataset.decoding.image import decode_image
    from components.dataset.limits import DEFAULT

    options = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(mode, kind, **options)
    path = tmp_path / "picture"
    path.write_bytes(content)
    expected = decode_image(record_picture(content).encoded, DEFAULT).pixels.numpy()
    np.testing.assert_array_equal(upright(path, tmp_path), expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a picture"),
        (b"no picture", "expected a picture"),
        (encoded("RGB", "PNG")[:-60], "decoded whole"),
        (encoded("RGB", "JPEG")[:-200], "decoded whole"),
    ],
)
def test_what_is_no_whole_picture_is_refused(content, message, tmp_path):
    path = tmp_path / "p"
    path.write_bytes(content)
    with pytest.raises(PictureError, match=message):
        upright(path, tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["p"]


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path):
    path = tmp_path / "bomb.png"
    pyvips.Image.black(60_000, 20_000).pngsave(str(path), bitdepth=1)
    with pytest.raises(PictureError, match="expected at most 1,000,000,000 pixels, got 60000x20"):
        decoding.open_picture(path, 10**9)


def test_what_has_to_be_decoded_as_a_whole_has_the_limit_of_the_pipeline(tmp_path):
    path = tmp_path / "p.jpg"
    pyvips.Image.black(20_000, 6_000).jpegsave(str(path), interlace=True)
    with pytest.raises(PictureError, match="100,000,000 pixels of an interlaced or progressive"):
        decoding.open_picture(path, 10**9)


# === Masks ===


def tiled(model, pixels, folder, *, overlap=0.4, workers=2):
    height, width, _ = pixels.shape
    plane, ids = Plane(folder, height, width, 3), Plane(folder, height, width, 1)
    plane.write(0, 0, pixels)
    said = []
    counts = large.segment(
        model.logits,
        decoding.Upright(plane, 1),
        ids,
        num_classes=CLASSES,
        canvas=CANVAS,
        overlap=overlap,
        workers=workers,
        said=lambda done, total: said.append((done, total)),
    )
    assert [done for done, _ in said] == list(range(1, said[0][1] + 1))
    large.write_png(ids, folder / "mask.png")
    mask = np.asarray(Image.open(folder / "mask.png"))
    np.testing.assert_array_equal(mask, ids.read(0, 0, height, width)[..., 0])
    plane.close(), ids.close()
    np.testing.assert_array_equal(counts.pixels, np.bincount(mask.ravel(), minlength=CLASSES))
    assert sorted(os.listdir(folder)) == ["mask.png"]
    return mask, counts


SIZES = [(1, 1), (33, 33), (34, 33), (33, 34), (1, 700), (700, 1), (200, 150), (97, 260), (59, 59)]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_tiles_answer_as_one_large_canvas(size, model, tmp_path):
    pixels = RANDOM.integers(0, 256, (*size, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    (answer,) = model.segment([file.getvalue()], confidence=True)
    expected = np.asarray(Image.open(io.BytesIO(answer.mask)))
    mask, counts = tiled(model, pixels, tmp_path)
    assert mask.shape == size and np.mean(mask != expected) <= 0.001
    assert counts.confidence.sum() / mask.size == pytest.approx(answer.mean_confidence, abs=1e-4)


def test_the_answer_does_not_depend_on_the_threads(model, tmp_path):
    pixels = RANDOM.integers(0, 256, (90, 140, 3), np.uint8)
    (one, of_one), (more, of_more) = (
        tiled(model, pixels, tmp_path, workers=workers) for workers in (1, 5)
    )
    np.testing.assert_array_equal(one, more)
    np.testing.assert_array_equal(of_one.confidence, of_more.confidence)


def test_scores_do_not_jump_at_seams(tmp_path_factory):
    """Of a network that answers by where in a tile a pixel lies, which is the worst there is."""
    steps = []
    for length in (100, 150, 333):
        axis = tiles.axis(length, CANVAS, 0.4)
        total = np.zeros(length)
        for index, start in enumerate(axis.starts):
            total[start : start + CANVAS] += axis.shares(index) * np.linspace(-1, 1, CANVAS)
        steps.append(np.abs(np.diff(total)).max())
    assert max(steps) < 0.5


@pytest.mark.slow
def test_memory_does_not_grow_with_the_picture(tmp_path):
    """40 times as many pixels, wide or high: their scores alone would be 280 MB."""
    model = save(tmp_path / "model", radius=2, canvas=257)
    path, peaks = tmp_path / "picture.png", {}
    for size in ((500, 500), (500, 20_000), (20_000, 500)):
        noise = pyvips.Image.gaussnoise(*size).cast("uchar").bandjoin([0, 9])
        noise.copy(interpretation="srgb").pngsave(str(path), compression=1)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.prediction", "tiles", model, str(path)],
            cwd=REPOSITORY, capture_output=True, text=True, check=True,
        )  # fmt: skip
        peaks[size] = json.loads(done.stdout)["peak_bytes"]
    assert max(peaks.values()) < peaks[500, 500] + 100e6, peaks
