"""The one examination of a picture and its mask, as they are in a record.

Who builds records, the gate and the overview all use it, so that what one accepts the others do,
and what is wrong has the same words. It decodes both whole, by the decoders that train.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from components import texts
from components.dataset import records
from components.dataset.decoding.exif import UPRIGHT
from components.dataset.decoding.image import DAMAGED, Decoded, decode_image, decode_label
from components.dataset.examination import findings, image_files
from components.dataset.examination.jpeg_warnings import jpeg_warning
from components.dataset.examination.measures import NOTHING, Measures, count_labels, measure
from components.dataset.example import Example
from components.dataset.limits import DEFAULT, Limits

_SIDEWAYS = 5
"""EXIF orientations from here on exchange width and height."""

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
    notes: tuple[Problem, ...]
    """What a person should look at, though one can train with them."""
    orientation: int
    """How the picture's file lies, see `decoding.exif`; what follows is upright."""
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


def examine_record(
    example: Example, num_classes: int, ignore_label: int, limits: Limits = DEFAULT
) -> Examined:
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
    examined = examine(image, label, num_classes, ignore_label, limits)
    name = first(records.FILENAME) or b"(record without a name)"
    return dataclasses.replace(
        examined,
        filename=name.decode(errors="replace"),
        problems=(*missing, *examined.problems),
    )


def examine(
    image: bytes | None,
    label: bytes | None,
    num_classes: int,
    ignore_label: int,
    limits: Limits = DEFAULT,
    turned_by: int = UPRIGHT,
    label_turned_by: int = UPRIGHT,
) -> Examined:
    """Everything wrong with a picture and its mask, and what they hold.

    Args:
        image: a file of the picture; None where there is none, which is for the caller to say.
        label: a file of the mask; None likewise.
        num_classes: labels from 0 to this one are classes.
        ignore_label: of pixels that do not count.
        limits: what is larger is not decoded.
        turned_by: how the picture lay before its file was written anew, upright.
        label_turned_by: the same of the mask.
    """
    image_HW3, label_HW, measures = None, None, NOTHING
    orientation, label_orientation = turned_by, label_turned_by
    problems: list[Problem] = []
    notes: list[Problem] = []
    picture, mask = _decoded_pair(image, label, limits)
    if image is not None:
        decoded, problem = _judged(image, picture, findings.CORRUPT_PICTURE)
        if decoded is not None:
            image_HW3 = np.asarray(decoded.pixels)
            orientation = max(turned_by, int(decoded.orientation))
        problems += problem
    if label is not None:
        decoded, problem = _judged_mask(label, mask)
        if decoded is not None:
            label_orientation = max(label_turned_by, int(decoded.orientation))
            problem = _mask_orientation_problems(label_orientation, orientation)
            label_HW = None if problem else np.asarray(decoded.pixels)[..., 0]
        problems += problem
    if image_HW3 is not None and label_HW is not None:
        measures = measure(image_HW3, label_HW)
        problems += _size_problems(_size(image_HW3), _size(label_HW), orientation)
        if label_orientation == UPRIGHT:
            notes += _notes(_size(image_HW3), orientation)
    if label_HW is not None:
        pixels_256 = measures.pixels_256 if measures.records else count_labels(label_HW)
        problems += findings.label_problems(pixels_256, num_classes, ignore_label)
    return Examined(
        image=image,
        label=label,
        problems=tuple(problems),
        notes=tuple(notes),
        orientation=orientation,
        image_HW3=image_HW3,
        label_HW=label_HW,
        measures=measures,
    )


def _decoded_pair(
    image: bytes | None, label: bytes | None, limits: Limits
) -> tuple[Decoded | None, Decoded | None]:
    """Picture and mask; None is what is missing, fails, or is no mask."""
    if label is not None and not _may_be_mask(label):
        label = None
    if image is not None and label is not None:
        # Of a call's price a tenth of a millisecond is the call itself.
        with contextlib.suppress(tf.errors.OpError):
            return _pair_decoder(limits)(image, label)
    return _decoded(image, decode_image, limits), _decoded(label, decode_label, limits)


