"""Records of a PASCAL VOC: found, converted once, written whole.

What is odd or bad in pictures and records is in `test_bad_inputs.py` and `test_bad_records.py`.
"""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import schemas
from components.dataset import records
from components.dataset import source as prepare
from components.errors import DataError
from components.storage import folders

PATTERNS = {"train": "train-*", "val": "val-*"}


@pytest.fixture
def voc_root(tmp_path):
    """A PASCAL VOC of three pictures, with palette masks as in the official one."""
    root = tmp_path / "VOCdevkit" / "VOC2012"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    palette = np.random.default_rng(0).integers(0, 256, 768).tolist()
    for name, size in (("a", (30, 20)), ("b", (20, 30)), ("c", (25, 25))):
        Image.new("RGB", size, "red").save(root / "JPEGImages" / f"{name}.jpg")
        ids = np.zeros(size[::-1], np.uint8)
        ids[2:9, 3:7], ids[0] = 15, 255
        mask = Image.fromarray(ids).convert("P")
        mask.putdata(ids.ravel())
        mask.putpalette(palette)
        mask.save(root / "SegmentationClass" / f"{name}.png")
    (root / "ImageSets/Segmentation/train.txt").write_text("a\nb\n")
    (root / "ImageSets/Segmentation/val.txt").write_text("c\n")
    return root


def convert(source, output, limits=None):
    return prepare.find_records(
        schemas.load("pascal"),
        str(source),
        output,
        patterns=PATTERNS,
        limits=limits or {"train": 0, "val": 0},
    ).ready()


def read(folder, split):
    return list(records.read_examples(records.record_files(folder, f"{split}-*")))


@pytest.mark.parametrize("levels", [0, 1, 2])
def test_voc_is_found_at_every_level_and_converted(voc_root, tmp_path, levels):
    source = [voc_root, voc_root.parent, voc_root.parent.parent][levels]
    folder = convert(source, tmp_path / "out")
    first = next(
        e
        for e in read(folder, "train")
        if e.features.feature[records.WIDTH].int64_list.value[0] == 30
    )
    feature = first.features.feature
    assert set(records.KEYS) == set(feature)
    assert feature[records.FILENAME].bytes_list.value[0] == b"a.jpg"
    original = (voc_root / "JPEGImages" / "a.jpg").read_bytes()
    assert feature[records.IMAGE].bytes_list.value[0] == original
    label = tf.io.decode_png(feature[records.LABEL].bytes_list.value[0]).numpy()
    assert label.shape == (20, 30, 1) and sorted(np.unique(label)) == [0, 15, 255]
    assert len(read(folder, "val")) == 1


def test_conversion_is_done_once_and_again_when_a_picture_changes(voc_root, tmp_path):
    folder = convert(voc_root, tmp_path / "out")
    before = (folder / "manifest.json").stat().st_mtime_ns
    assert convert(voc_root, tmp_path / "out") == folder
    assert (folder / "manifest.json").stat().st_mtime_ns == before
    Image.new("RGB", (30, 20), "blue").save(voc_root / "JPEGImages" / "a.jpg")
    assert convert(voc_root, tmp_path / "out") != folder


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda r: Image.new("L", (5, 5)).save(r / "SegmentationClass/b.png"),
            "train b: mask of another size, the picture is 20x30, the mask 5x5",
        ),
        (
            lambda r: Image.new("L", (20, 30), 77).save(r / "SegmentationClass/b.png"),
            r"train b: label out of range, expected 0-20 or 255 \(ignore\), got 77",
        ),
        (
            lambda r: (r / "JPEGImages/b.jpg").unlink(),
            r"train b: missing picture, expected a file .*/JPEGImages/b\.jpg",
        ),
        (
            lambda r: (r / "ImageSets/Segmentation/val.txt").write_text(""),
            r"val\.txt; got an empty file",
        ),
        (lambda r: (r / "ImageSets/Segmentation/val.txt").unlink(), r"val\.txt .*got no such file"),
    ],
)
def test_bad_folders_are_refused_and_no_records_are_left(voc_root, tmp_path, damage, message):
    damage(voc_root)
    with pytest.raises(DataError, match=message):
        convert(voc_root, tmp_path / "out")
    assert all(path.name.endswith(".findings.json") for path in (tmp_path / "out").glob("**/*"))


def test_a_limit_takes_the_first_by_name_and_looks_at_no_other(voc_root, tmp_path):
    (voc_root / "JPEGImages/b.jpg").write_bytes(b"no picture")
    folder = convert(voc_root, tmp_path / "out", limits={"train": 1, "val": 0})
    (only,) = read(folder, "train")
    assert only.features.feature[records.FILENAME].bytes_list.value[0] == b"a.jpg"
    assert convert(voc_root, tmp_path / "out", limits={"train": 1, "val": 1}) != folder


def test_a_folder_of_records_is_used_where_it_lies(voc_root, tmp_path):
    folder = convert(voc_root, tmp_path / "out")
    assert convert(folder, tmp_path / "other") == folder
    assert not (tmp_path / "other").exists()


def record(name):
    return records.Record(
        filename=name, image=b"image", image_format="jpeg", label=b"label", height=2, width=3
    )


def test_records_go_round_robin_into_shards_and_a_manifest_counts_them(tmp_path):
    folder = tmp_path / "records"
    splits = {"train": [record(name) for name in "abcde"], "val": iter([record("f")])}
    records.write_records(folder, splits, source="digest", shards=2)
    names = {
        path.name: [
            example.features.feature[records.FILENAME].bytes_list.value[0].decode()
            for example in records.read_examples([str(path)])
        ]
        for path in folder.glob("*.tfrecord")
    }
    assert names == {
        "train-00000-of-00002.tfrecord": ["a", "c", "e"],
        "train-00001-of-00002.tfrecord": ["b", "d"],
        "val-00000-of-00002.tfrecord": ["f"],
        "val-00001-of-00002.tfrecord": [],
    }
    assert json.loads((folder / folders.MANIFEST).read_text()) == {
        "source": "digest",
        "splits": {"train": {"records": 5}, "val": {"records": 1}},
    }
    assert records.is_current(folder, "digest") and not records.is_current(folder, "other")


def test_a_split_without_records_is_refused_and_the_old_ones_stay(tmp_path):
    folder = tmp_path / "records"
    records.write_records(folder, {"train": [record("a")]}, source="old")
    with pytest.raises(DataError, match="expected at least one record in split 'val'; got none"):
        records.write_records(folder, {"train": [record("b")], "val": []}, source="new")
    assert records.is_current(folder, "old")
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
