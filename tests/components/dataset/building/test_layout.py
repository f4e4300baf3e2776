"""Pictures and masks found in the folders that a description names."""

import dataclasses
import re
import tempfile
from pathlib import Path
from types import MappingProxyType

import pytest
from PIL import Image

import schemas
from components.dataset.building import build
from components.dataset.building.formats import FORMATS, endings
from components.dataset.building.layout import find_layout, overlaps
from components.dataset.building.picture_files import ProblemError, record_picture
from components.dataset.examination.findings import (
    DUPLICATE,
    IN_TWO_SPLITS,
    MISSING_MASK,
    MISSING_PICTURE,
)
from components.errors import DataError
from schemas import Source, Split
from tests.components.dataset.building import corpus
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


# === Names and endings ===

NFC, NFD = "\u00dcb\u00e9", "U\u0308be\u0301"


@pytest.mark.parametrize("ending", [e for one in endings() for e in (one, one.upper())])
@pytest.mark.parametrize("pattern", ["a/*", "a/*{}"])
def test_every_ending_of_a_kind_that_can_be_read_is_that_of_a_picture(
    put, tmp_path, ending, pattern
):
    put(f"a/1{ending}", "a_masks/1_MASK.PNG", "a_masks/2_mask.png")
    own = split("a", images=(pattern.format(ending.swapcase()),))
    pairs, (orphan,) = find_layout(described(train=own), tmp_path).pairs("train")
    assert [pair.name for pair in pairs] == ["1"] and orphan.filename == "2"


@pytest.mark.parametrize("kind", FORMATS)
def test_the_kinds_that_have_endings_are_those_that_can_be_read(kind):
    encoded = corpus.encode(Image.new("RGB", (16, 16), (200, 30, 30)), kind)
    assert record_picture(encoded).encoded
    assert any(Image.registered_extensions()[ending] == kind for ending in endings())


@pytest.mark.parametrize("kind", sorted(set(Image.SAVE) - set(FORMATS)))
def test_kinds_without_an_ending_here_are_not_read(kind):
    try:
        encoded = corpus.encode(Image.new("RGB", (16, 16)), kind)
    except (OSError, ValueError, KeyError, TypeError):  # Pillow cannot write every kind.
        return
    if encoded[:2] not in (b"BM", b"\xff\xd8"):
        with pytest.raises(ProblemError):
            record_picture(encoded)


def test_a_description_says_how_an_ending_is_written_best(put, tmp_path):
    put("a/1.png", "a/1.PNG", "a/1.Png", "a_masks/1_mask.png")
    layout = find_layout(described(train=split("a", images=("a/*.png",))), tmp_path)
    (pair,), twice = layout.pairs("train")
    assert pair.image.endswith("/1.png")
    assert [(f.filename, f.cause) for f in twice] == [("1", DUPLICATE)] * 2


@pytest.mark.parametrize("forms", [(NFC, NFD), (NFD, NFC), (NFD, NFD)])
def test_letters_composed_in_two_ways_are_the_same_name(put, tmp_path, forms):
    picture, mask = forms
    put(f"{mask}/{picture}/{picture}.jpg", f"{picture}_m/{mask}/{mask}_{picture}.png")
    (tmp_path / "names.txt").write_text(f"{mask}/{picture}\n", encoding="utf-8")
    for names in ((), ("names.txt",)):
        own = Split(images=(f"{NFC}/*",), masks=(f"{NFC}_m/*_{NFC}.png",), names=names)
        assert found(described(train=own), tmp_path, "train") == [f"{NFC}/{NFC}"]


def test_names_that_differ_in_how_letters_are_composed_alone_are_one_picture_twice(put, tmp_path):
    put(f"a/{NFC}.jpg", f"a/{NFD}.jpg", f"a_masks/{NFD}_mask.png")
    pairs, (twice,) = find_layout(described(train=split("a")), tmp_path).pairs("train")
    assert [pair.name for pair in pairs] == [NFC]
    assert (twice.filename, twice.cause) == (NFC, DUPLICATE)
    assert twice.detail.endswith(
        "; the names differ only in how letters are composed, so remove one"
    )
    (tmp_path / "names.txt").write_text(f"{NFC}\n{NFD}\n", encoding="utf-8")
    own = split("a", names=("names.txt",))
    _, findings = find_layout(described(train=own), tmp_path).pairs("train")
    assert {finding.detail for finding in findings} == {"this name occurs twice", twice.detail}


def test_names_that_differ_in_case_are_two_and_a_mask_of_the_other_is_named(put, tmp_path):
    put("a/x.jpg", "a/X.jpg", "a_masks/x_mask.png", "a_masks/X_mask.png", "a/Y.jpg")
    put("a_masks/y_mask.png")
    pairs, findings = find_layout(described(train=split("a")), tmp_path).pairs("train")
    assert [pair.name for pair in pairs] == ["X", "x"]
    no_picture, no_mask = findings
    assert (no_picture.filename, no_picture.cause) == ("y", MISSING_PICTURE)
    assert "/a/Y.jpg differs in small and large letters" in no_picture.detail
    assert (no_mask.filename, no_mask.cause) == ("Y", MISSING_MASK)
    assert "/a_masks/y_mask.png differs in small and large letters" in no_mask.detail


def test_what_is_no_picture_is_counted_and_named(put, tmp_path):
    odd = ("Thumbs.db", ".DS_Store", "._1.jpg", "deep/notes.txt", ".cache/2.jpg", "3.heic")
    put("a/1.jpg", "a_masks/1_mask.png", "a_masks/3_mask.png", *(f"a/{name}" for name in odd))
    put("a/deep/1.jpg", "a_masks/deep/1_mask.png")
    layout = find_layout(described(train=split("a")), tmp_path)
    pairs, (finding,) = layout.pairs("train")
    assert [pair.name for pair in pairs] == ["1", "deep/1"]
    assert re.search("/a/3.heic is of no kind that is taken, so convert it$", finding.detail)
    named = ["a/.DS_Store", "a/._1.jpg", "a/.cache", "a/3.heic", "a/Thumbs.db", "a/deep/notes.txt"]
    assert layout.not_taken(["train"]) == {"count": 6, "names": named}


def test_what_another_pattern_or_a_list_takes_is_not_named(put, tmp_path):
    put("1.jpg", "1_mask.png", "val/2.png", "m/2.tif", "left.png")
    (tmp_path / "list.txt").write_text("1")
    train = Split(images=("*.jpg",), masks=("*_mask.png",), names=("list.txt",))
    val = Split(images=("val/*",), masks=("m/*.tif",))
    layout = find_layout(described(train=train, val=val), tmp_path)
    assert layout.not_taken(["train", "val"]) == {"count": 1, "names": ["left.png"]}
    assert layout.not_taken(["val"]) == {"count": 0, "names": []}


def test_many_files_that_are_not_taken_are_counted_and_some_named(put, tmp_path):
    put("a/1.jpg", "a_masks/1_mask.png", *(f"a/{i:03d}.heic" for i in range(150)))
    found = find_layout(described(train=split("a")), tmp_path).not_taken(["train"])
    assert found["count"] == 150 and found["names"] == [f"a/{i:03d}.heic" for i in range(20)]


def test_a_folder_of_other_files_alone_says_so(put, tmp_path):
    put("a/1.heic", "a_masks/1_mask.png")
    with pytest.raises(DataError, match=r"at .*/a/\*; got none but 1 other file; to fix, "):
        find_layout(described(train=split("a")), tmp_path).pairs("train")


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
