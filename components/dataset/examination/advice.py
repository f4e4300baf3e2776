"""What many findings have in common, and advice that loses no data.

Where nearly all pictures have the same fault, or a good part of the masks the same label that is
not declared, the cause is the description, or how all files were made. To mend or leave out file
after file would then be to throw the data away.
"""

import collections
import re
from collections.abc import Iterator, Mapping, Sequence

from components import texts
from components.dataset.examination import findings
from components.dataset.examination.findings import Finding

NEARLY_ALL = 0.9
"""From this share of a split on, a fault is not that of single files."""
OFTEN = 0.1
"""From this share of a split's masks on, a label or colour is no slip."""
AT_LEAST = 2
"""Pictures that share something; one is no more than itself."""
MANY_COLORS = 16
"""More that are not declared are no classes: edges were smoothed."""
_SHOWN = 5

_CURES = {
    findings.MISSING_FEATURE: "write the records again, with the official keys",
    findings.MISSING_PICTURE: "correct images and names of the split in dataset.toml",
    findings.MISSING_MASK: "correct masks of the split in dataset.toml, or name the folder of both",
    findings.UNREADABLE: "copy or download them all again",
    findings.CORRUPT_PICTURE: "copy, download or export them all again",
    findings.CORRUPT_MASK: "copy, download or export them all again",
    findings.UNSUITABLE_MASK: "correct dataset.toml, or export the masks again",
    findings.OTHER_SIZE: "take the pictures that the masks were drawn on, at the same size",
    findings.ALL_IGNORED: "correct ignore_label in dataset.toml, or the colours of the classes",
    findings.DUPLICATE: "name one kind of file in the pattern, as in images/*.jpg",
    findings.IN_TWO_SPLITS: "give each split pictures of its own in dataset.toml",
}
_VALUES = re.compile(r", got (?:(\d+) others?: )?([^;]*)")


def shared_causes(found: Sequence[Finding], pictures: Mapping[str, int]) -> list[str]:
    """One line for each fault whose cause is not in single files, with what is to be done.

    Args:
        found: all findings.
        pictures: how many each split has with a mask, those that have a finding included.
    """
    lines = []
    names = _names_by(found, lambda finding: [finding.cause])
    for cause, cure in _CURES.items():
        own, of = names[cause], pictures
        if cause in (findings.MISSING_MASK, findings.MISSING_PICTURE):
            of = {s: pictures.get(s, 0) + len(own.get(s, ())) for s in {*pictures, *own}}
        if _is_shared(own, of, NEARLY_ALL):
            detail = _usual_detail(found, cause)
            lines.append(f"{_of(own, of, 'picture')}: {cause} ({detail}): {cure}")
    return [*lines, *_labels(found, pictures), *_colors(found, pictures)]


def describe_shared(lines: Sequence[str]) -> str:
    """The lines of `shared_causes` for people, with a headline; empty where there are none."""
    return "\n  ".join(["\nThe cause is not in single files:", *lines]) if lines else ""


def _labels(found: Sequence[Finding], pictures: Mapping[str, int]) -> Iterator[str]:
    own = [finding for finding in found if finding.cause == findings.OUT_OF_RANGE]
    for label, names in _often(own, pictures):
        cure = f"declare it as a class in dataset.toml, or set ignore_label = {label}"
        if not 0 <= int(label) <= 255:
            cure = "a mask holds an id in one byte, so renumber the classes from 0 on"
        yield f"label {label} is in {_of(names, pictures, 'mask')}: {cure}"


def _colors(found: Sequence[Finding], pictures: Mapping[str, int]) -> Iterator[str]:
    own = [finding for finding in found if finding.cause == findings.UNKNOWN_COLOR]
    smooth = [f for f in own if int(_VALUES.search(f.detail)[1]) > MANY_COLORS]
    names = _names_by(smooth, lambda finding: [finding.cause])[findings.UNKNOWN_COLOR]
    if _is_shared(names, pictures, OFTEN):
        yield (
            f"more than {MANY_COLORS} colours that are not declared are in "
            f"{_of(names, pictures, 'mask')}: export the masks again, without smoothed edges and "
            "without resizing"
        )
        own = [finding for finding in own if finding not in set(smooth)]
    for color, names in _often(own, pictures):
        yield (
            f"colour {color} is in {_of(names, pictures, 'mask')}: give it to a class in "
            "dataset.toml, or name it in ignore_colors"
        )


_Names = dict[str, set[str]]
"""Of pictures, by split."""


def _names_by(found: Sequence[Finding], keys) -> dict[str, _Names]:
    """Which pictures have each of the keys that a finding has; what is of no picture is not."""
    names = collections.defaultdict(lambda: collections.defaultdict(set))
    for finding in found:
        for key in keys(finding) if finding.filename else ():
            names[key][finding.split].add(finding.filename)
    return names


def _often(found: Sequence[Finding], pictures: Mapping[str, int]) -> list[tuple[str, _Names]]:
    """Labels or colours that are no slip, and where they are; those of most pictures first."""
    by_value = _names_by(found, lambda finding: _VALUES.search(finding.detail)[2].split(", "))
    often = [item for item in by_value.items() if _is_shared(item[1], pictures, OFTEN)]
    return sorted(often, key=lambda item: -_count(item[1]))[:_SHOWN]


def _is_shared(names: _Names, pictures: Mapping[str, int], share: float) -> bool:
    return any(
        len(own) >= max(AT_LEAST, share * pictures.get(split, 0)) for split, own in names.items()
    )


def _usual_detail(found: Sequence[Finding], cause: str) -> str:
    """What is said of most; the last of its clauses may name a file."""
    details = collections.Counter(finding.detail for finding in found if finding.cause == cause)
    detail, count = details.most_common(1)[0]
    return detail if count > 1 else f"for one, {detail}"


def _of(names: _Names, pictures: Mapping[str, int], noun: str) -> str:
    return f"{_count(names)} of {texts.counted(sum(pictures.values()), noun)}"


def _count(names: _Names) -> int:
    return sum(map(len, names.values()))
