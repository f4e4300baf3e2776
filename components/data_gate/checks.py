"""What one record must be, and what a set of findings says: plain functions, no TFX."""

import dataclasses

import numpy as np
import tensorflow as tf

from components.dataset import records
from components.transform.preprocessing import decode_image, decode_label


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with one record."""

    split: str
    filename: str
    cause: str
    detail: str

    def __str__(self) -> str:
        return f"{self.split} {self.filename}: {self.cause}, {self.detail}"


def check_record(
    serialized: bytes, split: str, num_classes: int, ignore_label: int
) -> list[Finding]:
    """Everything wrong with one serialized `tf.train.Example`; empty when it is fit for training.

    The picture and the mask are decoded by the very functions of the Transform graph, so that what
    passes here cannot fail there.
    """
    features = tf.train.Example.FromString(serialized).features.feature

    def first(key: str) -> bytes | None:
        values = features[key].bytes_list.value if key in features else []
        return values[0] if values else None

    filename = (first(records.FILENAME) or b"(record without a name)").decode(errors="replace")

    def finding(cause: str, detail: str) -> Finding:
        return Finding(split, filename, cause, detail)

    decoded, findings = {}, []
    for key, decode in ((records.IMAGE, decode_image), (records.LABEL, decode_label)):
        encoded = first(key)
        if encoded is None:
            findings.append(finding("missing feature", f"expected bytes in {key}"))
            continue
        try:
            decoded[key] = decode(encoded).numpy()
        except tf.errors.InvalidArgumentError as error:
            reason = error.message.splitlines()[0]
            findings.append(finding(f"corrupt {key}", reason))
    if len(decoded) < 2:
        return findings

    size = _size(decoded[records.IMAGE])
    if _size(decoded[records.LABEL]) != size:
        findings.append(
            finding(
                "mask of another size",
                f"the picture is {size}, the mask {_size(decoded[records.LABEL])}",
            )
        )
    ids = np.unique(decoded[records.LABEL])
    unknown = [int(i) for i in ids if i >= num_classes and i != ignore_label]
    if unknown:
        findings.append(
            finding(
                "label out of range",
                f"expected 0-{num_classes - 1} or {ignore_label} (ignore), got "
                + ", ".join(map(str, unknown[:5])),
            )
        )
    if list(ids) == [ignore_label]:
        findings.append(finding("nothing to learn", "every pixel has the ignore label"))
    return findings


def _size(pixels: np.ndarray) -> str:
    """Width and height as people write them."""
    return f"{pixels.shape[1]}x{pixels.shape[0]}"


def describe(findings: list[Finding], limit: int = 10) -> str:
    """The findings for a person: how many by cause, then the first `limit` by name."""
    causes: dict[str, int] = {}
    for finding in findings:
        causes[finding.cause] = causes.get(finding.cause, 0) + 1
    lines = [", ".join(f"{count} × {cause}" for cause, count in sorted(causes.items()))]
    lines += [f"  {finding}" for finding in findings[:limit]]
    if len(findings) > limit:
        lines.append(f"  … and {len(findings) - limit} more, all of them in the log")
    return "\n".join(lines)
