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
    ("text", "color"),
    [
        ("#ff00ff", (255, 0, 255)),
        ("#ff00ffff", (255, 0, 255)),
        ("#FF00FF80", (255, 0, 255, 128)),
        ("#00000000", (0, 0, 0, 0)),
        ("#ff00ff00", (0, 0, 0, 0)),
    ],
)
def test_an_ignored_colour_may_be_transparent_and_what_is_not_seen_is_one_colour(
    tmp_path, text, color
):
    made = read(tmp_path, GOOD.replace("#ff00ff", text))
    assert made.source.ignore_colors == (color,)
    assert schemas.from_json(schemas.to_json(made)) == made


def test_names_are_composed_in_one_way(tmp_path):
    made = read(tmp_path, GOOD.replace('"thing"', '"a\u0308hre"'))
    assert made.class_names == ("nothing", "\u00e4hre")


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    text = GOOD.replace("= 255", "= 999").replace('"Ours."', "3").replace('"thing"', '"nothing"')
    text = text.replace('"#ff00ff"', '"pink"').replace('"images/val/*"', '"images/val"')
    with pytest.raises(DatasetError) as caught:
        read(tmp_path, text)
    for line, part in zip(
        str(caught.value).splitlines(),
        (
            "expected licence of type str; got 3",
            "with one star for the picture's name; got 'images/val'",
            "expected a color such as '#1a2b3c'; got 'pink'",
            "got 'nothing' for class 0",
            "got 'nothing' for class 1",
            "where no class is; got 999",
        ),
        strict=True,
    ):
        assert part in line and "; to fix, " in line and str(tmp_path) in line


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[source]", "[sauce]", "expected only .* in the file; got sauce|sauce"),
        ('masks = "colors"', 'masks = "colours"', "to be ids or colors; got 'colours'"),
        ('masks = "colors"', 'mask = "colors"', "in source; got mask"),
        ('["#ff00ff"]', '["pink"]', "expected a color such as"),
        ('["#ff00ff"]', '["#00ff00"]', "#00ff00 several times"),
        ('["#ff00ff"]', '["#0000"]', "expected a color such as"),
        ('["#ff00ff"]', '["#01020300", "#00000000"]', "#00000000 several times"),
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
