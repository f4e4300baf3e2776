"""What one record must be, and what all of them together say: plain functions, no TFX."""

import dataclasses
import hashlib

from components.data_gate.options import GateOptions
from components.data_gate.report import Report
from components.dataset.examination.distances import exceeded, skew
from components.dataset.examination.examine import examine_record
from components.dataset.examination.findings import Finding
from components.dataset.examination.measures import Measures
from components.dataset.examination.repeats import picture_digest
from components.dataset.example import Example
from components.dataset.limits import DEFAULT, Limits


@dataclasses.dataclass(frozen=True, slots=True)
class CheckedRecord:
    """What the check of one record gave."""

    findings: list[Finding]
    measures: Measures
    """Nothing where the record cannot be decoded."""
    filename: str
    digest: str
    """Of the picture's bytes: the same picture has the same, whatever its name."""


def check_record(
    serialized: bytes,
    split: str,
    num_classes: int,
    ignore_label: int,
    limits: Limits = DEFAULT,
) -> CheckedRecord:
    """Everything wrong with one serialized `tf.train.Example`, and its measures.

    The picture and the mask are decoded by the very functions of the Transform graph, so that what
    passes here cannot fail there.
    """
    examined = examine_record(Example.FromString(serialized), num_classes, ignore_label, limits)
    return CheckedRecord(
        [Finding(split, examined.filename, *problem) for problem in examined.problems],
        examined.measures,
        examined.filename,
        picture_digest(examined.image or b""),
    )


def record_digest(serialized: bytes) -> int:
    """What a record adds to the digest of its source, 128 bits."""
    return int.from_bytes(hashlib.sha256(serialized).digest()[:16], "big")


def drift(
    report: Report,
    served: Report | None,
    options: GateOptions,
    num_classes: int,
    ignore_label: int,
) -> tuple[str, ...]:
    """What exceeds the limits: one line for each distance, empty where none does.

    The newest source is compared with all records behind the served model, unless it is one of
    those: then there is nothing new.

    Args:
        report: of this run, with the splits "train" and "val".
        served: of the records behind the model that is served; None where there is none.
        options: the limits.
        num_classes: labels from 0 to this one are classes.
        ignore_label: of pixels that do not count.
    """
    total, newest = report.total(), report.sources[-1]
    limits = options.limits()
    skewed = skew(total, num_classes, ignore_label, limits)
    pairs = []
    if served and newest.digest not in {source.digest for source in served.sources}:
        old = served.total()
        of = f" of {newest.name}" if newest.name else ""
        pairs = [
            (
                f"drift of the {split} split{of} against the data behind the served model",
                measures,
                old[split],
            )
            for split, measures in newest.splits.items()
            if split in old
        ]
    drifted = [
        line
        for what, new, other in pairs
        for line in exceeded(what, new, other, num_classes, ignore_label, limits)
    ]
    return (*skewed, *drifted)
