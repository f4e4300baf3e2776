"""Pictures of every kind to masks, overlays and tables that agree with each other."""

import csv
import io
import os
import subprocess
import sys
from collections import defaultdict

import numpy as np
import psutil
import pytest
from PIL import Image

import schemas
from components.errors import ConfigError
from components.prediction import files, overlays, results, run
from components.prediction.model import Model, version_folder
from components.prediction.results import Tables
from components.prediction.threads import in_threads
from tests.components.prediction.conftest import picture
from tests.components.prediction.looking import CLASSES

SAMPLE = schemas.load("sample")
TIFF = picture(21, 13, "TIFF", seed=3)


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def of_mode(mode: str, kind: str) -> bytes:
    file = io.BytesIO()
    Image.open(io.BytesIO(picture(12, 10))).convert(mode).save(file, kind)
    return file.getvalue()


def animated() -> bytes:
    frames = [Image.open(io.BytesIO(picture(9, 7, seed=seed))) for seed in range(3)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


PICTURES = {
    "one.png": (picture(1, 1), (1, 1)),
    "wide.png": (picture(20_000, 1), (20_000, 1)),
    "high.jpg": (picture(1, 5000, "JPEG"), (1, 5000)),
    "plain.jpg": (picture(50, 40, "JPEG"), (50, 40)),
    "grey.png": (of_mode("L", "PNG"), (12, 10)),
    "clear.png": (of_mode("RGBA", "PNG"), (12, 10)),
    "sixteen.png": (of_mode("I;16", "PNG"), (12, 10)),
    "animated.gif": (animated(), (9, 7)),
    "bitmap.bmp": (picture(8, 6, "BMP"), (8, 6)),
    "deep/scan.tif": (TIFF, (21, 13)),
    "deep/photo.webp": (picture(21, 13, "WEBP"), (21, 13)),
}
BROKEN = {
    "empty.jpg": b"",
    "text.png": b"this is no picture",
    "cut.tif": TIFF[:200],
}


def read(folder, name: str) -> list[dict[str, str]]:
    with open(folder / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def predict(model, pictures: dict[str, bytes], folder, *, tiles=False, batch=3, colours=SAMPLE):
    """Writes the pictures to `in` and predicts them to `out`."""
    for name, content in pictures.items():
        path = folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    found, _ = files.find([folder / "in"])
    places = run.Places(folder / "out", colours)
    with Tables(folder / "out", model.class_names) as tables:
        if tiles:
            tiling = run.Tiling(0.4, 10**9, lambda done, total: None)
            done = run.predict_tiled(model, found, places, tiling, workers=2)
        else:
            done = run.predict(model, found, places, batch=batch, workers=2)
        for each, expected in zip(done, found, strict=True):
            assert each.found == expected
            if each.counts is None:
                tables.add_error(each.found.name, each.error)
            else:
                tables.add(each.found.name, each.counts)
    return folder / "out"


@pytest.mark.parametrize("tiles", [False, True])
def test_every_kind_of_picture_has_a_mask_and_rows_that_add_up(tiles, model, tmp_path):
    good = {name: content for name, (content, _) in PICTURES.items()}
    out = predict(model, good | BROKEN, tmp_path, tiles=tiles)
    rows = defaultdict(list)
    for row in read(out, results.CLASSES):
        rows[row["picture"]].append(row)
    assert set(rows) == set(good)
    for name, (_, (width, height)) in PICTURES.items():
        target = os.path.splitext(name)[0]
        mask = np.asarray(Image.open(out / "masks" / f"{target}.png"))
        assert mask.shape == (height, width) and mask.dtype == np.uint8
        counts = np.bincount(mask.ravel(), minlength=CLASSES)
        assert {int(row["class_id"]): int(row["pixels"]) for row in rows[name]} == {
            label: count for label, count in enumerate(counts) if count
        }
        assert sum(float(row["share"]) for row in rows[name]) == pytest.approx(1, abs=1e-4)
        for row in rows[name]:
            assert (int(row["width"]), int(row["height"])) == (width, height)
            assert row["class_name"] == SAMPLE.class_names[int(row["class_id"])]
            assert 1 / CLASSES - 0.01 < float(row["mean_confidence"]) <= 1
        overlay = Image.open(out / "overlays" / f"{target}.jpg")
        shown = overlays.shrunk_size(width, height)
        assert overlay.width >= shown[0] and overlay.height > shown[1]
    errors = read(out, results.ERRORS)
    assert {row["picture"] for row in errors} == set(BROKEN)
    assert all(row["error"].startswith("expected ") for row in errors)
    assert not [path for path in out.rglob(".*")]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_has_a_mask_and_an_overlay_as_it_is_seen(orientation, model, tmp_path):
    """Red on the left of a picture that is seen wide, however its file lies."""
    seen = np.zeros((30, 90, 3), np.uint8)
    seen[:, :45] = (255, 0, 0)
    back = {1: [], 2: [4], 3: [1], 4: [5], 5: [0], 6: [2], 7: [6], 8: [3]}
    turns = {0: 5, 1: 3, 2: 2, 3: 4, 4: 0, 5: 1, 6: 6}  # As Pillow numbers them.
    image = Image.fromarray(seen)
    for turn in back[orientation]:
        image = image.transpose(Image.Transpose(turns[turn]))
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif(orientation))
    out = predict(model, {"p.png": file.getvalue()}, tmp_path, tiles=True)
    assert Image.open(out / "masks" / "p.png").size == (90, 30)
    file = io.BytesIO()
    Image.fromarray(seen).save(file, "PNG")
    (answer,) = model.segment([file.getvalue()])
    expected = np.asarray(Image.open(io.BytesIO(answer.mask)))
    np.testing.assert_array_equal(np.asarray(Image.open(out / "masks" / "p.png")), expected)
    shown = np.asarray(Image.open(out / "overlays" / "p.jpg"), np.int16)[5:25]
    red = shown[..., 0] - shown[..., 1:].mean(-1)
    assert red[:, 5:40].mean() > red[:, 50:85].mean() + 30


def test_a_second_command_overwrites_and_forgets_old_errors(model, tmp_path):
    out = predict(model, {"a.png": picture(9, 9), "b.png": b"no"}, tmp_path)
    assert len(read(out, results.ERRORS)) == 1
    before = (out / "masks" / "a.png").read_bytes()
    predict(model, {"a.png": picture(9, 9, seed=5), "b.png": picture(4, 4)}, tmp_path)
    assert not (out / results.ERRORS).exists()
    assert (out / "masks" / "a.png").read_bytes() != before


def test_tables_of_a_command_that_fails_are_those_from_before(model, tmp_path):
    out = predict(model, {"a.png": picture(9, 9)}, tmp_path)
    before = (out / results.CLASSES).read_bytes()
    with pytest.raises(ZeroDivisionError), Tables(out, model.class_names) as tables:
        tables.add_error("x", "y")
        raise ZeroDivisionError
    assert (out / results.CLASSES).read_bytes() == before
    assert sorted(path.name for path in out.iterdir()) == ["classes.csv", "masks", "overlays"]


def test_the_batch_changes_no_result(model, tmp_path):
    pictures = {f"{n}.png": picture(10 + n, 20, seed=n) for n in range(7)}
    tables = set()
    for batch in (1, 3, 100):
        folder = tmp_path / str(batch)
        folder.mkdir()
        tables.add((predict(model, pictures, folder, batch=batch) / "classes.csv").read_bytes())
    assert len(tables) == 1


def test_no_more_is_read_than_is_under_way():
    taken = []

    def values():
        for value in range(50):
            taken.append(value)
            yield value

    for count, result in enumerate(in_threads(lambda value: value, values(), 3), start=1):
        assert result == count - 1 and len(taken) <= count + 3


@pytest.mark.slow
def test_many_small_files_take_no_memory(model, tmp_path):
    content = {f"{n}.png": picture(8, 8, seed=n % 5) for n in range(3000)}
    process = psutil.Process()
    predict(model, dict(list(content.items())[:300]), tmp_path, colours=None)
    before = process.memory_info().rss
    out = predict(model, content, tmp_path, colours=None)
    assert process.memory_info().rss - before < 40e6
    assert len(list((out / "masks").iterdir())) == 3000


# === Models ===


def test_an_old_model_has_masks_and_cannot_be_asked_for_tiles(old, tmp_path):
    model = Model(old)
    out = predict(model, {"a.png": picture(9, 9)}, tmp_path)
    assert {row["mean_confidence"] for row in read(out, results.CLASSES)} == {""}
    with pytest.raises(ConfigError, match=r"signature serving_logits in .*push the model again"):
        model.require_logits()


def test_a_description_of_other_classes_is_refused(model):
    with pytest.raises(ConfigError, match="expected the classes of m in the description of pascal"):
        overlays.require_colors(schemas.load("pascal"), model.class_names, "m")
    overlays.require_colors(SAMPLE, model.class_names, "m")


@pytest.mark.parametrize(
    ("version", "expected"),
    [(None, "12"), ("7", "7"), ("stable", "7"), ("canary", "12"), ("8", None), ("new", None)],
)
def test_versions_and_labels(version, expected, looking, tmp_path):
    from components.serving import models_config

    folder = tmp_path / "deeplab"
    folder.mkdir()
    for number in ("7", "12"):
        os.symlink(looking, folder / number)
    models_config.label(str(folder), 7, "stable")
    models_config.label(str(folder), 12, "canary")
    if expected:
        assert version_folder(str(folder), version) == str(folder / expected)
        assert version_folder(str(folder / "7")) == str(folder / "7")
    else:
        with pytest.raises(ConfigError, match="; to fix, "):
            version_folder(str(folder), version)


def test_it_starts_without_tensorflows_python(looking, tmp_path):
    (tmp_path / "p.jpg").write_bytes(picture(9, 9, "JPEG"))
    program = (
        "import sys; from pipeline import commands\n"
        f"try: commands.main(['predict', {looking!r}, {str(tmp_path / 'p.jpg')!r}, "
        f"'--to', {str(tmp_path / 'out')!r}])\n"
        "finally: print(sorted({'tensorflow', 'keras', 'tfx', 'apache_beam'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr
