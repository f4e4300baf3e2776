"""Reads one picture and its mask as they come, and makes the record that the pipeline takes."""

import dataclasses
import hashlib

import numpy as np
from PIL import Image

from components.dataset.building.layout import Pair
from components.dataset.building.mask_files import read_mask
from components.dataset.building.picture_files import Picture, ProblemError, check_picture, times
from components.dataset.examination import findings
from components.dataset.records import Record
from schemas import Dataset


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """What came of one pair: a record, or what is wrong."""

    record: Record | None
    problems: list[tuple[str, str]]
    """Causes and details, see `findings`; empty where there is a record."""
    pixels_256: np.ndarray
    """How many pixels each label has."""
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
    problems: list[tuple[str, str]] = []
    pixels_256 = np.zeros(256, np.int64)
    digest = hashlib.sha256()
    image = label = None
    try:
        encoded = _read_file(pair.image)
        digest.update(encoded)
        image = check_picture(encoded)
    except ProblemError as problem:
        problems.append(problem.args)
    try:
        encoded = _read_file(pair.label)
        digest.update(encoded)
        label_HW, label = read_mask(encoded, pair.label, dataset)
        pixels_256 = _count_labels(label_HW)
        problems += findings.label_problems(
            pixels_256[:256], dataset.num_classes, dataset.ignore_label
        )
        if pixels_256.size > 256:
            raise ProblemError(findings.OUT_OF_RANGE, f"got {pixels_256.size - 1} in a 16-bit mask")
        if image is not None:
            _check_size(image, label_HW.shape)
    except ProblemError as problem:
        problems.append(problem.args)
    record = None
    if not problems:
        record = Record(
            filename=pair.name + image.ending,
            image=image.encoded,
            image_format=image.format,
            label=label,
            height=image.size[1],
            width=image.size[0],
        )
    return Reading(
        record=record,
        problems=problems,
        pixels_256=pixels_256[:256],
        rewritten=image.rewritten if image else "",
        digest=digest.hexdigest(),
    )


def _count_labels(label_HW: np.ndarray) -> np.ndarray:
    """How many pixels each label has: 256 numbers, or more for a 16-bit mask."""
    if label_HW.dtype == np.uint8:
        # Four times as fast as `bincount`, which makes 64-bit numbers of all pixels first.
        return np.array(Image.fromarray(label_HW).histogram(), np.int64)
    return np.bincount(label_HW.ravel(), minlength=256)


def _read_file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            encoded = file.read()
    except OSError as error:
        raise ProblemError(findings.UNREADABLE, f"{path}: {error.strerror}") from error
    if not encoded:
        raise ProblemError(findings.UNREADABLE, f"{path} is empty")
    return encoded


def _check_size(image: Picture, label_shape: tuple[int, int]) -> None:
    size = label_shape[::-1]
    if size == image.size:
        return
    detail = f"the picture is {times(image.size)}, the mask {times(size)}"
    if image.rewritten and size == image.stored_size:
        detail += "; the mask fits the picture before it is turned upright, so remove its EXIF tag"
    elif size == image.size[::-1]:
        detail += "; the mask is transposed"
    raise ProblemError(findings.OTHER_SIZE, detail)
