"""Odd pictures, masks and folders become the right record, or are refused by name."""

import collections
import json
import re

import numpy as np
import pytest
from PIL import Image

from components.data_gate.checks import check_record
from components.dataset import records
from components.dataset.building import conversion
from components.dataset.building.layout import find_layout
from components.dataset.decoding.image import decode_image, decode_label
from components.dataset.examination.findings import DUPLICATE, Finding
from components.dataset.examination.repeats import repeated
from components.dataset.limits import DEFAULT
from components.errors import ConfigError, DataError
from components.storage import folders
from tests.components.dataset.building import corpus
from tests.components.dataset.building.corpus_folders import BAD_FOLDERS, FOLDERS, NO_FOLDERS
from tests.components.dataset.building.corpus_masks import BAD_MASKS, MASKS
from tests.components.dataset.building.corpus_pictures import BAD_PICTURES, PICTURES


def cases(*tables):
    return pytest.mark.parametrize("case", [pytest.param(c, id=c.name) for t in tables for c in t])


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out" / "records"


def convert(root, layout, output, on_error="fail"):
    found = find_layout(corpus.dataset(layout), root)
    return conversion.convert(
        found, ("train", "val"), output, source="x", shards=1, on_error=on_error
    )


def made(case, tmp_path):
    root = tmp_path / "data"
    corpus.write_good(root, case.layout)
    case.make(root)
    return root


def read(output, split):
    """The records of a split by name."""
    examples = records.read_examples(records.record_files(output, f"{split}-*"))
    features = [example.features.feature for example in examples]
    return {feature[records.FILENAME].bytes_list.value[0].decode(): feature for feature in features}


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


@cases(PICTURES, MASKS, FOLDERS)
def test_what_is_odd_becomes_the_right_record(case, tmp_path, output):
    root = made(case, tmp_path)
    manifest = convert(root, case.layout, output)
    ending = {"jpeg": ".jpg", "png": ".png"}[case.format]
    feature = read(output, "train")[case.filename + ending]
    encoded = feature[records.IMAGE].bytes_list.value[0]
    image_HW3 = decode_image(encoded, DEFAULT).pixels.numpy()
    assert image_HW3.shape == case.image_HW3.shape
    np.testing.assert_allclose(image_HW3, case.image_HW3, rtol=0, atol=case.tolerance)
    label_HW = decode_label(feature[records.LABEL].bytes_list.value[0], DEFAULT).pixels.numpy()[
        ..., 0
    ]
    np.testing.assert_array_equal(label_HW, case.label_HW)

    assert feature[records.IMAGE_FORMAT].bytes_list.value[0].decode() == case.format
    assert encoded.startswith({"jpeg": b"\xff\xd8", "png": b"\x89PNG"}[case.format])
    height, width = (feature[key].int64_list.value[0] for key in (records.HEIGHT, records.WIDTH))
    assert (height, width) == label_HW.shape
    train = manifest["splits"]["train"]
    assert (train["records"], train["left_out"]) == (3, {})
    assert train["rewritten"] == ({case.rewritten: 1} if case.rewritten else {})
    pixels = np.bincount(np.r_[label_HW.ravel(), corpus.LABEL_HW.ravel().repeat(2)], minlength=256)
    assert list(train["class_pixels"].values()) == pixels[:3].tolist()
    assert train["ignored_pixels"] == pixels[255]
    assert [note["filename"] for note in manifest["notes"]] == ["odd"] * case.is_noted
    listed = ["records", "records.findings.json"] if case.is_noted else ["records"]
    assert left_in(output.parent) == listed


def test_what_can_go_into_a_record_as_it_is_does(tmp_path, output):
    corpus.write_good(tmp_path, "folders")
    convert(tmp_path, "folders", output)
    feature = read(output, "train")["odd.jpg"]
    assert feature[records.IMAGE].bytes_list.value[0] == corpus.jpeg()


