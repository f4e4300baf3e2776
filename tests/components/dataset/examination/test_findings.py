"""How findings are written, and what the labels of a mask and of a split say."""

import numpy as np
import pytest

from components.dataset.examination import findings
from components.dataset.examination.findings import (
    Finding,
    describe,
    label_problems,
    split_problems,
)

NAMES = ("background", "cat", "dog")


def pixels_256(**counts):
    pixels = np.zeros(256, np.int64)
    for label, count in counts.items():
        pixels[int(label.removeprefix("of_"))] = count
    return pixels


def test_description_counts_causes_and_names_the_first_records():
    found = [Finding("train", f"{i}.jpg", "corrupt", "why") for i in range(12)]
    found.append(Finding("val", "z.jpg", "mask of another size", "how"))
    lines = describe(found, "the log", limit=2).splitlines()
    assert lines == [
        "12 × corrupt, 1 × mask of another size",
        "  train 0.jpg: corrupt, why",
        "  train 1.jpg: corrupt, why",
        "  … and 11 more, all of them in the log",
    ]


def test_description_of_a_few_says_nothing_of_more():
    lines = describe([Finding("train", "", "only one class", "why")], "the log").splitlines()
    assert lines == ["1 × only one class", "  train: only one class, why"]


def test_a_finding_says_its_split_once():
    assert str(Finding("val", "1.jpg", "cause", "detail")) == "val 1.jpg: cause, detail"
    assert str(Finding("val", "val/1.jpg", "cause", "detail")) == "val/1.jpg: cause, detail"
    assert str(Finding("val", "valley/1.jpg", "cause", "why")) == "val valley/1.jpg: cause, why"


@pytest.mark.parametrize(
    ("pixels", "ignore_label", "expected"),
    [
        (pixels_256(of_0=5, of_2=1), 255, []),
        (pixels_256(of_1=1, of_255=9), 255, []),
        (pixels_256(of_0=9, of_1=1), 0, []),
        (
            pixels_256(of_0=5, of_3=1, of_254=2),
            255,
            [(findings.OUT_OF_RANGE, "expected 0-2 or 255 (ignore), got 3, 254")],
        ),
        (
            pixels_256(of_255=9),
            0,
            [(findings.OUT_OF_RANGE, "expected 0-2 or 0 (ignore), got 255")],
        ),
        (
            pixels_256(of_255=9),
            255,
            [(findings.ALL_IGNORED, "every pixel has the ignore label")],
        ),
        (pixels_256(of_0=9), 0, [(findings.ALL_IGNORED, "every pixel has the ignore label")]),
    ],
)
def test_labels_are_classes_or_ignored_and_something_is_to_be_learned(
    pixels, ignore_label, expected
):
    assert label_problems(pixels, len(NAMES), ignore_label) == expected


def test_no_more_than_five_wrong_labels_are_listed():
    ((_, detail),) = label_problems(np.ones(256, np.int64), len(NAMES), 255)
    assert detail.endswith("got 3, 4, 5, 6, 7")


@pytest.mark.parametrize(
    ("pixels", "ignore_label", "got"),
    [
        (pixels_256(of_0=1, of_255=3), 255, "background beside 75 % with the ignore label 255"),
        (pixels_256(of_0=1, of_2=3), 0, "dog beside 25 % with the ignore label 0"),
        (pixels_256(of_255=3), 255, "none beside 100 % with the ignore label 255"),
        (pixels_256(), 255, "none beside 0 % with the ignore label 255"),
    ],
)
def test_a_split_of_fewer_than_two_classes_is_a_finding(pixels, ignore_label, got):
    (finding,) = split_problems("train", pixels, NAMES, ignore_label)
    assert (finding.split, finding.filename, finding.cause) == ("train", "", findings.ONE_CLASS)
    assert f"expected at least two classes in the masks, got {got}; " in finding.detail


@pytest.mark.parametrize("ignore_label", [0, 255])
def test_a_split_of_two_classes_is_none(ignore_label):
    pixels = pixels_256(of_0=1, of_1=1, of_2=1)
    assert split_problems("train", pixels, NAMES, ignore_label) == []
