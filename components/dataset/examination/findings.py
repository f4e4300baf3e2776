"""What can be wrong with a picture and its mask, said in the same words wherever it is found."""

import collections
import dataclasses
from collections.abc import Sequence

import numpy as np

from components import texts

MISSING_FEATURE = "missing feature"
MISSING_PICTURE = "missing picture"
MISSING_MASK = "missing mask"
UNREADABLE = "unreadable file"
CORRUPT_PICTURE = "corrupt picture"
CORRUPT_MASK = "corrupt mask"
UNSUITABLE_MASK = "unsuitable mask"
OTHER_SIZE = "mask of another size"
OUT_OF_RANGE = "label out of range"
UNKNOWN_COLOR = "unknown colour"
ALL_IGNORED = "nothing to learn"
DUPLICATE = "duplicate"
IN_TWO_SPLITS = "in two splits"
ONE_CLASS = "only one class"
TURNED = "turned picture"

CORRUPT = (CORRUPT_PICTURE, CORRUPT_MASK, UNSUITABLE_MASK)
"""Of which nothing can be measured."""

ACCEPTABLE = (ALL_IGNORED, DUPLICATE, IN_TWO_SPLITS, ONE_CLASS)
"""What one can train with in spite of it, if one says so; anything else would fail later."""


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with one record, or with a split where `filename` is empty."""

    split: str
    filename: str
    cause: str
    detail: str

    def __str__(self) -> str:
        place = self.filename
        if not place.startswith(f"{self.split}/"):
            place = f"{self.split} {place}".rstrip()
        return f"{place}: {self.cause}, {self.detail}"


def counts_by_cause(findings: Sequence[Finding]) -> dict[str, int]:
    """How many findings each cause has, sorted by cause."""
    return dict(sorted(collections.Counter(finding.cause for finding in findings).items()))


def describe(findings: Sequence[Finding], more: str, limit: int = 10) -> str:
    """The findings for a person: how many by cause, then the first `limit` by name.

    Args:
        findings: at least one.
        more: where those beyond the limit can be read.
        limit: how many are listed.
    """
    counted = counts_by_cause(findings)
    lines = [", ".join(f"{count} × {cause}" for cause, count in counted.items())]
    lines += [f"  {finding}" for finding in findings[:limit]]
    if len(findings) > limit:
        lines.append(f"  … and {len(findings) - limit} more, all of them in {more}")
    return "\n".join(lines)


def label_problems(
    pixels_256: np.ndarray, num_classes: int, ignore_label: int
) -> list[tuple[str, str]]:
    """Cause and detail of all that is wrong with the labels of one mask.

    Args:
        pixels_256: how many pixels each label from 0 to 255 has.
        num_classes: labels from 0 to this one are classes.
        ignore_label: of pixels that do not count.
    """
    present = [int(label) for label in np.flatnonzero(pixels_256)]
    unknown = [label for label in present if label >= num_classes and label != ignore_label]
    problems = []
    if unknown:
        problems.append(out_of_range(f"0-{num_classes - 1} or {ignore_label} (ignore)", unknown))
    if present == [ignore_label]:
        problems.append((ALL_IGNORED, "every pixel has the ignore label"))
    return problems


def out_of_range(expected: str, labels: Sequence[int]) -> tuple[str, str]:
    """Cause and detail of labels that no class has; the first five are named."""
    return OUT_OF_RANGE, f"expected {expected}, got {', '.join(map(str, labels[:5]))}"


def unknown_colors(colors: Sequence[str]) -> tuple[str, str]:
    """Cause and detail of colours, such as `#1a2b3c`, that are not declared; five are named."""
    detail = f"expected the colours in dataset.toml, got {texts.counted(len(colors), 'other')}: "
    detail += ", ".join(colors[:5])
    if any(len(color) == len("#rrggbbaa") for color in colors):
        detail += (
            "; what is not opaque is a colour of eight digits, which ignore_colors has to name, or "
            "save the mask without transparency"
        )
    return UNKNOWN_COLOR, detail


def split_problems(
    split: str, pixels_256: np.ndarray, class_names: Sequence[str], ignore_label: int
) -> list[Finding]:
    """What is wrong with the labels of a whole split: a network needs two classes to tell apart.

    Args:
        split: its name.
        pixels_256: how many pixels of the split each label from 0 to 255 has.
        class_names: names by class id.
        ignore_label: of pixels that do not count.
    """
    classes = [
        name
        for label, name in enumerate(class_names)
        if label != ignore_label and pixels_256[label] > 0
    ]
    if len(classes) > 1:
        return []
    ignored = pixels_256[ignore_label] / max(1, pixels_256.sum())
    return [
        Finding(
            split,
            "",
            ONE_CLASS,
            f"expected at least two classes in the masks, got {' and '.join(classes) or 'none'} "
            f"beside {texts.percent(ignored)} with the ignore label {ignore_label}; masks that "
            "mark a class with 255, or with colours, need that said in dataset.toml",
        )
    ]