@cases(BAD_PICTURES, BAD_MASKS, BAD_FOLDERS)
def test_what_is_bad_is_named_and_can_be_left_out(case, tmp_path, output):
    root = made(case, tmp_path)
    with pytest.raises(
        DataError, match=r"expected . pictures? fit for training; got 1 × "
    ) as caught:
        convert(root, case.layout, output)
    report = output.with_name("records.findings.json")
    assert left_in(output.parent) == [report.name]
    (finding,) = json.loads(report.read_text())["findings"]
    assert re.search(case.detail, finding.pop("detail"))
    assert finding == {"split": case.split, "filename": case.filename, "cause": case.cause}
    assert f"{case.split} {case.filename}: {case.cause}, " in str(caught.value)
    assert "build corpus --on-error=skip" in str(caught.value)

    manifest = convert(root, case.layout, output, on_error="skip")
    for split, names in (("train", case.train), ("val", case.val)):
        assert sorted(read(output, split)) == sorted(names)
        described = manifest["splits"][split]
        assert described["records"] == len(names)
        is_left_out = split == case.split and case.cause != DUPLICATE
        assert described["left_out"] == ({case.cause: 1} if is_left_out else {})
    assert json.loads(report.read_text())["counts"] == {case.cause: 1}
    assert left_in(output.parent) == ["records", report.name]


@cases(NO_FOLDERS)
def test_folders_that_lack_something_are_refused_at_once(case, tmp_path, output):
    root = made(case, tmp_path)
    for on_error in ("fail", "skip"):
        with pytest.raises(DataError, match=case.message):
            convert(root, case.layout, output, on_error)
    assert not output.parent.exists()


def test_all_that_is_wrong_is_said_at_once(tmp_path, output):
    corpus.write_good(tmp_path, "folders")
    corpus.picture(b"no picture")(tmp_path)
    corpus.mask(b"no mask")(tmp_path)
    corpus.removed("masks/train/good.png")(tmp_path)
    corpus.replaced("images/val/check.jpg", b"")(tmp_path)
    with pytest.raises(DataError, match="expected 3 pictures") as caught:
        convert(tmp_path, "folders", output)
    lines = str(caught.value).splitlines()
    assert lines[0].endswith(
        "got 1 × corrupt mask, 1 × corrupt picture, 1 × missing mask, 1 × unreadable file"
    )
    assert {line.strip().partition(", ")[0] for line in lines[1:-1]} == {
        "train good: missing mask",
        "train odd: corrupt picture",
        "train odd: corrupt mask",
        "val check: unreadable file",
    }


def test_a_picture_of_two_causes_is_left_out_once(tmp_path, output):
    corpus.write_good(tmp_path, "folders")
    corpus.picture(b"no picture")(tmp_path)
    corpus.mask(b"no mask")(tmp_path)
    corpus.added("images/train/good.png", corpus.encode(corpus.IMAGE, "PNG"))(tmp_path)
    train = convert(tmp_path, "folders", output, on_error="skip")["splits"]["train"]
    assert (train["records"], train["left_out"]) == (2, {"corrupt mask and corrupt picture": 1})


def test_a_split_of_which_nothing_remains_is_refused_though_the_bad_may_be_left_out(
    tmp_path, output
):
    corpus.write_good(tmp_path, "folders")
    corpus.replaced("images/val/check.jpg", b"no picture")(tmp_path)
    with pytest.raises(DataError, match="val check: corrupt picture"):
        convert(tmp_path, "folders", output, on_error="skip")
    assert left_in(output.parent) == ["records.findings.json"]


@pytest.mark.parametrize(("value", "classes"), [(0, "background"), (1, "left")])
def test_training_masks_of_one_class_are_refused_though_the_bad_may_be_left_out(
    tmp_path, output, value, classes
):
    corpus.write_good(tmp_path, "folders")
    label_HW = np.where(corpus.LABEL_HW == 1, value, 255).astype(np.uint8)
    for path in tmp_path.glob("masks/*/*.png"):
        path.write_bytes(corpus.mask_file(label_HW))
    message = f"train: only one class, .*got {classes} beside 75 % with the ignore label 255"
    with pytest.raises(DataError, match=message):
        convert(tmp_path, "folders", output, on_error="skip")
    assert left_in(output.parent) == ["records.findings.json"]


def test_one_picture_in_each_split_is_enough(tmp_path, output):
    corpus.write_good(tmp_path, "folders")
    for name in ("odd", "other"):
        corpus.removed(f"images/train/{name}.jpg")(tmp_path)
        corpus.removed(f"masks/train/{name}.png")(tmp_path)
    manifest = convert(tmp_path, "folders", output)
    assert {split: d["records"] for split, d in manifest["splits"].items()} == {
        "train": 1,
        "val": 1,
    }


