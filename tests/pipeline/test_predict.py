"""`predict` as a person types it."""

import csv
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.components.prediction.conftest import looking, old, picture  # noqa: F401
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow


def run(*words, cwd=REPOSITORY) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", "predict", *map(str, words)],
        cwd=cwd, env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True,
    )  # fmt: skip


@pytest.fixture
def output(looking, tmp_path):  # noqa: F811
    """The output of a run that has pushed a model, beside a folder of pictures."""
    (tmp_path / "output" / "serving" / "deeplab").mkdir(parents=True)
    os.symlink(looking, tmp_path / "output" / "serving" / "deeplab" / "7")
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.jpg").write_bytes(picture(50, 40, "JPEG"))
    (tmp_path / "in" / "deep" / "b.png").write_bytes(picture(20, 30))
    return tmp_path


def test_what_the_output_serves_masks_a_folder(output):
    done = run("served", "in", "--to", "out", "--output", "output", cwd=output)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"2 masks written to out by {output}/output/serving/deeplab/7" in done.stdout
    assert sorted(str(p.relative_to(output / "out")) for p in (output / "out").rglob("*.*")) == [
        *("classes.csv", "masks/a.png", "masks/deep/b.png"),
        *("overlays/a.jpg", "overlays/deep/b.jpg"),
    ]
    assert np.asarray(Image.open(output / "out" / "masks" / "a.png")).shape == (40, 50)


def test_tiles_by_one_version(output):
    words = ("output/serving/deeplab/7", "in/a.jpg", "--to", "out", "--tiles", "--no-overlays")
    done = run(*words, cwd=output)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(os.listdir(output / "out")) == ["classes.csv", "masks"]


def test_bad_pictures_are_named_and_all_others_written(output):
    for name in ("bad.jpg", "worse.png"):
        (output / "in" / name).write_bytes(b"no picture")
    (output / "in" / "notes.txt").write_text("")
    done = run("output/serving/deeplab", "in", "--to", "out", cwd=output)
    assert done.returncode == 3 and "Traceback" not in done.stderr
    assert "2 masks written" in done.stdout and "notes.txt" in done.stdout
    assert "bad.jpg: expected" in done.stdout and "all of them are in out/errors.csv" in done.stdout
    with open(output / "out" / "errors.csv", newline="") as file:
        assert [row["picture"] for row in csv.DictReader(file)] == ["bad.jpg", "worse.png"]


def test_records_on_beam(output):
    done = run("served", "in", "--to", "out", "--beam", "--output", "output", cwd=output)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 records written to" in done.stdout and "none of them with an error" in done.stdout
    names = sorted(os.listdir(output / "out"))
    assert names == ["manifest.json", "predictions-00000-00000.tfrecord"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["served", "in", "--to", "o", "--output", "gone"], "expected versions of a model in"),
        (["gs://bucket/m", "in", "--to", "o"], "expected a model in a folder of this machine"),
        (["{model}", "gone", "--to", "o"], "got nothing there"),
        (["{model}", "in", "--to", "in/a.jpg/x"], "expected to write to"),
        (["{model}", "in", "--to", "o", "--tiles", "--overlap", "2"], "expected an overlap"),
        (["{model}", "in", "--to", "o", "--tiles", "--beam"], "expected --tiles or --beam"),
        (["{model}", "in", "--to", "o", "--model-version", "9"], "expected version 9 in"),
        (["{model}", "in", "--to", "o", "--batch", "0"], "expected a whole number above 0; got 0"),
        (["{old}", "in", "--to", "o", "--tiles"], "with the signature serving_logits"),
    ],
)
def test_what_cannot_be_done_is_said(words, message, output, old):  # noqa: F811
    known = {"model": output / "output" / "serving" / "deeplab", "old": old}
    done = run(*(word.format(**known) for word in words), cwd=output)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert message in done.stdout + done.stderr
    assert not (output / "o").exists()
