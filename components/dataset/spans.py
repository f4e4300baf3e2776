"""Deliveries of data: `span-1/`, `span-2/`, … in one folder, the newest of which are used."""

import re

from components.errors import DataError
from components.storage import paths

_SPAN = re.compile(r"span-(\d+)")


def find_spans(folder: str, window: int = 0) -> dict[int, str]:
    """The newest spans in a folder, oldest first: paths by number; empty where there are none.

    Args:
        folder: here or in a bucket.
        window: at most so many; 0 is all.

    Raises:
        DataError: beside them lies what could be taken for one, or two have one number.
    """
    names = [name for name in paths.list_folder(folder) if name.startswith("span-")]
    # A file of this name is none of ours: records may be called so, too.
    names = [name for name in names if paths.is_folder(paths.join(folder, name))]
    numbers: dict[int, str] = {}
    others = []
    for name in sorted(names):
        match = _SPAN.fullmatch(name)
        if match is None or int(match[1]) in numbers:
            others.append(name)
        else:
            numbers[int(match[1])] = name
    if numbers and others:
        raise DataError(
            f"expected folders named span-1, span-2, …, each number once, in {folder}; got "
            f"{', '.join(others)} beside them; to fix, give it another name or move it away"
        )
    newest = sorted(numbers)[-window:]
    return {number: paths.join(folder, numbers[number]) for number in newest}