def test_different_pictures_of_one_name_in_two_splits_get_the_split_in_front(tmp_path, output):
    corpus.write_good(tmp_path, "folders")
    corpus.added("images/val/odd.jpg", corpus.jpeg())(tmp_path)
    corpus.added("masks/val/odd.png", corpus.mask_file(corpus.LABEL_HW))(tmp_path)
    convert(tmp_path, "folders", output)
    assert sorted(read(output, "val")) == ["val/check.jpg", "val/odd.jpg"]
    assert "train/odd.jpg" in read(output, "train")


def test_findings_of_an_earlier_attempt_vanish_when_all_is_well(tmp_path, output):
    corpus.write_good(tmp_path, "folders")
    corpus.picture(b"no picture")(tmp_path)
    with pytest.raises(DataError):
        convert(tmp_path, "folders", output)
    corpus.picture(corpus.jpeg())(tmp_path)
    convert(tmp_path, "folders", output)
    assert left_in(output.parent) == ["records"]


# === What all have in common ===

UNDECLARED_HW = np.where(corpus.LABEL_HW == 2, np.uint8(11), corpus.LABEL_HW)
OTHER_HW3 = np.where(corpus.LABEL_HW[..., None] == 2, np.uint8([1, 2, 3]), corpus.COLORS_256[0])
SHARED = {
    "label": (
        corpus.mask_file(UNDECLARED_HW),
        "folders",
        "label 11 is in 4 of 4 masks: declare it",
    ),
    "255": (
        corpus.mask_file(np.where(corpus.LABEL_HW == 2, np.uint8(254), corpus.LABEL_HW)),
        "folders",
        "or set ignore_label = 254",
    ),
    "colour": (corpus.mask_file(OTHER_HW3), "colors", "colour #010203 is in 4 of 4 masks: give it"),
    "transparency": (
        corpus.encode(corpus.with_half_alpha(Image.fromarray(OTHER_HW3)), "PNG"),
        "colors",
        "more than 16 colours that are not declared are in 4 of 4 masks",
    ),
    "size": (
        corpus.mask_file(corpus.LABEL_HW[:16]),
        "folders",
        "4 of 4 pictures: mask of another size (the picture is 64x32, the mask 64x16): take the",
    ),
    "kind": (
        corpus.mask_file(corpus.COLORS_256[corpus.LABEL_HW]),
        "folders",
        "4 of 4 pictures: unsuitable mask (expected one channel of class ids, got mode RGB; if",
    ),
    "pointer": (
        b"version https://git-lfs.github.com/spec/v1\n",
        "folders",
        "4 of 4 pictures: corrupt mask (expected a picture file such as JPEG, PNG or TIFF, got",
    ),
    "ignored": (
        corpus.mask_file(np.full_like(corpus.LABEL_HW, 255)),
        "folders",
        "4 of 4 pictures: nothing to learn (every pixel has the ignore label): correct ignore_lab",
    ),
}


@pytest.mark.parametrize("case", SHARED)
def test_where_all_masks_have_one_fault_the_advice_is_not_to_leave_them_out(tmp_path, output, case):
    content, layout, line = SHARED[case]
    corpus.write_good(tmp_path, layout)
    for path in tmp_path.glob("masks/*/*.png"):
        path.write_bytes(content)
    for on_error in ("fail", "skip"):
        with pytest.raises(DataError) as caught:
            convert(tmp_path, layout, output, on_error)
        message = str(caught.value)
        assert f"The cause is not in single files:\n  {line}" in message or line in message
        assert "\nto fix, mend that, and see what remains; the list is in " in message
        assert "on-error" not in message and "remove them" not in message


def test_where_all_masks_are_missing_the_advice_is_not_to_leave_the_pictures_out(tmp_path, output):
    corpus.write_good(tmp_path, "folders")
    for path in tmp_path.glob("masks/*/*.png"):
        path.rename(path.with_name(f"{path.stem}_mask.png"))
    with pytest.raises(DataError) as caught:
        convert(tmp_path, "folders", output)
    message = str(caught.value)
    assert "pictures: missing mask (for one, expected a file " in message
    assert "on-error" not in message and "remove them" not in message


