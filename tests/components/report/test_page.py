"""The pictures page: numbers, and what it says of a refused model."""

import io
import math

import numpy as np
import pytest
from PIL import Image

import schemas
from components.data_gate.report import Report, Source
from components.dataset.examination.measures import NOTHING
from components.evaluator.results import Evaluation
from components.report.page import Picture, contact_sheet, render_page
from components.tflite.results import KindResult, TFLiteReport

DATA = Report(
    sources=(
        Source(span=3, digest="ab" * 16, splits={"train": NOTHING, "val": NOTHING}),
        Source(span=4, digest="cd" * 16, splits={"train": NOTHING, "val": NOTHING}),
    ),
    drift=("drift of the val split of span-4: class distance 0.300, at most 0.1",),
)


@pytest.fixture
def dataset():
    return schemas.load("sample")


@pytest.fixture
def picture():
    image = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(image, "PNG")
    truth = np.zeros((6, 8), np.uint8)
    truth[2:4], truth[0] = 1, 255
    return Picture(
        name="<one>.png",
        image=image.getvalue(),
        truth_HW=truth,
        prediction_HW=np.ones((6, 8), np.uint8),
        mean_iou=0.25,
    )


def evaluation(dataset, **changes) -> Evaluation:
    names = {f"iou/{name}": 0.5 for name in dataset.class_names}
    numbers = {"mean_iou": 0.123, "above_constant": 0.05, "pixel_accuracy": 0.9,
               "example_count": 7.0, **names}  # fmt: skip
    numbers[f"iou/{dataset.class_names[-1]}"] = math.nan
    options = {"candidate": numbers, "baseline": None, "slices": {}, "reasons": (), **changes}
    return Evaluation(**options)


def test_page_says_what_was_measured_and_escapes_names(dataset, picture):
    html = render_page(dataset, evaluation(dataset), DATA, [picture], [], title="Title")
    for text in ("12.3 %", "90.0 %", "7 pictures", "blessed", "no baseline yet", "25.0 %"):
        assert text in html, text
    assert "&lt;one&gt;.png" in html and "<one>" not in html
    assert f"without an IoU: {dataset.class_names[-1]}" in html
    assert html.count("data:image/png;base64,") == 3
    assert "span-3 train 0 records" in html and "cd" * 16 in html and DATA.drift[0] in html


def test_page_of_a_refused_model_says_why(dataset, picture):
    refused = evaluation(
        dataset, reasons=("mean_iou is 0.1230",), baseline={"mean_iou": 0.4, "pixel_accuracy": 0.8}
    )
    html = render_page(dataset, refused, DATA, [picture], [], title="Title")
    assert "refused" in html and "mean_iou is 0.1230" in html and "baseline 40.0 %" in html


def test_page_of_a_blessed_model_says_what_is_doubtful(dataset, picture):
    first = f"iou/{dataset.class_names[0]}"
    doubtful = evaluation(dataset)
    doubtful.candidate[first] = 0.0
    html = render_page(dataset, doubtful, DATA, [picture], [], title="Title")
    assert "blessed" in html and f"is never found (IoU 0): {dataset.class_names[0]}" in html
    whole = evaluation(dataset)
    advised = render_page(dataset, whole, DATA, [picture], ["<b> stood still"], title="Title")
    assert "Doubts" in advised and "&lt;b&gt; stood still" in advised
    assert "Doubts" not in render_page(dataset, whole, DATA, [picture], [], title="Title")


def test_page_has_the_files_for_phones_and_why_they_were_refused(dataset, picture):
    int8 = KindResult(
        kind="int8", size_bytes=2_500_000, seconds=0.0123, agreement=0.98765, mean_iou=0.4,
        operators={"CONV_2D int8": 38},
    )  # fmt: skip
    none = KindResult(kind="float16", problem="ValueError: <no>")
    found = TFLiteReport(pictures=7, threads=2, mean_iou=0.5, kinds=(int8, none), reasons=("low",))
    html = render_page(dataset, evaluation(dataset), DATA, [picture], [], found, title="Title")
    for text in ("2.50", "12.3", "40.00", "+10.00", "98.765", "38 CONV_2D int8", "50.0 %",
                 "threads: 2", "ValueError: &lt;no&gt;", "low"):  # fmt: skip
        assert text in html, text
    without = render_page(dataset, evaluation(dataset), DATA, [picture], [], title="Title")
    assert "TensorFlow Lite" in html and "TensorFlow Lite" not in without


def test_contact_sheet_has_a_column_for_each_picture(dataset, picture):
    one, two = (contact_sheet([picture] * count, dataset) for count in (1, 2))
    assert one.height == two.height and two.width - one.width == 168
