"""Reads one picture and its mask as they come, and makes the record that the pipeline takes."""

import dataclasses
import hashlib

from components.dataset.building.layout import Pair
from components.dataset.building.mask_files import record_mask
from components.dataset.building.picture_files import (
    ProblemError,
    as_png,
    opened,
    record_picture,
    stored_orientation,
    turned_upright,
)
from components.dataset.decoding.exif import UPRIGHT, turn_upright
from components.dataset.decoding.image import decode_label
from components.dataset.examination import findings
from components.dataset.examination.examine import Problem, examine
from components.dataset.examination.measures import Measures
from components.dataset.limits import DEFAULT
from components.dataset.records import Record
from schemas import Dataset


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """What came of one pair: a record, or what is wrong."""

    record: Record | None
    problems: list[Problem]
    """Empty where there is a record."""
    notes: tuple[Problem, ...]
    """What a person should look at, record or not."""
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
    image, label, label_turned_by = None, None, UPRIGHT
    try:
        encoded = _read_file(pair.image)
        digest.update(encoded)
        image = record_picture(encoded)
    except ProblemError as problem:
        problems.append(problem.args)
    try:
        encoded = _read_file(pair.label)
        digest.update(encoded)
        label, label_turned_by = _upright_mask(encoded, pair.label, dataset)
    except ProblemError as problem:
        problems.append(problem.args)
    examined = examine(
        image and image.encoded,
        label,
        dataset.num_classes,
        dataset.ignore_label,
        turned_by=image.turned_by if image else UPRIGHT,
        label_turned_by=label_turned_by,
    )
    problems += examined.problems
    record = None
    if not problems:
        if examined.orientation not in (UPRIGHT, image.turned_by):
            image = turned_upright(examined.image_HW3, examined.orientation)
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
        notes=examined.notes,
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


def _upright_mask(encoded: bytes, path: str, dataset: Dataset) -> tuple[bytes, int]:
    """The mask as it goes into a record, and how its file lay.

    Raises:
        ProblemError: see `record_mask`.
    """
    label = record_mask(encoded, path, dataset)
    if path.endswith(".mat"):
        return label, UPRIGHT
    with opened(encoded, findings.CORRUPT_MASK) as image:
        turned_by = stored_orientation(image, encoded)
    if turned_by != UPRIGHT:
        stored_HW1 = decode_label(label, DEFAULT).pixels
        label = as_png(turn_upright(stored_HW1, turned_by).numpy()[..., 0])
    return label, turned_by
