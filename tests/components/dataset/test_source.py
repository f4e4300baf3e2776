"""Which folder is taken for what, and that it is said before anything slow is imported."""

import gzip
import os
import subprocess
import sys

import pytest
from PIL import Image

import schemas
from components.dataset import records
from components.dataset import source as prepare
from components.errors import ConfigError, DataError
from tests.conftest import REPOSITORY

PATTERNS = {"train": "train-*", "val": "val-*"}
ALL = {"train": 0, "val": 0}


def find(folder, output, dataset="pascal", limits=ALL, window=0):
    source = None if folder is None else str(folder)
    return prepare.find_records(
        schemas.load(dataset), source, output, patterns=PATTERNS, limits=limits, window=window
    )


def write(folder):
    record = next(prepare.sample.render_records("train", 1))
    records.write_records(folder, {"train": [record], "val": [record]}, source="x")


def test_pictures_are_pictures_whatever_lies_beside_them(tmp_path):
    root = tmp_path / "VOC2012"
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / part).mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(root / "JPEGImages" / "a.jpg")
    (root / "train-list.txt").write_text("a")
    for split in ("train", "val"):
        (root / f"ImageSets/Segmentation/{split}.txt").write_text("a")
    found = find(root, tmp_path / "output")
    assert found.write is not None and found.folder.parent == tmp_path / "output"


def test_a_folder_of_neither_is_refused_in_the_words_of_its_description(tmp_path):
    with pytest.raises(DataError, match=r"pictures of PASCAL .*JPEGImages/\*\.jpg.* got neither"):
        find(tmp_path, tmp_path / "output")
    with pytest.raises(DataError, match=r"TFRecord files matching 'train-\*' and 'val-\*' in"):
        find(tmp_path, tmp_path / "output", "sample")


@pytest.fixture
def spans(tmp_path):
    """A folder of the spans 2, 9 and 10, and of something else."""
    folder = tmp_path / "spans"
    for name in ("span-2", "span-9", "span-10", "spanish"):
        write(folder / name)
    return folder


@pytest.mark.parametrize(
    ("window", "expected"), [(0, (2, 9, 10)), (1, (10,)), (2, (9, 10)), (7, (2, 9, 10))]
)
def test_the_window_holds_the_newest_spans(spans, tmp_path, window, expected):
    found = find(spans, tmp_path / "output", window=window)
    assert found.spans == expected and found.folder == found.ready() == spans


def test_every_span_of_the_window_is_checked_and_no_other(spans, tmp_path):
    (damaged,) = (spans / "span-9").glob("train-00000-*")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"got .*/span-9/train-00000.*truncated record at 0"):
        find(spans, tmp_path / "output", window=2)
    assert find(spans, tmp_path / "output", window=1).spans == (10,)


@pytest.mark.parametrize("name", ["span-2-old", "span-02", "span-"])
def test_what_looks_like_a_span_and_is_none_is_refused(spans, tmp_path, name):
    write(spans / name)
    with pytest.raises(DataError, match=f"got {name} beside them; to fix"):
        find(spans, tmp_path / "output")


def test_a_span_whose_number_starts_with_0_is_no_span(tmp_path):
    write(tmp_path / "span-007")
    with pytest.raises(DataError, match=r"named span-1, span-2, … in .*; got span-007; to fix"):
        find(tmp_path, tmp_path / "output")


def test_the_digest_sees_every_file_of_the_window_and_nothing_else(spans, tmp_path):
    def digest(window=2):
        return find(spans, tmp_path / "output", window=window).digest

    before = digest()
    assert digest() == before != digest(window=1)
    (spans / "span-10" / "notes.txt").write_text("no record")
    write(spans / "span-2")
    assert digest() == before
    os.utime(next((spans / "span-9").glob("val-*")))
    after = digest()
    assert after != before
    write(spans / "span-11")
    assert digest() not in (before, after)


@pytest.mark.parametrize("character", "*?[]")
def test_a_path_that_is_a_pattern_is_refused(tmp_path, character):
    name = f"fields {character}2024"
    write(tmp_path / name)
    assert records.record_files(tmp_path / name, "train-*")
    message = r"without \*, \?, \[ and \] in its path; got .*rename it"
    with pytest.raises(DataError, match=message):
        find(tmp_path / name, tmp_path / "output")
    with pytest.raises(ConfigError, match=message):
        find(None, tmp_path / name, "sample", {"train": 2, "val": 1})


def test_the_output_may_be_given_from_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = find(None, prepare.Path("output"), "sample", {"train": 2, "val": 1})
    assert found.folder.parent == tmp_path / "output"


def test_the_sample_wants_a_number_of_pictures(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.train_limit and data\.val_limit above 0"):
        find(None, tmp_path / "output", "sample")
    found = find(None, tmp_path / "output", "sample", {"train": 2, "val": 1})
    folder = found.ready()
    assert len(list(records.read_examples(records.record_files(folder, "train-*")))) == 2


# === Before anything slow is imported ===

DOOR = """
import sys
from pathlib import Path
import schemas
from components.dataset.source import find_records
from components.errors import DataError
try:
    found = find_records(
        schemas.load("pascal"), sys.argv[1], Path("output"),
        patterns={"train": "train-*", "val": "val-*"}, limits={"train": 0, "val": 0},
    )
    print(found.spans)
except DataError as error:
    print(error)
slow = ("tensorflow", "keras", "apache_beam", "tfx", "tensorflow_transform", "scipy")
print([name for name in slow if name in sys.modules])
"""


def pictures(folder):
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / part).mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "JPEGImages" / "a.jpg")
    for split in ("train", "val"):
        (folder / f"ImageSets/Segmentation/{split}.txt").write_text("a")


def zipped(folder):
    write(folder)
    for path in folder.glob("train-*"):
        path.write_bytes(gzip.compress(path.read_bytes()))


def without_a_list(folder):
    pictures(folder)
    (folder / "ImageSets/Segmentation/val.txt").unlink()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: None, "which does not exist"),
        (lambda folder: folder.mkdir(), "got neither"),
        (pictures, "()"),
        (without_a_list, "expected ImageSets/Segmentation/val.txt in"),
        (write, "()"),
        (lambda folder: write(folder / "span-1"), "(1,)"),
        (zipped, "which is gzipped but not named so"),
    ],
)
def test_it_is_said_without_anything_slow(tmp_path, make, said):
    make(tmp_path / "data")
    done = subprocess.run(
        [sys.executable, "-c", DOOR, str(tmp_path / "data")],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    *words, slow = done.stdout.splitlines()
    assert said in "".join(words) and slow == "[]"
