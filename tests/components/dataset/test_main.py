"""The command: what is wrong is said before anything slow is imported, and where things go."""

import os
import subprocess
import sys

import pytest

import schemas
from components.dataset import records
from tests.components.dataset.building import corpus
from tests.conftest import REPOSITORY

DESCRIPTION = """
title = "Garden"
licence = "Ours."
ignore_label = 255
classes = [
  { id = 0, color = "#000000", name = "background" },
  { id = 1, color = "#800000", name = "left" },
  { id = 2, color = "#008000", name = "right" },
]

[source.splits.train]
images = "images/train/*"
masks = "masks/train/*.png"

[source.splits.val]
images = "images/val/*"
masks = "masks/val/*.png"
"""


def run(folder, *words, imports=False):
    """The command in a folder of its own; the code lies elsewhere, as when it is installed."""
    options = ["-X", "importtime"] if imports else []
    return subprocess.run(
        [sys.executable, *options, "-m", "components.dataset", *map(str, words)],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True,
    )  # fmt: skip


@pytest.fixture
def own(tmp_path):
    """A folder of descriptions with one data set, "garden"; its pictures lie in `pictures`."""
    garden = tmp_path / "own" / "garden"
    garden.mkdir(parents=True)
    (garden / "dataset.toml").write_text(DESCRIPTION)
    (garden / "schema.pbtxt").write_text(schemas.schema_text("sample"))
    corpus.write_good(tmp_path / "pictures", "folders")
    return garden.parent


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["build", "coco"], 2, "expected a data set among ade20k, pascal, sample; got 'coco'"),
        (["build", "pascal", "--schemas", "nowhere"], 2, "nowhere, which is no folder"),
        (["build", "pascal", "--shards", "0"], 2, "expected --shards and --workers of at least 1"),
        (["build", "pascal", "--source", "nowhere"], 3, "got no such folder"),
        (["build", "pascal", "--source", "own"], 3, "got none there"),
        (["build", "pascal", "--source", "own", "--split", "test"], 2, "expected splits of pascal"),
        (["build", "garden", "--schemas", "own"], 2, "expected --source with the pictures"),
        (["inspect", "pascal"], 3, "expected TFRecords in {folder}/data/pascal; got none"),
    ],
)
def test_what_is_wrong_is_said_before_anything_slow(own, words, code, said):
    done = run(own.parent, *words, imports=True)
    assert done.returncode == code and said.format(folder=own.parent) in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "components.errors" in imported
    assert not imported & {"tensorflow", "keras", "apache_beam", "tfx", "scipy"}


@pytest.mark.slow
def test_records_and_page_go_below_the_current_folder(own):
    words = ("garden", "--schemas", own)
    done = run(own.parent, "build", *words, "--source", "pictures")
    assert done.returncode == 0, done.stdout + done.stderr
    data = own.parent / "data"
    assert "val        1 picture\n" in done.stdout and f"Records    {data}/garden\n" in done.stdout
    assert len(list(records.read_examples(records.record_files(data / "garden", "train-*")))) == 3
    gate = "train odd.jpg: duplicate, the same picture as good.jpg"
    assert f"Data gate  A run is going to stop at 2 × duplicate, 1 × in two splits\n  {gate}" in (
        done.stdout
    )
    assert """--set 'gate.accept=["duplicate", "in two splits"]'""" in done.stdout
    assert "Not taken" not in done.stdout
    # What is new beside the pictures makes no new records, and is said.
    (own.parent / "pictures/images/train/[b]notes.txt").touch()
    done = run(own.parent, "build", *words, "--source", "pictures")
    assert "Not taken  1 file beside the pictures: images/train/[b]notes.txt\n" in done.stdout
    done = run(own.parent, "inspect", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Garden: 3 pictures in train, 1 picture in val." in (data / "garden.html").read_text()
