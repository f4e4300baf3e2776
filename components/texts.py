"""Numbers as people write them, alike in every message and on every page."""

from collections.abc import Sequence


def size(width: int, height: int) -> str:
    """Width and height in pixels, "500x375"."""
    return f"{width}x{height}"


def counted(count: int, noun: str) -> str:
    """A count with its noun, "1 picture" or "2 pictures"; for nouns that take an s."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listed(names: Sequence[str], count: int | None = None, limit: int = 8) -> str:
    """The first names, and how many more there are: "a, b and 3 more".

    Args:
        names: some or all.
        count: how many there are in all; None for as many as `names`.
        limit: how many are shown.
    """
    more = (len(names) if count is None else count) - min(limit, len(names))
    shown = ", ".join(names[:limit])
    return f"{shown} and {more} more" if more > 0 else shown


def percent(share: float, digits: int = 0, unit: str = " %") -> str:
    """A share in [0, 1], "87 %" or "12.3 %"; what would be rounded to nothing is "<0.1 %".

    Args:
        share: of a whole.
        digits: behind the point.
        unit: written behind the number.
    """
    smallest = 10.0**-digits
    if share == 0:
        return f"0{unit}"
    if 100 * share < smallest / 2:
        return f"<{smallest:.{digits}f}{unit}"
    return f"{100 * share:.{digits}f}{unit}"
