"""Reads one picture and its mask as they come, and makes the record that the pipeline takes."""

import dataclasses
import hashlib

from components.dataset.building.layout import Pair
from components.dataset.building.mask_files import record_mask
from components.dataset.building.picture_files import Picture, ProblemError, record_picture
from components.dataset.examination import findings
from components.dataset.examination.examine import Examined, Problem, examine
from components.dataset.examination.measures import Measures
from components.dataset.records import Record
from schemas import Dataset


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """What came of one pair: a record, or what is wrong."""

    record: Record | None
    problems: list[Problem]
    """Empty where there is a record."""
    measures: Measures
    rewritten: str
    """Why the picture's file was written anew; empty where it went through as it is."""
    digest: str
    """Of both files, SHA-256."""


def read_pair(pair: Pair, dataset: Dataset) -> Reading:
    """The record of a picture and its mask, or all that is wrong with them.

    Args:
        pair: the files.
        dataset: classes, ignore label, and what the pixels of a mask hold.
    """
    problems: list[Problem] = []
    digest = hashlib.sha256()
    image = label = None
    try:
        encoded = _read_file(pair.image)
        digest.update(encoded)
        image = record_picture(encoded)
    except ProblemError as problem:
        problems.append(problem.args)
    try:
        encoded = _read_file(pair.label)
        digest.update(encoded)
        label = record_mask(encoded, pair.label, dataset)
    except ProblemError as problem:
        problems.append(problem.args)
    examined = examine(image and image.encoded, label, dataset.num_classes, dataset.ignore_label)
    problems += _with_hint(examined, image)
    record = None
    if not problems:
        width, height = examined.size
        record = Record(
            filename=pair.name + image.ending,
            image=image.encoded,
            image_format=image.format,
            label=label,
            height=height,
            width=width,
        )
    return Reading(
        record=record,
        problems=problems,
        measures=examined.measures,
        rewritten=image.rewritten if image else "",
        digest=digest.hexdigest(),
    )


def _read_file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            encoded = file.read()
    except OSError as error:
        raise ProblemError(findings.UNREADABLE, f"{path}: {error.strerror}") from error
    if not encoded:
        raise ProblemError(findings.UNREADABLE, f"{path} is empty")
    return encoded


def _with_hint(examined: Examined, image: Picture | None) -> list[Problem]:
    """What the examination found, and what only its file explains."""
    if image is None or not image.rewritten or examined.label_size != image.stored_size:
        return list(examined.problems)
    hint = "; the mask fits the picture before it is turned upright, so remove its EXIF tag"
    return [
        (cause, detail + hint if cause == findings.OTHER_SIZE else detail)
        for cause, detail in examined.problems
    ]
