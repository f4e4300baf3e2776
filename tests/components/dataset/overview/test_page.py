"""The page about a data set: what it says, what it escapes, and that it stands alone."""

import base64
import collections
import dataclasses
import io
import re

import numpy as np
import pytest
from PIL import Image

import schemas
from components import pictures
from components.dataset.examination import findings
from components.dataset.examination.measures import BRIGHTNESS_BINS, NOTHING
from components.dataset.overview import suspicions
from components.dataset.overview.page import render
from components.dataset.overview.survey import Shown, SplitSurvey, Survey
from components.dataset.overview.suspicions import Suspicion
from components.dataset.overview.verdict import verdict

DATASET = schemas.Dataset(
    name="toy",
    title="Toys & more",
    ignore_label=255,
    classes=(
        schemas.ClassInfo(0, "background", (0, 0, 0)),
        schemas.ClassInfo(1, "<car>", (200, 0, 0)),
        schemas.ClassInfo(2, "doll", (0, 200, 0)),
    ),
)


def split(pixels: dict[int, int], *, pictures=10, records=10, **changes) -> SplitSurvey:
    """A split whose every picture holds all of the labels in `pixels`."""
    pixels_256, brightness = np.zeros(256, np.int64), np.zeros(BRIGHTNESS_BINS, np.int64)
    brightness[4] = pictures
    for label, count in pixels.items():
        pixels_256[label] = count
    measures = dataclasses.replace(
        NOTHING, records=pictures, pixels_256=pixels_256, brightness=brightness
    )
    made = SplitSurvey(files=2, records=records, measures=measures, **changes)
    made.occurrences_256[list(pixels)] = pictures
    made.sizes.update({(100, 80): pictures - 1, (300, 90): 1} if pictures else {})
    return made


def shown(name: str, *suspicions: Suspicion, seed=0) -> Shown:
    noise_HW3 = np.random.default_rng(seed).integers(0, 256, (165, 220, 3), np.uint8)
    jpeg = pictures.encode(Image.fromarray(noise_HW3), "JPEG", quality=82)
    label = pictures.colourise(noise_HW3[..., 0] % 3, DATASET)
    return Shown(
        name=name,
        size=(500, 375),
        image=jpeg,
        label=label,
        overlay=jpeg,
        shares=((0, 0.8), (1, 0.1996), (7, 0.0004)),
        suspicions=suspicions,
    )


GOOD = {0: 700, 1: 200, 2: 100}


def sentences(**splits) -> list[str]:
    return [remark.text for remark in verdict(Survey(splits), DATASET)]


