"""What one record must be, and what all of them together say: plain functions, no TFX."""

import dataclasses
import hashlib
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from components.data_gate.measures import NOTHING, Measures, distances, measure
from components.data_gate.options import GateOptions
from components.dataset import findings, records
from components.dataset.findings import Finding
from components.transform.preprocessing import decode_image, decode_label


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """What a look into one record gave."""

    findings: list[Finding]
    measures: Measures
    """Nothing where the record cannot be decoded."""
    filename: str
    digest: str
    """Of the picture's bytes: the same picture has the same, whatever its name."""


def check_record(serialized: bytes, split: str, num_classes: int, ignore_label: int) -> Look:
    """Everything wrong with one serialized `tf.train.Example`, and its measures.

    The picture and the mask are decoded by the very functions of the Transform graph, so that what
    passes here cannot fail there.
    """
    features = tf.train.Example.FromString(serialized).features.feature

    def first(key: str) -> bytes | None:
        values = features[key].bytes_list.value if key in features else []
        return values[0] if values else None

    filename = (first(records.FILENAME) or b"(record without a name)").decode(errors="replace")
    decoded, found = {}, []

    def add(cause: str, detail: str) -> None:
        found.append(Finding(split, filename, cause, detail))

    for key, decode, corrupt in (
        (records.IMAGE, decode_image, findings.CORRUPT_PICTURE),
        (records.LABEL, decode_label, findings.CORRUPT_MASK),
    ):
        encoded = first(key)
        if encoded is None:
            add(findings.MISSING_FEATURE, f"expected bytes in {key}")
            continue
        try:
            decoded[key] = decode(encoded).numpy()
        except tf.errors.OpError as error:
            add(corrupt, f"{key}: {records.tensorflow_reason(error)}")
    if records.LABEL in decoded and not _holds_ids(first(records.LABEL)):
        add(findings.UNSUITABLE_MASK, f"expected an 8-bit grey PNG of class ids in {records.LABEL}")
        del decoded[records.LABEL]
    digest = hashlib.sha256(first(records.IMAGE) or b"").hexdigest()[:32]
    if len(decoded) < 2:
        return Look(found, NOTHING, filename, digest)

    size = _size(decoded[records.IMAGE])
    if _size(decoded[records.LABEL]) != size:
        add(
            findings.OTHER_SIZE,
            f"the picture is {size}, the mask {_size(decoded[records.LABEL])}",
        )
    measures = measure(decoded[records.IMAGE], decoded[records.LABEL])
    for problem in findings.label_problems(measures.pixels_256, num_classes, ignore_label):
        add(*problem)
    return Look(found, measures, filename, digest)


def _holds_ids(encoded: bytes) -> bool:
    """Whether TensorFlow's decoder gives the values of a mask's file as they are.

    It takes other files too, and makes one channel of colours, 8 bits of 16, 255 of the largest
    value of 4 bits.
    """
    bits_and_color_type = encoded[24:26]
    return encoded.startswith(b"\x89PNG") and bits_and_color_type == b"\x08\0"


def _size(pixels: np.ndarray) -> str:
    """Width and height as people write them."""
    return f"{pixels.shape[1]}x{pixels.shape[0]}"


def repeated(places: Iterable[tuple[str, str]], what: str) -> list[Finding]:
    """What it means that several records share a name or a picture.

    Args:
        places: split and filename of all records that share it.
        what: "name" or "picture".
    """
    first, *others = sorted(places)
    found = []
    for split, filename in others:
        if what == "picture" and filename == first[1]:
            continue  # Said of the name already.
        if split != first[0]:
            detail = f"{first[0]} has the same {what}" + (
                f", {first[1]}" if first[1] != filename else ""
            )
            found.append(Finding(split, filename, findings.IN_TWO_SPLITS, detail))
        else:
            detail = f"the same {what} as {first[1]}"
            found.append(Finding(split, filename, findings.DUPLICATE, detail))
    return found


def drift(
    splits: dict[str, Measures],
    old: dict[str, Measures] | None,
    options: GateOptions,
    num_classes: int,
    ignore_label: int,
) -> list[str]:
    """What exceeds the limits: one line for each distance, empty where none does.

    Args:
        splits: of this run, with "train" and "val".
        old: of the data behind the last blessed model; None where there is none.
        options: the limits.
        num_classes: labels from 0 to this one are classes.
        ignore_label: of pixels that do not count.
    """
    pairs = [
        (
            "skew of the training against the validation split",
            splits["train"],
            splits["val"],
        )
    ]
    if old:
        against = "against the data behind the last blessed model"
        pairs += [
            (f"drift of the {split} split {against}", measures, old[split])
            for split, measures in splits.items()
            if split in old
        ]
    limits = options.limits()
    return [
        f"{what}: {name} distance {distance:.3f}, at most {limits[name]:g}"
        for what, new, other in pairs
        for name, distance in distances(new, other, num_classes, ignore_label).items()
        if distance > limits[name]
    ]
