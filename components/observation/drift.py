"""Whether what a served model met is like the data behind it, by the data gate's distances."""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
from scipy.special import chdtri

from components.dataset.examination.distances import distances
from components.dataset.examination.measures import BRIGHTNESS_BINS, Measures
from components.observation.sums import Sums

_CERTAINTY = 0.95
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
    parts = {
        "class": (new.pixels_256[counted], old.pixels_256[counted], met.masks),
        "size": (new.sizes, old.sizes, met.measured),
        "brightness": (new.brightness, old.brightness, met.measured),
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
            needed=needed(limits[name], np.count_nonzero(old_part), behind.measures.records),
            change=changes[name] if pictures else "",
        )
        for name, (_, old_part, pictures) in parts.items()
    ]


def needed(limit: float, bins: int, records: int) -> float:
    """So many pictures that equal data stays below a limit with 95 %; infinite where none do.

    The divergence of two samples of one distribution over k bins, n and m large, is about
    (1/n + 1/m) / (8 ln 2) times a chi-squared variable of k - 1 degrees of freedom (Lin,
    "Divergence measures based on the Shannon entropy", 1991, and the expansion of the divergence
    around equal distributions). Classes of pixels are less uneven than whole pictures in bins are,
    so that theirs is an upper bound; `tests/components/observation` compares it with real pictures.

    Args:
        limit: of the distance, above 0.
        bins: that are not empty in the data behind the model.
        records: of the data behind the model.
    """
    spread = chdtri(bins - 1, 1 - _CERTAINTY) / (8 * math.log(2)) if bins > 1 else 0.0
    left = limit - (spread / records if records else math.inf)
    return max(1, math.ceil(spread / left)) if left > 0 else math.inf


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
    # The middles of the bins, see `measures.size_bin`.
    now, before = (round(16 * 2 ** (_median(counts) / 4)) for counts in (new, old))
    return f"half of the pictures have a longer side of at most about {now} pixels, {before} before"


def _brightness_change(new: np.ndarray, old: np.ndarray) -> str:
    middles = (np.arange(BRIGHTNESS_BINS) + 0.5) * 256 / BRIGHTNESS_BINS
    now, before = (float(_shares(counts) @ middles) for counts in (new, old))
    return f"the mean brightness is about {now:.0f} of 255, {before:.0f} before"


def _median(counts: np.ndarray) -> int:
    return int(np.argmax(np.cumsum(counts) >= counts.sum() / 2))


def _shares(counts: np.ndarray) -> np.ndarray:
    return counts / max(counts.sum(), 1)