def test_page_says_what_was_counted():
    train = split(
        {0: 600, 1: 250, 2: 50, 255: 100}, reasons=collections.Counter({suspicions.SMALL: 3})
    )
    html = render(Survey({"train": train, "val": split({0: 1000, 1: 1})}), DATASET)
    text = re.sub(r"<style>.*?</style>|<[^>]*>", " ", html, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", text)
    # Of the 900 labelled pixels of train, 27.8 % are cars; one of the 1001 of val is.
    assert "&lt;car&gt; 27.8 0.1 10 100.0 % 10 100.0 %" in text
    assert "doll 5.6 0 10 100.0 % never" in text
    assert "ignored (255) 10.0 0 10 100.0 % 0 0 %" in text
    assert "background, of the labelled 66.7 %" in text
    assert "smallest picture 100x80 largest picture 300x90" in text
    assert "very small the short side is below 64 pixels 3 0" in text
    assert "10 pictures in train, 10 pictures in val" in text


def test_page_stands_alone_and_escapes_what_people_named():
    note = Suspicion(suspicions.SMALL, "<i>detail</i>")
    shown_ones = [shown('<b>"x".jpg'), shown("it's.jpg", note)]
    made = split(GOOD, examples=shown_ones, suspicious=shown_ones[1:], suspicious_count=1)
    made.reasons[suspicions.SMALL] = 1
    html = render(Survey({"<train>": made}), DATASET)
    assert "&lt;b&gt;&#34;x&#34;.jpg" in html and "&lt;train&gt;" in html
    assert "Toys &amp; more" in html and "&lt;i&gt;detail&lt;/i&gt;" in html
    for raw in ('<b>"x', "<train>", "<car>", "<i>detail"):
        assert raw not in html
    assert re.findall(r"https?:|<script|<link|@import|url\(", html) == []
    addresses = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert len([a for a in addresses if a.startswith("data:image/")]) == 9
    anchors = [address for address in addresses if not address.startswith("data:image/")]
    assert all(f'id="{anchor[1:]}"' in html for anchor in anchors)
    assert "7: no class" in html and "&lt;0.1 %" in html


def test_what_cannot_be_narrow_scrolls_by_itself():
    html = render(Survey({"train": split(GOOD), "val": split({**GOOD, 200: 9})}), DATASET)
    before_tables = html.split("<table>")[:-1]
    assert len(before_tables) == 1
    assert all(part.endswith('<div class="card scroll">') for part in before_tables)
    style = html.partition("<style>")[2].partition("</style>")[0]
    assert ".scroll { overflow-x: auto; }" in style and "main { overflow-wrap: anywhere; }" in style
    for columns in re.findall(r"grid-template-columns: ([^;]*);", style.partition(".yes")[2]):
        # A column of 1fr is as wide as its longest word.
        assert not re.search(r"(?<!, )\b1fr", columns), columns


def test_48_pictures_of_mere_noise_stay_below_5_megabytes():
    examples = [shown(f"{i}.jpg", seed=i) for i in range(24)]
    html = render(Survey({s: split(GOOD, examples=examples) for s in ("train", "val")}), DATASET)
    assert html.count("data:image/") == 144 and len(html) < 5e6


def test_records_without_pictures_are_listed():
    broken = dataclasses.replace(
        shown("cut.tfrecord", Suspicion(findings.UNREADABLE, "truncated")),
        size=None, image=b"", label=b"", overlay=b"", shares=(),
    )  # fmt: skip
    made = split(GOOD, suspicious=[broken], suspicious_count=1)
    made.reasons[findings.UNREADABLE] = 1
    html = render(Survey({"train": made}), DATASET)
    assert "cut.tfrecord" in html and "truncated" in html and "<img" not in html
    assert "1 of 2 files of train cannot be read to the end." in html


@pytest.mark.parametrize(
    ("splits", "why"),
    [
        ({}, "Nothing stands out"),
        ({"train": SplitSurvey(files=0)}, "no picture in train: its files are missing."),
        ({"train": SplitSurvey(files=2)}, "no picture in train: its files are empty."),
        (
            {"train": SplitSurvey(files=1, reasons=collections.Counter({findings.UNREADABLE: 1}))},
            "no picture in train: its files cannot be read.",
        ),
    ],
)
def test_there_is_a_page_even_of_nothing(splits, why):
    assert why in render(Survey(splits), DATASET)


def test_nothing_stands_out():
    assert sentences(train=split(GOOD), val=split(GOOD)) == []
    assert "Nothing stands out" in render(Survey({"train": split(GOOD)}), DATASET)


def test_classes_that_never_occur_are_named():
    missing = {0: 700, 1: 300}
    assert sentences(train=split(GOOD), val=split(missing)) == [
        "1 of 3 classes never occurs in val: doll."
    ]
    assert sentences(train=split(missing), val=split(missing)) == [
        "1 of 3 classes never occurs in any split: doll."
    ]
    assert sentences(train=split(missing)) == ["1 of 3 classes never occurs in train: doll."]
    # A split with a single class has a sentence of its own.
    said = sentences(train=split(missing), val=split({2: 100}))
    assert len(said) == 3 and said[0].startswith("The masks of val hold no class but doll.")
    assert said[1] == "1 of 3 classes never occurs in train: doll."
    assert said[2].startswith("A run is going to warn of skew of the training against the val")


def test_dominant_and_ignored_shares():
    assert sentences(train=split({0: 870, 1: 100, 2: 30, 255: 500})) == [
        "87 % of the labelled pixels are background.",
        "33 % of the pixels are ignored (label 255).",
    ]


def test_an_object_marked_255_is_explained():
    said = sentences(train=split({0: 900, 1: 500, 2: 500}), val=split({0: 400, 255: 100}))
    assert said[:-1] == [
        "The masks of val hold no class but background. 20 % of the pixels have label 255, which "
        "is ignored; if 255 marks a class in these masks, it must become the id of that class."
    ]
    assert "skew" in said[-1]


def test_masks_with_nothing_but_background():
    assert sentences(train=split({0: 1000})) == [
        "The masks of train hold no class but background. Masks must hold the id of a class in "
        "each pixel, as its value."
    ]


def test_unknown_labels_and_unreadable_records_are_grave():
    bad = split({**GOOD, 128: 50}, pictures=8, reasons=collections.Counter(
        {findings.OUT_OF_RANGE: 8, findings.CORRUPT_MASK: 2, suspicions.SMALL: 1}
    ))  # fmt: skip
    remarks = verdict(Survey({"train": bad}), DATASET)
    assert [(remark.text, remark.grave_share) for remark in remarks] == [
        (
            "In 8 of 10 records of train, the mask holds labels that no class has: 128 (in 8). "
            "Classes go from 0 to 2, and 255 is ignored.",
            0.8,
        ),
        ("In 2 of 10 records of train, the mask cannot be decoded.", 0.2),
        ("Worth a look: very small (1).", 0),
    ]


def test_labels_drawn_are_those_of_the_legend():
    html = render(Survey({"train": split(GOOD, examples=[shown("a.jpg")])}), DATASET)
    url = re.search(r"data:image/png;base64,([^\"]*)", html).group(1)
    colors = Image.open(io.BytesIO(base64.b64decode(url))).convert("RGB").getcolors()
    assert {color for _, color in colors} == {info.color for info in DATASET.classes}
    legend = re.findall(r'swatch" style="background:(#\w+)"></i>(\S+)', html)
    assert ("#c80000", "&lt;car&gt;") in legend
