"""The one examination of a picture and its mask, as they are in a record.

Who builds records, the gate and the overview all use it, so that what one accepts the others do,
and what is wrong has the same words. It decodes both whole, by the decoders that train.
"""

import collections
import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from components import texts
from components.dataset import records
from components.dataset.examination import findings, image_files
from components.dataset.examination.decoding import decode_image, decode_label, reason
from components.dataset.examination.measures import NOTHING, Measures, count_labels, measure
from components.dataset.example import Example

MAX_PIXELS = 100_000_000
"""Larger pictures cost a step gigabytes."""

Problem = tuple[str, str]
"""Cause, see `findings`, and detail."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Examined:
    """What a picture and its mask hold; None is what is missing or cannot be decoded."""

    filename: str = ""
    image: bytes | None
    """The picture's file."""
    label: bytes | None
    """The mask's file."""
    problems: tuple[Problem, ...]
    """All that is wrong; empty where one can train with them."""
    image_HW3: np.ndarray | None
    """RGB, uint8."""
    label_HW: np.ndarray | None
    """Class ids, uint8."""
    measures: Measures
    """`NOTHING` where one of the two is missing or cannot be decoded."""

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the picture."""
        return None if self.image_HW3 is None else _size(self.image_HW3)

    @property
    def label_size(self) -> tuple[int, int] | None:
        """Width and height of the mask."""
        return None if self.label_HW is None else _size(self.label_HW)


def examine_record(example: Example, num_classes: int, ignore_label: int) -> Examined:
    """Everything wrong with one record, and what it holds; see `examine`."""
    features = example.features.feature

    def first(key: str) -> bytes | None:
        values = features[key].bytes_list.value if key in features else []
        return values[0] if values else None

    image, label = first(records.IMAGE), first(records.LABEL)
    missing = [
        (findings.MISSING_FEATURE, f"expected bytes in {key}")
        for key, encoded in ((records.IMAGE, image), (records.LABEL, label))
        if encoded is None
    ]
    examined = examine(image, label, num_classes, ignore_label)
    name = first(records.FILENAME) or b"(record without a name)"
    return dataclasses.replace(
        examined,
        filename=name.decode(errors="replace"),
        problems=(*missing, *examined.problems),
    )


def examine(
    image: bytes | None, label: bytes | None, num_classes: int, ignore_label: int
) -> Examined:
    """Everything wrong with a picture and its mask, and what they hold.

    Args:
        image: a file of the picture; None where there is none, which is for the caller to say.
        label: a file of the mask; None likewise.
        num_classes: labels from 0 to this one are classes.
        ignore_label: of pixels that do not count.
    """
    image_HW3, label_HW, measures = None, None, NOTHING
    problems: list[Problem] = []
    if image is not None:
        image_HW3, problem = _decoded(image, decode_image, findings.CORRUPT_PICTURE)
        problems += problem
    if label is not None:
        label_HW1, problem = _decoded(label, decode_label, findings.CORRUPT_MASK)
        if label_HW1 is not None and not image_files.holds_ids(label):
            detail = f"expected an 8-bit grey PNG of class ids, got {image_files.kind(label)}"
            problem = [(findings.UNSUITABLE_MASK, detail)]
        elif label_HW1 is not None:
            label_HW = label_HW1[..., 0]
        problems += problem
    if image_HW3 is not None and label_HW is not None:
        measures = measure(image_HW3, label_HW)
        problems += _size_problems(_size(image_HW3), _size(label_HW))
    if label_HW is not None:
        pixels_256 = measures.pixels_256 if measures.records else count_labels(label_HW)
        problems += findings.label_problems(pixels_256, num_classes, ignore_label)
    return Examined(
        image=image,
        label=label,
        problems=tuple(problems),
        image_HW3=image_HW3,
        label_HW=label_HW,
        measures=measures,
    )


def pixels_problem(width: int, height: int) -> str:
    """What is wrong with a picture of this size; empty where nothing is."""
    if width * height <= MAX_PIXELS:
        return ""
    return f"expected at most {MAX_PIXELS:,} pixels, got {texts.size(width, height)}"


def _decoded(
    encoded: bytes, decode: Callable[[bytes], tf.Tensor], corrupt: str
) -> tuple[np.ndarray | None, list[Problem]]:
    """The pixels, or what is wrong with the file."""
    try:
        if encoded.startswith(image_files.PNG):
            # TensorFlow says no more of a damaged PNG than that it is none.
            collections.deque(image_files.png_chunks(encoded), maxlen=0)
        pixels = decode(encoded).numpy()
    except ValueError as error:
        return None, [(corrupt, str(error))]
    except tf.errors.OpError as error:
        return None, [(corrupt, reason(error))]
    problem = pixels_problem(*_size(pixels))
    return (None, [(corrupt, problem)]) if problem else (pixels, [])


def _size_problems(size: tuple[int, int], label_size: tuple[int, int]) -> list[Problem]:
    if size == label_size:
        return []
    detail = f"the picture is {texts.size(*size)}, the mask {texts.size(*label_size)}"
    if size == label_size[::-1]:
        detail += "; the mask is transposed"
    return [(findings.OTHER_SIZE, detail)]


def _size(pixels: np.ndarray) -> tuple[int, int]:
    return pixels.shape[1], pixels.shape[0]
