"""Pictures and masks found in the folders that a description names."""

import dataclasses
from types import MappingProxyType

import pytest

import schemas
from components.dataset.findings import IN_TWO_SPLITS
from components.dataset.layout import find_layout, overlaps
from schemas import Source, Split


def described(**splits: Split) -> schemas.Dataset:
    source = Source(roots=("",), masks="ids", ignore_colors=(), splits=MappingProxyType(splits))
    return dataclasses.replace(schemas.load("pascal"), source=source)


def split(folder: str, **changes) -> Split:
    return Split(
        **{"images": (f"{folder}/*",), "masks": (f"{folder}_masks/*_mask.png",), **changes}
    )


@pytest.fixture
def put(tmp_path):
    def files(*paths: str):
        for path in paths:
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"")

    return files


def found(dataset, folder, name):
    pairs, findings = find_layout(dataset, folder).pairs(name)
    assert findings == []
    return [pair.name for pair in pairs]


@pytest.mark.parametrize("start", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_any_folder_on_the_way_will_do(put, tmp_path, start):
    root = "VOCdevkit/VOC2012"
    put(f"{root}/JPEGImages/a.jpg", f"{root}/SegmentationClass/a.png")
    lists = tmp_path / root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("a\n")
    assert found(schemas.load("pascal"), tmp_path / start, "val") == ["a"]


def test_a_folder_of_something_else_is_no_layout(put, tmp_path):
    put("train-00000-of-00001.tfrecord")
    assert find_layout(schemas.load("pascal"), tmp_path) is None
    assert find_layout(schemas.load("ade20k"), tmp_path) is None
    assert find_layout(schemas.load("sample"), tmp_path) is None


def test_ade20k_is_found_by_its_folders(put, tmp_path):
    root = "ADEChallengeData2016"
    put(f"{root}/images/training/x.jpg", f"{root}/annotations/training/x.png")
    put(f"{root}/images/validation/y.jpg", f"{root}/annotations/validation/y.png")
    assert found(schemas.load("ade20k"), tmp_path, "train") == ["x"]
    assert found(schemas.load("ade20k"), tmp_path, "val") == ["y"]


def test_names_are_paths_below_the_folder_and_endings_may_be_long(put, tmp_path):
    put("a/north/2.JPG", "a_masks/north/2_mask.png", "a/1.webp", "a_masks/1_mask.png")
    assert found(described(train=split("a")), tmp_path, "train") == ["1", "north/2"]


def test_pictures_that_lie_in_no_folder(put, tmp_path):
    own = Split(images=("*.jpg",), masks=("*_mask.png",))
    put("records/train-00000.tfrecord")
    assert find_layout(described(train=own), tmp_path) is None
    put("1.jpg", "1_mask.png", "2.jpg", "2_mask.png")
    assert found(described(train=own), tmp_path, "train") == ["1", "2"]


def test_the_first_of_several_masks_is_taken(put, tmp_path):
    put("a/1.jpg", "fine/1.png", "coarse/1.png", "a/2.jpg", "coarse/2.png")
    dataset = described(train=split("a", masks=("fine/*.png", "coarse/*.png")))
    pairs, _ = find_layout(dataset, tmp_path).pairs("train")
    assert [pair.label.rsplit("/", 2)[1] for pair in pairs] == ["fine", "coarse"]


def test_limit_takes_the_first_names(put, tmp_path):
    put(*(f"a/{i}.jpg" for i in range(5)), *(f"a_masks/{i}_mask.png" for i in range(5)))
    pairs, findings = find_layout(described(train=split("a")), tmp_path).pairs("train", 2)
    assert [pair.name for pair in pairs] == ["0", "1"] and findings == []


def pairs_of(dataset, folder):
    layout = find_layout(dataset, folder)
    return {name: layout.pairs(name)[0] for name in dataset.source.splits}


def test_a_picture_of_two_splits_is_taken_from_the_second(put, tmp_path):
    put("a/1.jpg", "a/2.jpg", "a_masks/1_mask.png", "a_masks/2_mask.png")
    (tmp_path / "one.txt").write_text("1")
    dataset = described(train=split("a"), val=split("a", names=("one.txt",)))
    kept, findings = overlaps(dataset, pairs_of(dataset, tmp_path))
    assert [pair.name for pair in kept["train"]] == ["1", "2"] and kept["val"] == []
    (finding,) = findings
    assert (finding.split, finding.filename, finding.cause) == ("val", "1", IN_TWO_SPLITS)


def test_splits_that_may_overlap_do(put, tmp_path):
    put("a/1.jpg", "a_masks/1_mask.png")
    dataset = described(train=split("a"), all=split("a", overlaps=("train",)))
    kept, findings = overlaps(dataset, pairs_of(dataset, tmp_path))
    assert findings == [] and [pair.name for pair in kept["all"]] == ["1"]


def test_files_that_only_share_a_name_are_told_apart(put, tmp_path):
    put("a/1.jpg", "a_masks/1_mask.png", "b/1.jpg", "b_masks/1_mask.png")
    dataset = described(train=split("a"), val=split("b"))
    kept, findings = overlaps(dataset, pairs_of(dataset, tmp_path))
    assert findings == []
    assert [pair.name for own in kept.values() for pair in own] == ["train/1", "val/1"]
