"""Where a data set's pictures are: the shipped descriptions, and wrong ones refused."""

import pytest

import schemas
from schemas import DatasetError

GOOD = """
title = "Own"
licence = "Ours."
ignore_label = 255
classes = [
  { id = 0, color = "#000000", name = "nothing" },
  { id = 1, color = "#00ff00", name = "thing" },
]

[source]
masks = "colors"
ignore_colors = ["#ff00ff"]

[source.splits.train]
images = "images/train/*"
masks = ["masks/train/*.png", "more/*.png"]

[source.splits.val]
images = "images/val/*"
masks = "masks/val/*.png"
"""


def read(folder, text):
    (folder / "dataset.toml").write_text(text, encoding="utf-8")
    return schemas.read(folder)


def test_own_layout_is_read(tmp_path):
    source = read(tmp_path, GOOD).source
    assert source.masks == "colors" and source.ignore_colors == ((255, 0, 255),)
    assert source.roots == ("",) and source.archives == ()
    assert list(source.splits) == ["train", "val"]
    assert source.splits["train"].images == ("images/train/*",)
    assert source.splits["train"].masks == ("masks/train/*.png", "more/*.png")
    assert source.splits["train"].names == ()


def test_pascal_is_the_official_one():
    source = schemas.load("pascal").source
    assert set(source.splits) == {"train", "val", "trainval", "train_aug"}
    voc, sbd = source.archives
    assert voc.bytes == 1_999_639_040
    assert voc.checksums["md5"] == "6cd6e144f989b92b3379bac3b3de84fd"
    assert len(voc.checksums["sha256"]) == 64
    assert sbd.splits == ("train_aug",)
    assert "train" in source.splits["train_aug"].overlaps
    assert source.splits["train_aug"].without == ("ImageSets/Segmentation/val.txt",)


def test_ade20k_is_the_official_one():
    source = schemas.load("ade20k").source
    assert source.splits["val"].masks == ("annotations/validation/*.png",)
    (archive,) = source.archives
    assert archive.checksums == {"md5": "7328b3957e407ddae1d3cbf487f149ef"}


def test_the_rendered_sample_has_no_pictures_elsewhere():
    assert schemas.load("sample").source is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[source]", "[sauce]", "expected only .* in the file; got sauce|sauce"),
        ('masks = "colors"', 'masks = "colours"', "to be ids or colors; got 'colours'"),
        ('masks = "colors"', 'mask = "colors"', "in source; got mask"),
        ('["#ff00ff"]', '["pink"]', "expected a color such as"),
        ('["#ff00ff"]', '["#00ff00"]', "#00ff00 several times"),
        ("[source.splits.val]", "[source.splits.test]", "with train and val; got train, test"),
        ('"images/val/*"', '"images/val"', "with one star .*; got 'images/val'"),
        ('"images/val/*"', "3", "expected images to be a text or a list of texts; got 3"),
        ('images = "images/val/*"', 'picture = "images/val/*"', "in source.splits.val; got"),
        (
            '"masks/val/*.png"',
            '"masks/val/*.png"\noverlaps = "dev"',
            r"overlaps to name other splits; got \['dev'\]",
        ),
        (
            "[source.splits.val]",
            '[[source.archives]]\nurls = "http://x/a.zip"\nchecksums = {}\n[source.splits.val]',
            "expected unpacked_bytes of type int; got None",
        ),
    ],
)
def test_wrong_source_is_refused_with_its_fix(tmp_path, old, new, message):
    assert old in GOOD
    with pytest.raises(DatasetError, match=message) as caught:
        read(tmp_path, GOOD.replace(old, new, 1))
    assert "to fix" in str(caught.value)
