"""Pictures and masks found in the folders that a description names."""

import dataclasses
import tempfile
from pathlib import Path
from types import MappingProxyType

import pytest

import schemas
from components.dataset.building import build
from components.dataset.building.layout import find_layout, overlaps
from components.dataset.examination.findings import IN_TWO_SPLITS, MISSING_PICTURE
from components.errors import DataError
from schemas import Source, Split
from tests.components.dataset.building.corpus_folders import unprivileged


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


# === Masks in one folder ===

SHARED = {
    name: Split(images=(f"images/{name}/*",), masks=("masks/*.png",)) for name in ("train", "val")
}


def test_masks_of_another_split_are_no_orphans_in_a_shared_folder(put, tmp_path):
    put("images/train/1.jpg", "images/val/2.jpg", *(f"masks/{name}.png" for name in "123"))
    layout = find_layout(described(**SHARED), tmp_path)
    for name, own in (("train", "1"), ("val", "2")):
        pairs, (finding,) = layout.pairs(name)
        assert [pair.name for pair in pairs] == [own]
        assert (finding.filename, finding.cause) == ("3", MISSING_PICTURE)


def test_a_split_that_is_not_there_is_not_asked_for_its_pictures(put, tmp_path):
    put("images/train/1.jpg", "masks/1.png", "masks/2.png")
    _, (finding,) = find_layout(described(**SHARED), tmp_path).pairs("train")
    assert finding.filename == "2"


def test_a_picture_of_the_same_name_in_another_split_does_not_hide_an_orphan(put, tmp_path):
    put("a/1.jpg", "a_masks/1_mask.png", "a_masks/2_mask.png", "b/2.jpg", "b_masks/2_mask.png")
    dataset = described(train=split("a"), val=split("b"))
    _, (finding,) = find_layout(dataset, tmp_path).pairs("train")
    assert (finding.filename, finding.cause) == ("2", MISSING_PICTURE)


# === Links and closed folders ===


def test_links_to_folders_are_followed_but_not_round_in_circles(put, tmp_path):
    put("a/1.jpg", "a_masks/1_mask.png", "disk/2.jpg", "disk_masks/2_mask.png", "b/3.jpg")
    (tmp_path / "a/north").symlink_to(tmp_path / "disk")
    (tmp_path / "a_masks/north").symlink_to(tmp_path / "disk_masks")
    (tmp_path / "disk/again").symlink_to(tmp_path / "disk")
    (tmp_path / "disk/up").symlink_to(tmp_path)
    (tmp_path / "a/self").symlink_to("self")
    assert found(described(train=split("a")), tmp_path, "train") == ["1", "north/2"]


@pytest.mark.parametrize("closed", ["", "a", "a/north", "a_masks", "a_masks/north"])
@pytest.mark.parametrize("rights", [0o000, 0o111], ids=oct)
def test_a_folder_that_cannot_be_read_is_named(closed, rights):
    dataset = described(train=split("a"))
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        root = place / "root"
        for path in ("a/1.jpg", "a/north/2.jpg", "a_masks/1_mask.png", "a_masks/north/2_mask.png"):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).touch()
        (root / closed).chmod(rights)
        try:
            message = rf"got {root / closed}.*, which cannot be read \(Permission denied\); to "
            with unprivileged(), pytest.raises(DataError, match=message):
                build.pictures_in(dataset, root).pairs("train")
        finally:
            (root / closed).chmod(0o755)


def test_closed_folders_beside_the_pictures_do_not_matter():
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        (place / "lost+found").mkdir(0o000)
        picture = place / "archive/VOCdevkit/VOC2012/JPEGImages/a.jpg"
        picture.parent.mkdir(parents=True)
        with unprivileged():
            layout = find_layout(schemas.load("pascal"), place)
        assert layout.roots == (place, place / "archive/VOCdevkit/VOC2012")


# === Pictures in two splits ===


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
