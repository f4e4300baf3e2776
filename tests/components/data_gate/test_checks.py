"""What the gate sees in one record, made by hand with one fault each."""

import dataclasses
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from components.data_gate.checks import check_record, record_digest
from components.dataset.examination.measures import NOTHING
from components.dataset.records import FILENAME, HEIGHT, IMAGE, LABEL, Record


def encode(pixels: np.ndarray | Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    picture = Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels
    picture.save(file, kind)
    return file.getvalue()


def record(**changes) -> bytes:
    generator = np.random.default_rng(0)
    good = Record(
        filename="good.jpg",
        image=encode(generator.integers(0, 256, (20, 30, 3), np.uint8), "JPEG"),
        image_format="jpeg",
        label=encode(generator.integers(0, 3, (20, 30), np.uint8)),
        height=20,
        width=30,
    )
    return dataclasses.replace(good, **changes).serialize()


def changed(change) -> bytes:
    example = tf.train.Example.FromString(record())
    change(example.features.feature)
    return example.SerializeToString()


def without(key: str) -> bytes:
    return changed(lambda features: features.pop(key))


def with_numbers(key: str) -> bytes:
    def change(features):
        features[key].Clear()
        features[key].int64_list.value.extend([1, 2])

    return changed(change)


def check(serialized: bytes, split="train", ignore_label=255):
    return check_record(serialized, split, num_classes=3, ignore_label=ignore_label)


JPEG = encode(np.zeros((20, 30, 3), np.uint8), "JPEG")
PNG = encode(np.zeros((20, 30, 3), np.uint8))
MASK = np.zeros((20, 30), np.uint8)
NO_PICTURE = "expected a JPEG, PNG, GIF or BMP file, got something else"
NO_IDS = "expected an 8-bit grey PNG of class ids, got a "


@pytest.mark.parametrize(
    ("serialized", "cause", "detail"),
    [
        (record(image=JPEG[: len(JPEG) // 2]), "corrupt picture", "the file is cut off or damaged"),
        (
            record(image=PNG[:-12]),
            "corrupt picture",
            "the file is cut off or damaged: it ends within a chunk",
        ),
        (record(image=b"no picture"), "corrupt picture", NO_PICTURE),
        (record(image=b""), "corrupt picture", NO_PICTURE),
        (record(label=b"no mask"), "unsuitable mask", f"{NO_IDS}file of another kind"),
        (record(label=encode(MASK)[:-30]), "corrupt mask", "the file is cut off"),
        (record(label=encode(MASK, "JPEG")), "unsuitable mask", f"{NO_IDS}JPEG"),
        (
            record(label=encode(np.zeros((20, 30, 3), np.uint8))),
            "unsuitable mask",
            f"{NO_IDS}PNG of 8-bit colours",
        ),
        (
            record(label=encode(Image.fromarray(MASK).convert("P"))),
            "unsuitable mask",
            f"{NO_IDS}PNG of 8-bit palette",
        ),
        (
            record(label=encode(MASK.astype(np.uint16) + 2)),
            "unsuitable mask",
            f"{NO_IDS}PNG of 16-bit grey",
        ),
        (
            record(label=encode(Image.fromarray(MASK > 0))),
            "unsuitable mask",
            f"{NO_IDS}PNG of 1-bit grey",
        ),
        (
            record(label=encode(MASK.T)),
            "mask of another size",
            "the picture is 30x20, the mask 20x30; the mask is transposed",
        ),
        (
            record(label=encode(MASK + 9)),
            "label out of range",
            "expected 0-2 or 255 (ignore), got 9",
        ),
        (record(label=encode(MASK + 255)), "nothing to learn", "every pixel"),
        (without(LABEL), "missing feature", f"expected bytes in {LABEL}"),
        (without(IMAGE), "missing feature", f"expected bytes in {IMAGE}"),
        (with_numbers(IMAGE), "missing feature", f"expected bytes in {IMAGE}"),
    ],
)
def test_one_fault_is_one_finding(serialized, cause, detail):
    (finding,) = check(serialized, "val").findings
    assert (finding.split, finding.filename, finding.cause) == ("val", "good.jpg", cause)
    assert detail in finding.detail
    assert "{{" not in finding.detail and "[Op" not in finding.detail


def test_two_faults_are_two_findings():
    checked = check(record(image=b"x", label=b"y"))
    assert [finding.cause for finding in checked.findings] == ["corrupt picture", "unsuitable mask"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF"])
def test_a_good_record_has_no_finding(kind):
    image = encode(np.zeros((20, 30, 3), np.uint8), kind)
    assert check(record(image=image)).findings == []


def test_a_check_measures_and_identifies():
    mask = MASK.copy()
    mask[:5], mask[-1] = 2, 255
    checked = check(record(image=PNG, label=encode(mask)))
    assert checked.filename == "good.jpg" and checked.measures.records == 1
    assert checked.measures.pixels_256[[0, 1, 2, 255]].tolist() == [14 * 30, 0, 5 * 30, 30]
    assert checked.digest == check(record(image=PNG, filename="other.png")).digest
    assert checked.digest != check(record(image=JPEG)).digest


@pytest.mark.parametrize("serialized", [record(image=b"x"), record(label=b"x"), without(LABEL)])
def test_what_cannot_be_decoded_is_not_measured(serialized):
    assert check(serialized).measures is NOTHING


def test_ignore_label_within_the_classes_is_no_class():
    assert check(record(label=encode(MASK + 1)), ignore_label=0).findings == []
    (finding,) = check(record(label=encode(MASK)), ignore_label=0).findings
    assert finding.cause == "nothing to learn"


def test_sizes_are_those_of_the_pixels_whatever_the_record_says():
    def change(features):
        features[HEIGHT].int64_list.value[0] = 7

    assert check(changed(change)).findings == []


@pytest.mark.parametrize("serialized", [without(FILENAME), with_numbers(FILENAME)])
def test_a_record_without_a_name_can_still_be_reported(serialized):
    assert check(serialized).filename == "(record without a name)"


def test_what_a_record_adds_to_a_digest_depends_on_every_byte():
    digests = {record_digest(each) for each in (record(), record(height=21), record(image=PNG))}
    assert len(digests) == 3 and all(0 <= digest < 2**128 for digest in digests)
    assert record_digest(record()) in digests
