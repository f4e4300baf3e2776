"""Pictures and names that occur more than once."""

import dataclasses
import random

import pytest

from components.dataset.examination.findings import Finding
from components.dataset.examination.repeats import repeated, repeats
from tests.components.dataset.building import corpus


def test_what_occurs_once_is_not_repeated():
    assert repeated([("train", "a.jpg")], "name") == []


@pytest.mark.parametrize(
    ("places", "what", "expected"),
    [
        (
            [("train", "a"), ("train", "a")],
            "name",
            [Finding("train", "a", "duplicate", "the same name as a")],
        ),
        (
            [("train", "a"), ("train", "b"), ("train", "c")],
            "picture",
            [
                Finding("train", "b", "duplicate", "the same picture as a"),
                Finding("train", "c", "duplicate", "the same picture as a"),
            ],
        ),
        (
            [("train", "a"), ("val", "a")],
            "name",
            [Finding("val", "a", "in two splits", "train has the same name")],
        ),
        (
            [("train", "b"), ("train", "c"), ("val", "a")],
            "picture",
            [
                Finding("train", "c", "duplicate", "the same picture as b"),
                Finding("val", "a", "in two splits", "train has the same picture, b"),
            ],
        ),
        ([("train", "a"), ("val", "a")], "picture", []),  # Found by its name.
    ],
)
def test_what_is_repeated_is_named_whatever_the_order(places, what, expected):
    for seed in range(4):
        shuffled = random.Random(seed).sample(places, len(places))
        assert repeated(shuffled, what) == expected


def test_splits_that_may_share_pictures_are_looked_at_one_by_one():
    dataset = corpus.dataset("folders")
    train = dataset.source.splits["train"]
    splits = {**dataset.source.splits, "more": dataclasses.replace(train, overlaps=("train",))}
    source = dataclasses.replace(dataset.source, splits=splits)
    dataset = dataclasses.replace(dataset, source=source)
    places = {
        ("picture", "1"): [("train", "a"), ("more", "b"), ("val", "c")],
        ("picture", "2"): [("more", "d"), ("more", "e")],
        ("name", "f"): [("val", "f")],
    }
    said = [str(f) for f in repeats(places, ("train", "val", "more"), dataset)]
    assert said == [
        "more e: duplicate, the same picture as d",
        "val c: in two splits, train has the same picture, a",
    ]
    undescribed = dataclasses.replace(dataset, source=None)
    assert len(repeats(places, ("train", "val", "more"), undescribed)) == 3
