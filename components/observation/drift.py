"""Whether what a served model met is like the data behind it, by the data gate's distances."""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from components.dataset.examination.distances import distances, divergence
from components.dataset.examination.measures import BRIGHTNESS_BINS, SIZE_BINS, Measures
from components.observation.sums import Sums

_CERTAINTY = 0.95
_FEWEST = 20
"""Of fewer, one picture is more than the 5 % that may be amiss."""
_DRAWS = 500
_EXACTNESS = 32
"""The number that is needed is found to one in so many."""
_MOST = 100_000
"""Where so many pictures are not enough, more are not either: the data behind is too little."""
_NAMED = 3


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Behind:
    """The data behind a served model, and what it calls its classes."""

    measures: Measures
    classes: tuple[str, ...]
    ignore_label: int
    predicted_256: np.ndarray | None
    """How many pixels of each class the model itself found in the validation split; None where the
    version does not carry them: then the labelled ones stand for them."""
    predicted_records: int = 0
    """So many records that split has."""

    def expected(self) -> Measures:
        """What a log is compared with."""
        if self.predicted_256 is None:
            return self.measures
        return dataclasses.replace(self.measures, pixels_256=self.predicted_256)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Distance:
    """How far a log is from the data behind the model in one respect."""

    name: str
    """As in `distances`."""
    value: float | None
    """None where not one picture has what is compared."""
    limit: float
    pictures: int
    """That have it."""
    needed: float
    """So many pictures make it meaningful, see `needed`; infinite where none would."""
    change: str
    """What is different, for people."""

    @property
    def is_judged(self) -> bool:
        """Whether there are pictures enough."""
        return self.value is not None and self.pictures >= self.needed

    @property
    def is_exceeded(self) -> bool:
        """Whether it is judged, and too large."""
        return self.is_judged and self.value > self.limit

    def fault(self) -> str:
        """For people, of one that is exceeded."""
        return (
            f"{self.name} distance {self.value:.3f} over {self.pictures} pictures, at most "
            f"{self.limit:g}: {self.change}"
        )


def compare(met: Sums, behind: Behind, limits: Mapping[str, float]) -> list[Distance]:
    """All distances of a log, or of a window of it.

    Args:
        met: by the model.
        behind: the model.
        limits: by the names of `distances`, above 0.
    """
    new, old = met.measures(), behind.expected()
    counted = [label for label in range(len(behind.classes)) if label != behind.ignore_label]
    found = distances(new, old, len(behind.classes), behind.ignore_label)
    records = behind.measures.records
    of_classes = records if behind.predicted_256 is None else behind.predicted_records
    parts = {
        "class": (new.pixels_256[counted], old.pixels_256[counted], met.masks, of_classes),
        "size": (new.sizes, old.sizes, met.measured, records),
        "brightness": (new.brightness, old.brightness, met.measured, records),
    }
    changes = {
        "class": _class_change([behind.classes[label] for label in counted], *parts["class"][:2]),
        "size": _size_change(new.sizes, old.sizes),
        "brightness": _brightness_change(new.brightness, old.brightness),
    }
    return [
        Distance(
            name=name,
            value=found[name] if pictures else None,
            limit=limits[name],
            pictures=pictures,
            needed=needed(limits[name], _shares(old_part), records),
            change=changes[name] if pictures else "",
        )
        for name, (_, old_part, pictures, records) in parts.items()
    ]


def needed(limit: float, shares: Sequence[float], records: int) -> float:
    """So many pictures that equal data stays below a limit with 95 %; infinite where none do.

    By simulation: samples of two sizes of one distribution, as many as there are records, and as
    many as are asked for, which grow until the 95th percentile of their distance is below the
    limit. Each picture falls into one bin. Of classes, a picture has several: they differ less from
    picture to picture than that, and theirs is an upper bound (three times what is needed on PASCAL
    VOC); `tests/components/observation/test_drift.py` draws real pictures.

    Args:
        limit: of the distance, above 0.
        shares: of the bins in the data behind the model.
        records: of the data behind the model.
    """
    return _needed(limit, tuple(float(share) for share in shares), records)


@functools.lru_cache
def _needed(limit: float, shares: tuple[float, ...], records: int) -> float:
    if not records or not sum(shares):
        return math.inf

    def is_enough(count: int) -> bool:
        random = np.random.default_rng(0)
        drawn = zip(
            random.multinomial(count, shares, _DRAWS),
            random.multinomial(records, shares, _DRAWS),
            strict=True,
        )
        return np.quantile([divergence(*pair) for pair in drawn], _CERTAINTY) <= limit

    low, high = _FEWEST - 1, _FEWEST
    while not is_enough(high):
        low, high = high, 2 * high
        if high > _MOST:
            return math.inf
    while high - low > max(1, high // _EXACTNESS):
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def _class_change(names: list[str], new: np.ndarray, old: np.ndarray) -> str:
    difference = _shares(new) - _shares(old)
    largest = np.argsort(-np.abs(difference), kind="stable")[:_NAMED]
    return "; ".join(
        f"{names[i]} has {100 * _shares(new)[i]:.1f} % of the pixels, "
        f"{100 * _shares(old)[i]:.1f} % before"
        for i in largest
        if difference[i]
    )


def _size_change(new: np.ndarray, old: np.ndarray) -> str:
    # Where the bins begin and end is rounded in `measures.size_bin`: these are their middles.
    middles = [round(16 * 2 ** (index / 4)) for index in range(SIZE_BINS)]
    return f"longer sides, in pixels, are {_spread(new, middles)}; {_spread(old, middles)} before"


def _brightness_change(new: np.ndarray, old: np.ndarray) -> str:
    middles = [round((index + 0.5) * 256 / BRIGHTNESS_BINS) for index in range(BRIGHTNESS_BINS)]
    return f"brightness, of 255, is {_spread(new, middles)}; {_spread(old, middles)} before"


def _spread(counts: np.ndarray, middles: list[int]) -> str:
    """Where most of the pictures are, about: the tenth, half and nine tenths of them."""
    reached = np.cumsum(counts)
    low, half, high = (
        middles[int(np.argmax(reached >= share * reached[-1]))] for share in (0.1, 0.5, 0.9)
    )
    return f"mostly {low} to {high}, half up to {half}"


def _shares(counts: np.ndarray) -> np.ndarray:
    return counts / max(counts.sum(), 1)
