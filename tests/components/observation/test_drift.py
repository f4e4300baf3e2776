"""How many pictures a distance needs, in theory and on real pictures, and what is said of it."""

import dataclasses
import math

import numpy as np
import pytest
from PIL import Image

from components.dataset.decoding.image import decode_image
from components.dataset.examination.distances import LIMITS, divergence
from components.dataset.examination.measures import NOTHING, Measures, measure
from components.dataset.limits import DEFAULT
from components.observation.drift import Behind, compare, needed
from components.observation.sums import Line, Sums
from tests.components.observation.pictures import line

REPEATS = 1000


def share_below(limit: float, drawn: list[float]) -> float:
    return float(np.mean(np.array(drawn) <= limit))


@pytest.mark.parametrize("seed", range(6))
def test_equal_data_stays_below_the_limit(seed):
    random = np.random.default_rng(seed)
    bins, records = int(random.integers(2, 33)), int(random.integers(400, 5000))
    shares, limit = random.dirichlet(np.full(bins, 3.0)), random.uniform(0.02, 0.3)
    old = random.multinomial(records, shares)
    count = needed(limit, old / records, records)
    drawn = [divergence(random.multinomial(count, shares), old) for _ in range(REPEATS)]
    # 95 %, but for what chance does to it.
    assert share_below(limit, drawn) > 0.92


def even(bins: int) -> list[float]:
    return [1 / bins] * bins


def test_more_are_needed_for_smaller_limits_more_bins_and_less_data():
    assert needed(0.05, even(20), 1000) > needed(0.1, even(20), 1000) > needed(0.2, even(20), 1000)
    assert needed(0.1, even(30), 1000) > needed(0.1, even(20), 1000) > needed(0.1, even(20), 10**6)
    assert needed(0.1, [1.0], 1) == 20 and math.isinf(needed(0.1, even(20), 5))
    assert math.isinf(needed(0.1, [0.0, 0.0], 9)) and math.isinf(needed(0.1, [1.0], 0))


@pytest.fixture(scope="module")
def real_measures(shared_data) -> list[Measures]:
    folder = shared_data / "VOCdevkit" / "VOC2012"
    names = (folder / "ImageSets/Segmentation/train.txt").read_text().split()
    return [
        measure(
            np.asarray(decode_image((folder / f"JPEGImages/{n}.jpg").read_bytes(), DEFAULT).pixels),
            np.asarray(Image.open(folder / f"SegmentationClass/{n}.png")),
        )
        for n in names
    ]


@pytest.mark.slow
@pytest.mark.parametrize("limit_share", [0.25, 0.5, 1])
@pytest.mark.parametrize("name", ["class", "size", "brightness"])
def test_equal_real_pictures_stay_below_the_limit(real_measures, name, limit_share):
    fields = {"class": "pixels_256", "size": "sizes", "brightness": "brightness"}
    one = np.array([getattr(m, fields[name]) for m in real_measures])
    one = one[:, :21] if name == "class" else one
    total, limit = one.sum(axis=0), limit_share * LIMITS[name]
    count = needed(limit, total / total.sum(), len(one))
    random = np.random.default_rng(5)
    drawn = [
        divergence(one[random.integers(0, len(one), count)].sum(axis=0), total)
        for _ in range(REPEATS)
    ]
    assert share_below(limit, drawn) > 0.95


def behind(lines: list[dict]) -> Behind:
    return Behind(
        measures=summed(lines).measures(),
        classes=("soil", "crop", "weed", "stone"),
        ignore_label=255,
        predicted_256=None,
    )


def summed(lines: list[dict]) -> Sums:
    sums = Sums()
    for one in lines:
        sums.add(Line(one))
    return sums


def like_before(count: int) -> list[dict]:
    random = np.random.default_rng(6)
    return [
        line(
            width=int(random.integers(480, 700)),
            brightness=float(random.uniform(100, 150)),
            class_pixels={"0": 600, "1": 300, "2": int(random.integers(200)), "255": 50},
        )
        for _ in range(count)
    ]


CHANGES = {
    "brightness": lambda one: one | {"brightness": one["brightness"] / 2},
    "size": lambda one: one | {"width": one["width"] // 2, "height": one["height"] // 2},
    "class": lambda one: one | {"class_pixels": {"3": 900}},
}


def test_the_same_is_at_no_distance():
    lines = like_before(400)
    for one in compare(summed(lines), behind(lines), LIMITS):
        assert one.value == 0 and one.is_judged and not one.is_exceeded


@pytest.mark.parametrize("changed", CHANGES)
def test_what_has_changed_is_named_and_nothing_else(changed):
    lines = like_before(400)
    found = compare(summed([CHANGES[changed](one) for one in lines]), behind(lines), LIMITS)
    (fault,) = [one.fault() for one in found if one.is_exceeded]
    assert fault.startswith(f"{changed} distance ") and "over 400 pictures, at most 0." in fault
    assert ("stone has 100.0 % of the pixels, 0.0 % before" in fault) == (changed == "class")


def test_too_few_are_not_judged():
    lines = like_before(400)
    for one in compare(summed([CHANGES["class"](lines[0])]), behind(lines), LIMITS):
        assert not one.is_judged and not one.is_exceeded and one.pictures == 1


def test_what_the_model_found_is_as_certain_as_its_split_is_large():
    lines = like_before(400)
    known = behind(lines)
    found = {
        count: dataclasses.replace(
            known, predicted_256=known.measures.pixels_256, predicted_records=count
        )
        for count in (400, 12)
    }
    whole, few = (
        {one.name: one.needed for one in compare(summed(lines), each, LIMITS)}
        for each in found.values()
    )
    assert whole["class"] < few["class"]
    assert {name: whole[name] for name in ("size", "brightness")} == {
        name: few[name] for name in ("size", "brightness")
    }


def test_where_nothing_is_known_there_is_no_distance():
    unknown = line(width=None, height=None, brightness=None, class_pixels=None)
    for one in compare(summed([unknown] * 500), behind(like_before(400)), LIMITS):
        assert one.value is None and not one.is_judged


def test_no_data_behind_judges_nothing():
    empty = Behind(measures=NOTHING, classes=("a",), ignore_label=255, predicted_256=None)
    assert not any(one.is_judged for one in compare(summed(like_before(99)), empty, LIMITS))
