"""Renders the pictures page: plain functions, no TFX."""

import dataclasses
import io
import math

import numpy as np
from PIL import Image

from components import pages, texts
from components.data_gate.report import Report
from components.evaluator.results import Evaluation
from components.pictures import colourise, data_url
from components.tflite.results import TFLiteReport
from schemas import Dataset


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """One picture of the page."""

    name: str
    image: bytes
    """The file as it is in the record."""
    truth_HW: np.ndarray
    """Class ids, uint8."""
    prediction_HW: np.ndarray
    """Class ids, uint8, as large as the truth."""
    mean_iou: float
    """Over the classes in this picture's truth."""


def contact_sheet(pictures: list[Picture], dataset: Dataset, columns: int = 6) -> Image.Image:
    """One picture of the first `columns` predictions: image above truth above prediction."""
    cell, gap = 160, 8
    shown = pictures[:columns]
    sheet = Image.new(
        "RGB", (len(shown) * (cell + gap) + gap, 3 * (cell + gap) + gap), (255, 255, 255)
    )
    for column, picture in enumerate(shown):
        views = (
            picture.image,
            colourise(picture.truth_HW, dataset),
            colourise(picture.prediction_HW, dataset),
        )
        for row, encoded in enumerate(views):
            view = Image.open(io.BytesIO(encoded)).convert("RGB")
            smooth = Image.Resampling.LANCZOS if row == 0 else Image.Resampling.NEAREST
            scale = cell / max(view.size)
            view = view.resize([max(1, round(side * scale)) for side in view.size], smooth)
            left = gap + column * (cell + gap) + (cell - view.width) // 2
            top = gap + row * (cell + gap) + (cell - view.height) // 2
            sheet.paste(view, (left, top))
    return sheet


def render_page(
    dataset: Dataset,
    evaluation: Evaluation,
    data_report: Report,
    pictures: list[Picture],
    advice: list[str],
    tflite: TFLiteReport | None = None,
    *,
    title: str,
) -> str:
    """The page as HTML; it needs no other file and no network.

    Args:
        dataset: names and colours of the classes.
        evaluation: the scores and the verdict.
        data_report: the data that the model was made of.
        pictures: predictions to show.
        advice: what the training's curves say, see `components.report.advice`.
        tflite: the files for phones; None where there are none.
        title: of the page.
    """
    rows = [
        {
            "name": entry.name,
            "color": "#{:02x}{:02x}{:02x}".format(*entry.color),
            "iou": evaluation.candidate[f"iou/{entry.name}"],
            "baseline": (evaluation.baseline or {}).get(f"iou/{entry.name}"),
        }
        for entry in dataset.classes
    ]
    return pages.render(
        "report/page.html.jinja",
        title=title,
        dataset=dataset,
        evaluation=evaluation,
        data=data_report,
        tflite=tflite,
        doubts=[*(evaluation.warnings if evaluation.blessed else ()), *advice],
        count=texts.counted(int(evaluation.candidate["example_count"]), "picture"),
        rows=[row for row in rows if not math.isnan(row["iou"])],
        absent=[row["name"] for row in rows if math.isnan(row["iou"])],
        pictures=[
            {
                "name": picture.name,
                "mean_iou": picture.mean_iou,
                "views": [
                    ("image", data_url(picture.image)),
                    ("truth", data_url(colourise(picture.truth_HW, dataset))),
                    ("prediction", data_url(colourise(picture.prediction_HW, dataset))),
                ],
                "classes": [
                    entry
                    for entry in rows
                    if dataset.class_names.index(entry["name"])
                    in np.union1d(picture.truth_HW, picture.prediction_HW)
                ],
            }
            for picture in pictures
        ],
    )
