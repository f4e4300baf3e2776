"""Deliveries of data: `span-1/`, `span-2/`, … in one folder; the newest are learned from."""

import re

from components.errors import DataError
from components.storage import paths

_SPAN = re.compile(r"span-(0|[1-9]\d*)")


def find_spans(folder: str, window: int = 0) -> dict[int, str]:
    """The newest spans in a folder, oldest first: paths by number; empty where there are none.

    Args:
        folder: here or in a bucket.
        window: at most so many; 0 is all.

    Raises:
        DataError: a folder is named like a span and is none.
    """
    named = [name for name in paths.list_folder(folder) if name.startswith("span-")]
    names = [name for name in named if paths.is_folder(paths.join(folder, name))]
    spans = sorted(int(match[1]) for name in names if (match := _SPAN.fullmatch(name)))
    others = [name for name in names if not _SPAN.fullmatch(name)]
    # Of pictures' folders, `span-left` may be one; `span-007` never is anything but a span.
    if others and (spans or any(name.removeprefix("span-").isdigit() for name in others)):
        raise DataError(
            f"expected folders named span-1, span-2, … in {folder}; got {', '.join(others)}"
            f"{' beside them' if spans else ''}; to fix, give it another name or move it away"
        )
    return {number: paths.join(folder, f"span-{number}") for number in spans[-window:]}