@functools.cache
def _pair_decoder(limits: Limits):
    @tf.function(input_signature=[tf.TensorSpec([], tf.string)] * 2, autograph=False)
    def decode(image: tf.Tensor, label: tf.Tensor) -> tuple[Decoded, Decoded]:
        return decode_image(image, limits), decode_label(label, limits)

    return decode


def _decoded(
    encoded: bytes | None, decode: Callable[[bytes, Limits], Decoded], limits: Limits
) -> Decoded | None:
    """One of the two, where the other is missing or fails."""
    if encoded is None:
        return None
    try:
        return decode(encoded, limits)
    except tf.errors.OpError:
        return None


def _judged(
    encoded: bytes, decoded: Decoded | None, corrupt: str
) -> tuple[Decoded | None, list[Problem]]:
    """The pixels, or what is wrong with the file."""
    problem = DAMAGED if decoded is None else decoded.problem.numpy().decode()
    if not problem and encoded.startswith(image_files.JPEG) and (warned := jpeg_warning(encoded)):
        problem = f"{DAMAGED}: {warned}"
    elif problem == DAMAGED and (detail := image_files.png_damage(encoded)):
        # TensorFlow says no more of a damaged PNG than that it is none.
        problem = f"{DAMAGED}: {detail}"
    return (None, [(corrupt, problem)]) if problem else (decoded, [])


def _may_be_mask(label: bytes) -> bool:
    return image_files.holds_ids(label) or image_files.is_cut_within_header(label)


def _judged_mask(label: bytes, decoded: Decoded | None) -> tuple[Decoded | None, list[Problem]]:
    """The ids, or what is wrong with the file."""
    if not _may_be_mask(label):
        detail = f"expected an 8-bit grey PNG of class ids, got {image_files.kind(label)}"
        return None, [(findings.UNSUITABLE_MASK, detail)]
    return _judged(label, decoded, findings.CORRUPT_MASK)


def _mask_orientation_problems(orientation: int, picture: int) -> list[Problem]:
    """A mask is drawn on the picture as that is seen, or turned with it by the same EXIF tag.

    Args:
        orientation: how the mask's file lies, see `decoding.exif`.
        picture: how the picture's does.
    """
    if orientation in (UPRIGHT, picture):
        return []
    detail = (
        f"expected the EXIF orientation of its picture, {picture}, or none; got {orientation}; "
        "turn the mask as the picture is seen, and remove its EXIF tag"
    )
    return [(findings.UNSUITABLE_MASK, detail)]


def _size_problems(
    size: tuple[int, int], label_size: tuple[int, int], orientation: int
) -> list[Problem]:
    if size == label_size:
        return []
    detail = f"the picture is {texts.size(*size)}, the mask {texts.size(*label_size)}"
    if size == label_size[::-1]:
        detail += (
            "; the mask fits the picture before it is turned upright as its EXIF says: turn the "
            "mask, too, or remove the tag"
            if orientation >= _SIDEWAYS
            else "; the mask is transposed"
        )
    return [(findings.OTHER_SIZE, detail)]


def _notes(size: tuple[int, int], orientation: int) -> list[Problem]:
    """What the sizes cannot tell: whether a mask without EXIF was drawn on the picture as seen."""
    if orientation == UPRIGHT or (orientation >= _SIDEWAYS and size[0] != size[1]):
        return []
    detail = (
        f"its EXIF says orientation {orientation}, which leaves its size as it is; look whether "
        "the mask shows the picture as it is seen"
    )
    return [(findings.TURNED, detail)]


def _size(pixels: np.ndarray) -> tuple[int, int]:
    return pixels.shape[1], pixels.shape[0]
