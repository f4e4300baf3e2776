"""All cases in one list, and what is said of them in `docs/corpus.md`."""

import re
from collections.abc import Iterator

from tests.components.dataset.building.corpus import Accepted, Refused
from tests.corpus import folder_cases, jpeg_cases, mask_cases, other_cases, picture_cases

GOOD_PICTURES = (*jpeg_cases.JPEGS, *picture_cases.PNGS, *picture_cases.OTHERS)
BAD_PICTURES = (*jpeg_cases.BAD_JPEGS, *picture_cases.BAD_PICTURES)
GROUPS = {
    "JPEG files": (*jpeg_cases.JPEGS, *jpeg_cases.BAD_JPEGS),
    "Other pictures": (
        *picture_cases.PNGS,
        *picture_cases.OTHERS,
        *picture_cases.BAD_PICTURES,
    ),
    "Masks": (*mask_cases.MASKS, *mask_cases.BAD_MASKS),
    "Names and folders": (
        *folder_cases.FOLDERS,
        *folder_cases.BAD_FOLDERS,
        *folder_cases.NO_FOLDERS,
        *folder_cases.SAID,
    ),
    "Descriptions": tuple(other_cases.DESCRIPTIONS),
    "Records": tuple(other_cases.RECORDS),
    "Requests to the served model": (*other_cases.REQUESTS, other_cases.EMPTY_BATCH),
    "The machine": tuple(other_cases.MACHINES),
}
NAME = re.compile(r"(?P<trigger>.+) \[(?P<source>[\w.-]+/[\w.-]+#\d+)\]")
_HEADER = """\
# Odd files, names and machines that people met

Made from the tests by `python -m tests.corpus`. Each source is a repository and the number of an
issue or pull request in its tracker: there somebody met the trigger. The inputs are our own. What
is right becomes the same pixels in the records, the gate, the Transform graph and the served model;
what is refused is refused before any step runs, and says which file, why, and what to do.
"""


def names() -> Iterator[str]:
    """The name of every case."""
    for cases in GROUPS.values():
        yield from map(_name, cases)


def page() -> str:
    """The text of `docs/corpus.md`."""
    parts = [_HEADER]
    for title, cases in GROUPS.items():
        rows = [f"## {title}\n", "| trigger | source | verdict |", "|---|---|---|"]
        for case in cases:
            found = NAME.fullmatch(_name(case))
            rows.append(f"| {found['trigger']} | {found['source']} | {_verdict(case)} |")
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def _name(case: object) -> str:
    return case if isinstance(case, str) else case.name


def _verdict(case: object) -> str:
    match case:
        case Accepted(rewritten=""):
            return "right"
        case Accepted():
            return f"right; {case.rewritten}"
        case Refused() if case in jpeg_cases.LEFT_OVER:
            return f"refused: {case.cause}; a served model cannot see it, and answers"
        case Refused():
            return f"refused: {case.cause}"
        case folder_cases.Said():
            return f"said by the build, stops a run: {case.cause}"
        case other_cases.Request(picture=None):
            return "an error in its row"
        case other_cases.Request():
            return "a mask, upright"
        case other_cases.Machine():
            return case.verdict
        case str():
            return "an empty answer"
    return "refused at once"
