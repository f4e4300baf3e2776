"""Who builds, the gate and the overview say the same of the same bytes, in the same words."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from components.data_gate.checks import check_record
from components.dataset.building.layout import find_layout
from components.dataset.building.mask_files import record_mask
from components.dataset.building.pairs import read_pair
from components.dataset.building.picture_files import ProblemError, record_picture
from components.dataset.examination import findings
from components.dataset.examination.examine import examine, examine_record
from components.dataset.example import Example
from components.dataset.overview.suspicions import GRAVE, suspicions
from components.dataset.records import IMAGE, KEYS, LABEL, Record
from tests.components.dataset.building import corpus
from tests.components.dataset.building.corpus_masks import BAD_MASKS, MASKS
from tests.components.dataset.building.corpus_pictures import BAD_PICTURES, PICTURES

DATASET = corpus.dataset("folders")


def verdicts(serialized):
    """What the gate and the overview say of a record that a run would stop at."""
    checked = check_record(serialized, "train", DATASET.num_classes, DATASET.ignore_label)
    examined = examine_record(
        Example.FromString(serialized), DATASET.num_classes, DATASET.ignore_label
    )
    gate = [(finding.cause, finding.detail) for finding in checked.findings]
    overview = [
        (suspicion.reason, suspicion.detail)
        for suspicion in suspicions(examined, DATASET)
        if suspicion.reason in GRAVE
    ]
    return gate, overview


def record(image: bytes, label: bytes) -> bytes:
    return Record(
        filename="odd", image=image, image_format="png", label=label, height=1, width=1
    ).serialize()


@pytest.mark.parametrize(
    "case", [pytest.param(c, id=c.name) for c in [*PICTURES, *MASKS, *BAD_PICTURES, *BAD_MASKS]]
)
def test_all_three_say_the_same_of_what_is_built(case, tmp_path):
    corpus.write_good(tmp_path, case.layout)
    case.make(tmp_path)
    dataset = corpus.dataset(case.layout)
    pairs, _ = find_layout(dataset, tmp_path).pairs("train")
    (pair,) = (pair for pair in pairs if pair.name == "odd")
    reading = read_pair(pair, dataset)
    built = reading.problems
    try:
        image = record_picture(open(pair.image, "rb").read()).encoded
        label = record_mask(open(pair.label, "rb").read(), pair.label, dataset)
    except (ProblemError, OSError):
        # Never became a record; the bytes as they are would not pass either.
        assert isinstance(case, corpus.Refused) and reading.record is None and built
        return
    gate, overview = verdicts(record(image, label))
    assert list(built) == gate == overview
    assert bool(built) == isinstance(case, corpus.Refused)
    if reading.record is not None:
        assert verdicts(reading.record.serialize()) == ([], [])
        assert reading.measures.records == 1


@pytest.mark.parametrize(
    "case", [pytest.param(c, id=c.name) for c in BAD_PICTURES if c.layout == "folders"]
)
def test_what_the_build_refuses_as_a_picture_the_gate_refuses_too(case, tmp_path):
    corpus.write_good(tmp_path, case.layout)
    case.make(tmp_path)
    paths = [path for path in tmp_path.glob("images/train/odd*") if path.exists()]
    for path in paths:
        gate, overview = verdicts(record(path.read_bytes(), corpus.mask_file(corpus.LABEL_HW)))
        assert gate == overview and [cause for cause, _ in gate] == [findings.CORRUPT_PICTURE]


GOOD = record(corpus.jpeg(), corpus.mask_file(corpus.LABEL_HW))


def without(*keys):
    example = tf.train.Example.FromString(GOOD)
    for key in keys:
        del example.features.feature[key]
    return example.SerializeToString()


@pytest.mark.parametrize("keys", [(), (IMAGE,), (LABEL,), (IMAGE, LABEL), KEYS])
def test_the_gate_and_the_overview_name_the_same_missing_features(keys):
    gate, overview = verdicts(without(*keys))
    expected = [
        (findings.MISSING_FEATURE, f"expected bytes in {key}")
        for key in (IMAGE, LABEL)
        if key in keys
    ]
    assert gate == overview == expected


@pytest.mark.parametrize("seed", range(60))
def test_any_damage_is_judged_alike(seed):
    """Random bytes of a picture or its mask are changed, or cut off."""
    generator = np.random.default_rng(seed)
    files = [corpus.jpeg(), corpus.mask_file(corpus.LABEL_HW)]
    if seed % 3 == 0:
        files[0] = corpus.encode(corpus.IMAGE, "PNG")
    damaged = bytearray(files[seed % 2])
    if seed % 5 == 0:
        del damaged[generator.integers(len(damaged)) :]
    else:
        damaged[generator.integers(len(damaged))] ^= 1 << generator.integers(8)
    files[seed % 2] = bytes(damaged)
    gate, overview = verdicts(record(*files))
    examined = examine(*files, DATASET.num_classes, DATASET.ignore_label)
    assert gate == overview == list(examined.problems)
    assert (examined.measures.records == 1) == (
        examined.image_HW3 is not None and examined.label_HW is not None
    )


def test_a_picture_of_too_many_pixels_is_refused_by_all():
    tiny = corpus.png(np.zeros((1, 1), np.uint8), 8, 0, size=(1, 1))
    small = examine(tiny, tiny, DATASET.num_classes, DATASET.ignore_label)
    assert small.problems == () and small.size == small.label_size == (1, 1)
    side = 10_001
    encoded = corpus.encode(np.zeros((side, side), np.uint8), "PNG")
    examined = examine(encoded, None, DATASET.num_classes, DATASET.ignore_label)
    detail = "expected at most 100,000,000 pixels, got 10001x10001"
    assert examined.problems == ((findings.CORRUPT_PICTURE, detail),)
    assert examined.image_HW3 is None


def test_the_examination_gives_what_is_decoded():
    label_HW = np.where(corpus.LABEL_HW == 2, 9, corpus.LABEL_HW).astype(np.uint8)
    examined = examine(corpus.jpeg(), corpus.mask_file(label_HW), 3, 255)
    assert examined.problems == ((findings.OUT_OF_RANGE, "expected 0-2 or 255 (ignore), got 9"),)
    np.testing.assert_array_equal(examined.label_HW, label_HW)
    np.testing.assert_allclose(examined.image_HW3, corpus.IMAGE_HW3, rtol=0, atol=4)
    assert examined.measures.pixels_256[[0, 1, 9, 255]].tolist() == [512] * 4
    assert dataclasses.replace(examined, filename="x").size == (64, 32)
