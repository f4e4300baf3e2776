"""What the gate sees in one record: made by hand, one fault each."""

import dataclasses
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from components.data_gate.checks import Finding, check_record, describe
from components.dataset.records import FILENAME, IMAGE, LABEL, Record


def encode(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def record(**changes) -> bytes:
    random = np.random.default_rng(0)
    good = Record(
        filename="good.jpg",
        image=encode(random.integers(0, 256, (20, 30, 3), np.uint8), "JPEG"),
        image_format="jpeg",
        label=encode(random.integers(0, 3, (20, 30), np.uint8)),
        height=20,
        width=30,
    )
    return dataclasses.replace(good, **changes).serialize()


def without(key: str) -> bytes:
    example = tf.train.Example.FromString(record())
    del example.features.feature[key]
    return example.SerializeToString()


JPEG = encode(np.zeros((20, 30, 3), np.uint8), "JPEG")
MASK = np.zeros((20, 30), np.uint8)


@pytest.mark.parametrize(
    ("serialized", "cause", "detail"),
    [
        (record(image=JPEG[: len(JPEG) // 2]), f"corrupt {IMAGE}", ""),
        (record(image=b"no picture"), f"corrupt {IMAGE}", "Unknown image"),
        (record(image=b""), f"corrupt {IMAGE}", "empty"),
        (record(label=b"no mask"), f"corrupt {LABEL}", ""),
        (
            record(label=encode(MASK.T)),
            "mask of another size",
            "the picture is 30x20, the mask 20x30",
        ),
        (
            record(label=encode(MASK + 9)),
            "label out of range",
            "expected 0-2 or 255 (ignore), got 9",
        ),
        (record(label=encode(MASK + 255)), "nothing to learn", "every pixel"),
        (without(LABEL), "missing feature", LABEL),
        (without(IMAGE), "missing feature", IMAGE),
    ],
)
def test_one_fault_is_one_finding(serialized, cause, detail):
    (finding,) = check_record(serialized, "val", num_classes=3, ignore_label=255)
    assert (finding.split, finding.filename, finding.cause) == ("val", "good.jpg", cause)
    assert detail in finding.detail


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF"])
def test_a_good_record_has_no_finding(kind):
    image = encode(np.zeros((20, 30, 3), np.uint8), kind)
    assert check_record(record(image=image), "train", num_classes=3, ignore_label=255) == []


def test_ignore_label_within_the_classes_is_no_class():
    assert check_record(record(label=encode(MASK + 1)), "train", 3, ignore_label=0) == []
    (finding,) = check_record(record(label=encode(MASK)), "train", 3, ignore_label=0)
    assert finding.cause == "nothing to learn"


def test_a_record_without_a_name_can_still_be_reported():
    example = tf.train.Example.FromString(record(image=b"x"))
    del example.features.feature[FILENAME]
    (finding,) = check_record(example.SerializeToString(), "val", 3, 255)
    assert finding.filename == "(record without a name)"


def test_description_counts_causes_and_names_the_first_records():
    findings = [Finding("train", f"{i}.jpg", "corrupt", "why") for i in range(12)]
    findings.append(Finding("val", "z.jpg", "mask of another size", "how"))
    lines = describe(findings, limit=2).splitlines()
    assert lines[0] == "12 × corrupt, 1 × mask of another size"
    assert lines[1:3] == ["  train 0.jpg: corrupt, why", "  train 1.jpg: corrupt, why"]
    assert lines[3] == "  … and 11 more, all of them in the log"
