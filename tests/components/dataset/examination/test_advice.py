"""What many findings share is said once, and the advice loses no data."""

import pytest

from components.dataset.examination import findings
from components.dataset.examination.advice import describe_shared, shared_causes
from components.dataset.examination.findings import (
    ACCEPTABLE,
    Finding,
    label_problems,
    out_of_range,
    unknown_colors,
)
from components.dataset.examination.measures import NOTHING

PICTURES = {"train": 400, "val": 68}


def of(cause, detail, count, split="train", start=0):
    return [Finding(split, f"{i}", cause, detail) for i in range(start, start + count)]


def holding(label, count, split="train", start=0):
    return of(*out_of_range("0-10 or 255 (ignore)", [label]), count, split, start)


def test_a_label_of_all_masks_is_to_be_declared():
    found = holding(11, 400) + holding(11, 68, "val")
    assert shared_causes(found, PICTURES) == [
        "label 11 is in 468 of 468 masks: declare it as a class in dataset.toml, or set "
        "ignore_label = 11"
    ]


@pytest.mark.parametrize(
    ("count", "split", "is_said"),
    [(40, "train", True), (39, "train", False), (7, "val", True), (6, "val", False)],
)
def test_a_label_of_a_tenth_of_a_split_is_no_slip(count, split, is_said):
    lines = shared_causes(holding(255, count, split), PICTURES)
    expected = f"label 255 is in {count} of 468 masks: declare it as a class in dataset.toml, or "
    assert [line.startswith(expected) for line in lines] == [True] * is_said


def test_a_fault_of_one_picture_is_its_own():
    for cause in (findings.CORRUPT_MASK, findings.MISSING_MASK, findings.OTHER_SIZE):
        assert shared_causes(of(cause, "why", 1), {"train": 1}) == []
    assert shared_causes(holding(11, 1), {"train": 1}) == []


def test_labels_come_by_how_many_masks_have_them_and_those_of_no_byte_are_no_classes():
    problem = out_of_range("0-255", [300])
    found = holding(12, 100) + holding(11, 200, start=100) + of(*problem, 50, start=300)
    first, second, third = shared_causes(found, PICTURES)
    assert first.startswith("label 11 is in 200") and second.startswith("label 12 is in 100")
    assert third == (
        "label 300 is in 50 of 468 masks: a mask holds an id in one byte, so renumber the classes "
        "from 0 on"
    )


def test_every_label_that_a_finding_names_is_found():
    pixels_256 = NOTHING.pixels_256.copy()
    pixels_256[[0, 3, 200]] = 1
    (problem,) = label_problems(pixels_256, 3, 255)
    lines = shared_causes(of(*problem, 400), PICTURES)
    assert [line.split(" is in ")[0] for line in lines] == ["label 3", "label 200"]


@pytest.mark.parametrize("color", ["#0a0b0c", "#0a0b0c80", "#00000000"])
def test_a_colour_of_all_masks_is_to_be_declared(color):
    assert shared_causes(of(*unknown_colors([color]), 400), PICTURES) == [
        f"colour {color} is in 400 of 468 masks: give it to a class in dataset.toml, or name it in "
        "ignore_colors"
    ]


def test_very_many_colours_are_smoothed_edges_and_not_classes():
    many = unknown_colors([f"#{i:06x}" for i in range(17)])
    assert shared_causes(of(*many, 300) + of(*many, 60, "val"), PICTURES) == [
        "more than 16 colours that are not declared are in 360 of 468 masks: export the masks "
        "again, without smoothed edges and without resizing"
    ]


NO_FAULT_OF_ONE = (findings.ONE_CLASS, findings.TURNED)
CAUSES = [
    value
    for name, value in vars(findings).items()
    if name.isupper()
    and isinstance(value, str)
    and value not in (findings.ONE_CLASS, findings.TURNED)
]


MISSING = (findings.MISSING_MASK, findings.MISSING_PICTURE)


@pytest.mark.parametrize(
    "cause", [c for c in CAUSES if c not in (findings.OUT_OF_RANGE, findings.UNKNOWN_COLOR)]
)
def test_any_fault_of_nearly_all_pictures_of_a_split_has_a_cure_that_loses_none(cause):
    rest = (
        68 - 62 if cause in MISSING else 68
    )  # What is missing is none of the pictures with masks.
    assert shared_causes(of(cause, "why", 61, "val"), {"val": rest + 1}) == []
    (line,) = shared_causes(of(cause, "why", 62, "val"), {"train": 400, "val": rest})
    start = f"62 of 468 pictures: {cause} (why): "
    assert line.startswith(start) and len(line) > len(start)
    assert not {"remove", "skip", "leave out"} & set(line[len(start) :].split())
    details = [Finding("val", f"{i}", cause, f"expected a file {i}") for i in range(68)]
    assert f"{cause} (for one, expected a file 0): " in shared_causes(details, {"val": rest})[0]


def test_what_is_wrong_with_a_whole_split_is_no_picture():
    assert shared_causes(of(findings.ONE_CLASS, "why", 1) * 9, {"train": 1}) == []
    whole = [Finding("train", "", findings.ALL_IGNORED, "why")] * 9
    assert shared_causes(whole, {"train": 1}) == [] and set(ACCEPTABLE) - set(CAUSES)


def test_shared_causes_have_a_headline():
    assert describe_shared([]) == ""
    assert describe_shared(["a", "b"]) == "\nThe cause is not in single files:\n  a\n  b"
