"""What the requests of a log are in sum: of all of it, or of one day or hour."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from components.dataset.examination.measures import (
    BRIGHTNESS_BINS,
    SIZE_BINS,
    Measures,
    brightness_bin,
    size_bin,
)

_KINDS = 100
"""So many texts of errors, or versions, are counted apart; what comes after them together."""
_OTHERS = "others"
_CHARACTERS = 200
_LARGEST = 2**31
"""A side, or the pixels of a class, is less."""
_FASTEST_SECONDS, _TIMES, _PER_TENFOLD = 1e-4, 160, 20
"""Times are counted in bins, each 12 % wider than that before it."""
_LONGEST_SECONDS = 1e9
_NUMBER = re.compile(r"\d[\d,.]*")
_LABELS = {str(label): label for label in range(256)}


class Sums:
    """Sums over lines of a log; their size does not depend on how many there are."""

    def __init__(self):
        self.pictures = 0
        self.measured = 0
        """Pictures of known size and brightness."""
        self.masks = 0
        """Pictures whose mask is known."""
        self.errors: Counter[str] = Counter()
        """By text, the numbers in it left out."""
        self.asked: Counter[str] = Counter()
        self.versions: Counter[str] = Counter()
        self._sizes = [0] * SIZE_BINS
        self._brightness = [0] * BRIGHTNESS_BINS
        self._pixels_256 = [0] * 256
        self._times = [0] * _TIMES
        self._confidence = 0.0
        self._confident = 0

    def add(self, line: "Line") -> None:
        """Counts one picture."""
        self.pictures += 1
        if line.size_bin is not None:
            self.measured += 1
            self._sizes[line.size_bin] += 1
            self._brightness[line.brightness_bin] += 1
        if line.class_pixels is not None:
            self.masks += 1
            for label, count in line.class_pixels:
                self._pixels_256[label] += count
        if line.confidence is not None:
            self._confidence += line.confidence
            self._confident += 1
        if line.time_bin is not None:
            self._times[line.time_bin] += 1
        if line.error:
            _count(self.errors, line.error)
        _count(self.asked, line.asked)
        _count(self.versions, line.version)

    @property
    def mean_confidence(self) -> float | None:
        """Over the pictures that it is known of; None where there are none."""
        return self._confidence / self._confident if self._confident else None

    def seconds(self, quantile: float) -> float | None:
        """That this share of the requests took at most, up to 12 % too much; None: not known."""
        total = sum(self._times)
        if not total:
            return None
        reached = np.cumsum(self._times) >= quantile * total
        return _FASTEST_SECONDS * 10 ** ((int(np.argmax(reached)) + 1) / _PER_TENFOLD)

    def measures(self) -> Measures:
        """As of a split; no sums of channels, which no distance looks at."""
        return Measures(
            self.measured,
            *(np.array(v, np.int64) for v in (self._pixels_256, self._sizes, self._brightness)),
            np.zeros(6, np.int64),
        )


class Line:
    """One line of a log, checked.

    Args:
        content: what JSON made of it, see `request_log`.

    Raises:
        ValueError: a field is missing, or is not what it should be.
    """

    __slots__ = (
        *("time", "model", "asked", "version", "error", "confidence", "time_bin"),
        *("size_bin", "brightness_bin", "class_pixels"),
    )

    def __init__(self, content: Mapping[str, Any]):
        try:
            self.model = content["model"]
            self.time = None if content["time"] is None else _time(content["time"])
            asked, version = content["asked"], content["version"]
            if not (isinstance(asked, int | str | None) and isinstance(version, int | None)):
                raise ValueError("no version")
            self.asked = "the highest" if asked is None else str(asked)[:_CHARACTERS]
            self.version = "not known" if version is None else str(version)[:_CHARACTERS]
            self.error = _NUMBER.sub("…", content["error"])[:_CHARACTERS]
            self.confidence = _number(content["confidence"], 1)
            self.time_bin = _time_bin(_number(content["seconds"], _LONGEST_SECONDS))
            self._measures(content)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no line of a log: {error}") from error

    def _measures(self, content: Mapping[str, Any]) -> None:
        mean = _number(content["brightness"], 255)
        width, height = content["width"], content["height"]
        if mean is None or width is None or height is None:
            self.size_bin = self.brightness_bin = None
        else:
            sides = width, height
            if not all(type(side) is int and 0 < side < _LARGEST for side in sides):
                raise ValueError("no size of a picture")
            self.size_bin, self.brightness_bin = size_bin(max(width, height)), brightness_bin(mean)
        pixels = content["class_pixels"]
        if pixels is None:
            self.class_pixels = None
            return
        self.class_pixels = [(_LABELS[label], count) for label, count in pixels.items()]
        if not all(type(count) is int and 0 <= count < _LARGEST for count in pixels.values()):
            raise ValueError("no count of pixels")


def _number(value: Any, most: float) -> float | None:
    # Not true, which is a number in Python, nor NaN, which no comparison holds for.
    if value is not None and not (type(value) in (int, float) and 0 <= value <= most):
        raise ValueError(f"no number in [0, {most}]")
    return value


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("a time without a zone")
    return time if time.tzinfo is UTC else time.astimezone(UTC)


def _time_bin(seconds: float | None) -> int | None:
    if seconds is None:
        return None
    if seconds <= _FASTEST_SECONDS:
        return 0
    return min(int(_PER_TENFOLD * math.log10(seconds / _FASTEST_SECONDS)), _TIMES - 1)


def _count(counter: Counter[str], kind: str) -> None:
    counter[kind if kind in counter or len(counter) < _KINDS else _OTHERS] += 1