def test_a_single_fault_beside_one_of_all_does_not_change_the_advice(tmp_path, output):
    corpus.write_good(tmp_path, "folders")
    for path in tmp_path.glob("masks/train/*.png"):
        path.write_bytes(corpus.mask_file(UNDECLARED_HW))
    corpus.picture(b"no picture")(tmp_path)
    with pytest.raises(DataError, match="label 11 is in 3 of 4 masks") as caught:
        convert(tmp_path, "folders", output)
    assert "train odd: corrupt picture" in str(caught.value)
    assert "on-error" not in str(caught.value)


# === What the data gate is going to say ===


def test_pictures_that_are_there_again_are_foretold_in_the_words_of_the_gate(tmp_path, output):
    corpus.write_good(tmp_path, "folders")
    other = corpus.encode(corpus.IMAGE.rotate(180), "PNG")
    for path, content in (("train/good", other), ("train/odd", corpus.jpeg())):
        (tmp_path / f"images/{path}.jpg").write_bytes(content)
    manifest = convert(tmp_path, "folders", output)
    found = [str(Finding(**finding)) for finding in manifest["gate"]["findings"]]
    assert found == [
        "train other.jpg: duplicate, the same picture as odd.jpg",
        "val check.jpg: in two splits, train has the same picture, odd.jpg",
    ]
    assert found == gate_findings(output) and manifest["gate"]["skew"] == []


def gate_findings(output):
    """What the gate finds in all records together."""
    places = collections.defaultdict(list)
    for split in ("train", "val"):
        for example in records.read_examples(records.record_files(output, f"{split}-*")):
            checked = check_record(example.SerializeToString(), split, 3, 255)
            places["name", checked.filename].append((split, checked.filename))
            places["picture", checked.digest].append((split, checked.filename))
    found = [f for (what, _), group in places.items() for f in repeated(group, what)]
    return sorted(map(str, found))


def test_splits_that_differ_are_foretold(tmp_path, output):
    corpus.write_good(tmp_path, "folders")
    dark = corpus.encode(Image.new("RGB", corpus.IMAGE.size), "PNG")
    corpus.replaced("images/val/check.jpg", dark)(tmp_path)
    (line,) = convert(tmp_path, "folders", output)["gate"]["skew"]
    assert line == (
        "skew of the training against the validation split: brightness distance 1.000, at most 0.2"
    )


# === Where the records go ===


def test_an_output_below_a_file_is_refused(tmp_path):
    corpus.write_good(tmp_path, "folders")
    with pytest.raises(ConfigError, match=r"expected a folder that can be written; got .*\(Not a"):
        convert(tmp_path, "folders", tmp_path / "images/train/good.jpg" / "records")


def test_an_output_that_is_a_file_is_refused_and_stays(tmp_path, output):
    corpus.write_good(tmp_path, "folders")
    output.parent.mkdir()
    output.write_text("precious")
    with pytest.raises(ConfigError, match=r"something else \(it is a file\); to fix, "):
        convert(tmp_path, "folders", output)
    assert output.read_text() == "precious" and left_in(output.parent) == ["records"]


@pytest.mark.parametrize("place", [".", "..", "link"])
def test_the_folder_of_the_pictures_is_never_replaced(tmp_path, place):
    root = tmp_path / "data"
    corpus.write_good(root, "folders")
    (root / folders.MANIFEST).write_text('{"source": "x", "splits": {}}')
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match=r"for the records alone; got .*, which holds the"):
        convert(root, "folders", root / place)
    assert (root / "images/train/good.jpg").exists()


def test_records_and_empty_folders_are_replaced_through_a_link_too(tmp_path, output):
    corpus.write_good(tmp_path, "folders")
    target = tmp_path / "large disk"
    target.mkdir()
    output.parent.mkdir()
    output.symlink_to(target)
    for _ in range(2):
        convert(tmp_path, "folders", output)
        assert output.is_symlink() and "odd.jpg" in read(target, "train")
    assert left_in(output.parent) == ["records"]
    assert not list(tmp_path.glob(".large*"))
