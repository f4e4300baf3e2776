"""Which folder is taken for what."""

import pytest
from PIL import Image

import schemas
from components.dataset import records
from components.dataset import source as prepare
from components.errors import ConfigError, DataError

PATTERNS = {"train": "train-*", "val": "val-*"}
ALL = {"train": 0, "val": 0}


def find(folder, output, dataset="pascal", limits=ALL):
    source = None if folder is None else str(folder)
    return prepare.find_records(
        schemas.load(dataset), source, output, patterns=PATTERNS, limits=limits
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


def test_what_looks_like_a_span_and_is_none_is_refused(tmp_path):
    for name in ("span-1", "span-2", "spanish"):
        write(tmp_path / name)
    assert find(tmp_path, tmp_path / "output").has_spans
    write(tmp_path / "span-2-old")
    with pytest.raises(DataError, match=r"got span-2-old beside them; to fix"):
        find(tmp_path, tmp_path / "output")


def test_a_path_that_is_a_pattern_is_refused(tmp_path):
    write(tmp_path / "fields [2024]")
    assert records.record_files(tmp_path / "fields [2024]", "train-*")
    with pytest.raises(DataError, match=r"without \*, \? and \[ in its path; got .*rename it"):
        find(tmp_path / "fields [2024]", tmp_path / "output")


def test_the_sample_wants_a_number_of_pictures(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.train_limit and data\.val_limit above 0"):
        find(None, tmp_path / "output", "sample")
    found = find(None, tmp_path / "output", "sample", {"train": 2, "val": 1})
    folder = found.ready()
    assert len(list(records.read_examples(records.record_files(folder, "train-*")))) == 2
