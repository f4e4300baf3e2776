"""Records, VOC folders and the look at the door: what is refused, what is left behind."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import schemas
from components.dataset import prepare, records, voc
from components.errors import DataError

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


def convert(source, output):
    return prepare.find_records(
        schemas.load("pascal"),
        str(source),
        output,
        patterns=PATTERNS,
        limits={"train": 0, "val": 0},
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


def damage_mask_size(root):
    Image.new("L", (5, 5)).save(root / "SegmentationClass" / "b.png")


def damage_label(root):
    Image.new("L", (20, 30), 77).save(root / "SegmentationClass" / "b.png")


def damage_colours(root):
    Image.new("RGB", (20, 30)).save(root / "SegmentationClass" / "b.png")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_mask_size, r"expected a mask as large as its picture, 20x30; got 5x5 in .*b\.png"),
        (damage_label, r"expected labels 0-20 or 255.*got \[77\] in .*b\.png"),
        (damage_colours, r"expected a palette or 8-bit grey mask; got mode RGB in .*b\.png"),
        (lambda r: (r / "JPEGImages/b.jpg").unlink(), r"got .*b\.jpg \(no such file\)"),
        (
            lambda r: (r / "JPEGImages/b.jpg").write_bytes(b"x"),
            r"expected a readable picture.*b\.jpg",
        ),
        (
            lambda r: (r / "ImageSets/Segmentation/val.txt").write_text(""),
            r"val\.txt; got an empty file",
        ),
        (lambda r: (r / "ImageSets/Segmentation/val.txt").unlink(), r"val\.txt; got no such file"),
    ],
)
def test_bad_folders_are_refused_and_nothing_is_left(voc_root, tmp_path, damage, message):
    damage(voc_root)
    with pytest.raises(DataError, match=message):
        convert(voc_root, tmp_path / "out")
    assert not list((tmp_path / "out").glob("**/*"))


def test_a_folder_of_records_is_used_where_it_lies(voc_root, tmp_path):
    folder = convert(voc_root, tmp_path / "out")
    assert convert(folder, tmp_path / "other") == folder
    assert not (tmp_path / "other").exists()


def drop_key(folder):
    path = records.record_files(folder, "val-*")[0]
    example = next(records.read_examples([path]))
    del example.features.feature[records.IMAGE]
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(example.SerializeToString())


def empty(folder):
    for path in records.record_files(folder, "val-*"):
        open(path, "w").close()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda f: [p.unlink() for p in f.glob("val-*")],
            "matching 'val-\\*' for the val split.*got none",
        ),
        (empty, "expected at least one record in the val split; got 4 empty file"),
        (
            lambda f: next(f.glob("val-*")).write_bytes(b"text, no records"),
            "expected a TFRecord file",
        ),
        (drop_key, f"got a record without {records.IMAGE}"),
    ],
)
def test_bad_records_are_refused_at_the_door(voc_root, tmp_path, damage, message):
    folder = convert(voc_root, tmp_path / "out")
    damage(folder)
    with pytest.raises(DataError, match=message):
        convert(folder, tmp_path / "other")


def test_missing_folder(tmp_path):
    with pytest.raises(
        DataError, match=r"expected a folder in --data-dir; got .*nowhere.*not exist"
    ):
        convert(tmp_path / "nowhere", tmp_path / "out")


def test_an_interrupted_writer_leaves_the_old_records(voc_root, tmp_path):
    folder = convert(voc_root, tmp_path / "out")
    manifest = json.loads((folder / "manifest.json").read_text())

    def broken():
        yield from voc.read_pictures(voc_root, ["a"], schemas.load("pascal"))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        records.write_records(folder, {"train": broken()}, source="new")
    assert json.loads((folder / "manifest.json").read_text()) == manifest
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
