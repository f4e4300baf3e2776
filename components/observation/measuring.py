"""The measures of pictures and masks of requests, by what trains, examines and serves."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from components.dataset.decoding.image import decode_image, decode_label
from components.dataset.examination.measures import channel_sums, count_labels, mean_value
from components.dataset.limits import DEFAULT
from components.observation.request_log import NO_ANSWER
from components.serving.interface import ERROR, MASK_BYTES

MEAN_CONFIDENCE = "mean_confidence"


def rows(pictures: Sequence[bytes], outputs: Mapping[str, Sequence] | None) -> list[dict[str, Any]]:
    """The fields of a line that differ between the pictures of a request, see `request_log`.

    Args:
        pictures: their files.
        outputs: of the model, by name; what is missing, or is not one for each picture, is not
            known. None for no answer.
    """
    known = {
        name: values
        for name, values in (outputs or {}).items()
        if np.ndim(values) and len(values) == len(pictures)
    }
    return [
        {
            **_picture(picture),
            "class_pixels": _class_pixels(known[MASK_BYTES][row]) if MASK_BYTES in known else None,
            "confidence": _confidence(known, row),
            "error": NO_ANSWER if outputs is None else _text(known, row),
        }
        for row, picture in enumerate(pictures)
    ]


def _picture(encoded: bytes) -> dict[str, Any]:
    pixels = _decoded(decode_image, encoded)
    if pixels is None:
        return dict.fromkeys(("width", "height", "brightness"))
    return {
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "brightness": mean_value(channel_sums(pixels), pixels.size),
    }


def _class_pixels(mask: object) -> dict[str, int] | None:
    label = _decoded(decode_label, mask) if mask and isinstance(mask, bytes) else None
    if label is None:
        return None
    counts_256 = count_labels(np.ascontiguousarray(label[..., 0]))
    return {str(label): int(counts_256[label]) for label in np.flatnonzero(counts_256)}


def _confidence(known: Mapping[str, Sequence], row: int) -> float | None:
    if MEAN_CONFIDENCE not in known or _text(known, row):
        return None
    value = known[MEAN_CONFIDENCE][row]
    is_share = np.ndim(value) == 0 and not isinstance(value, bytes) and 0 <= value <= 1
    return round(float(value), 4) if is_share else None


def _text(known: Mapping[str, Sequence], row: int) -> str:
    error = known[ERROR][row] if ERROR in known else b""
    return error.decode(errors="replace") if isinstance(error, bytes) else str(error)


def _decoded(decode, encoded: bytes) -> np.ndarray | None:
    try:
        decoded = decode(encoded, DEFAULT)
    except tf.errors.OpError:
        return None
    return None if decoded.problem.numpy() else np.asarray(decoded.pixels)
