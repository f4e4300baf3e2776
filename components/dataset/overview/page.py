"""Renders a survey as one HTML page."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from components import pages, texts
from components.dataset.examination.measures import BRIGHTNESS_BINS
from components.dataset.overview import suspicions
from components.dataset.overview.survey import Shown, SplitSurvey, Survey
from components.dataset.overview.verdict import ignored_share, unknown_labels, verdict
from components.pictures import data_url
from schemas import Dataset

HISTOGRAM_BINS = 16
"""About so many bars; the steps are round numbers."""
ASPECT_OCTAVES = 2
"""Aspect ratios are drawn from 1 : 4 to 4 : 1; what lies beyond is in the outer bars."""
SPLIT_COLORS = ("#2563eb", "#e8871e", "#0d9488", "#8b5cf6")
"""Colours of the splits, in their order."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Histogram:
    title: str
    axis: tuple[str, str, str]
    """What is written below the left end, the middle and the right end."""
    bars: list[tuple[str, list[tuple[float, str]]]]
    """Name of the bin, and of each split the height in [0, 1] and its share as text."""


def render(survey: Survey, dataset: Dataset) -> str:
    """The page as HTML; it needs no other file and no network.

    Args:
        survey: what to show.
        dataset: names and colours of the classes, as `survey` was made with.
    """
    splits = survey.splits
    rows = _classes(list(splits.values()), dataset)
    return pages.render(
        "dataset/overview/page.html.jinja",
        title="A look at the data before training",
        dataset=dataset,
        remarks=verdict(survey, dataset),
        splits=[
            {
                "name": name,
                "anchor": f"split-{index}",
                "color": SPLIT_COLORS[index % len(SPLIT_COLORS)],
                "survey": split,
                "pictures": texts.counted(split.pictures, "picture"),
                "facts": list(_facts(split, dataset)),
                "examples": [_card(shown, dataset) for shown in split.examples],
                "suspicious": [_card(shown, dataset) for shown in split.suspicious],
            }
            for index, (name, split) in enumerate(splits.items())
        ],
        classes=[row for row in rows if row["occurs"]],
        absent=[row["name"] for row in rows if not row["occurs"]],
        others=_others(list(splits.values()), dataset),
        histograms=_histograms(list(splits.values())),
        reasons=[
            {
                "name": reason,
                "text": text,
                "is_grave": reason in suspicions.GRAVE,
                "counts": [split.reasons[reason] for split in splits.values()],
            }
            for reason, text in (suspicions.GRAVE | suspicions.DOUBTFUL).items()
            if any(split.reasons[reason] for split in splits.values())
        ],
    )


def _facts(split: SplitSurvey, dataset: Dataset) -> Iterable[tuple[str, str]]:
    """What the card of a split says, as pairs of name and value."""
    if not split.pictures:
        return
    yield "ignored pixels", _percent(ignored_share([split], dataset), " %")
    background = suspicions.background_id(dataset)
    pixels_C = split.class_pixels(dataset)
    if background is not None:
        share = pixels_C[background] / max(1, pixels_C.sum())
        yield f"{dataset.class_names[background]}, of the labelled", _percent(share, " %")
    sizes = sorted(split.sizes.items())
    smallest, largest = (pick(sizes, key=lambda item: math.prod(item[0])) for pick in (min, max))
    yield "smallest picture", texts.size(*smallest[0])
    (usual, count), *_ = split.sizes.most_common(1)
    if len(sizes) > 1:
        yield "largest picture", texts.size(*largest[0])
    if 1 < count < split.pictures:
        yield "most frequent size", f"{texts.size(*usual)} ({count})"


# === Classes ===


def _classes(splits: Sequence[SplitSurvey], dataset: Dataset) -> list[dict]:
    """The rows of the table of classes."""
    shares = [
        pixels_C / max(1, pixels_C.sum())
        for pixels_C in (split.class_pixels(dataset) for split in splits)
    ]
    background = suspicions.background_id(dataset)
    # Beside the background the bars of all other classes would be dots.
    highest = max(
        (share_C[i] for share_C in shares for i in range(len(share_C)) if i != background),
        default=0,
    )
    return [
        {
            "name": info.name,
            "color": _hex(info.color),
            "occurs": any(split.occurrences_256[info.id] for split in splits),
            "cells": [
                {
                    "percent": _percent(share_C[info.id]),
                    "width": 100 * min(1, share_C[info.id] / (highest or 1)),
                    "is_cut": share_C[info.id] > highest,
                    "pictures": int(split.occurrences_256[info.id]),
                    "frequency": _percent(split.occurrences_256[info.id] / max(1, split.pictures)),
                }
                for share_C, split in zip(shares, splits, strict=True)
            ],
        }
        for info in dataset.classes
        if info.id != dataset.ignore_label
    ]


def _others(splits: Sequence[SplitSurvey], dataset: Dataset) -> list[dict]:
    """The rows of labels that are ignored or that no class has, as shares of all pixels."""
    unknown = {int(i) for split in splits for i in unknown_labels(split, dataset)}
    return [
        {
            "name": _label_name(label, dataset),
            "color": _hex(dataset.palette[label]),
            "is_grave": label != dataset.ignore_label,
            "cells": [
                {
                    "percent": _percent(
                        split.pixels_256[label] / max(1, int(split.pixels_256.sum()))
                    ),
                    "pictures": int(split.occurrences_256[label]),
                    "frequency": _percent(split.occurrences_256[label] / max(1, split.pictures)),
                }
                for split in splits
            ],
        }
        for label in (dataset.ignore_label, *sorted(unknown))
    ]


def _label_name(label: int, dataset: Dataset) -> str:
    if label == dataset.ignore_label:
        is_class = label < dataset.num_classes
        return f"{dataset.class_names[label]} (ignored)" if is_class else f"ignored ({label})"
    return dataset.class_names[label] if label < dataset.num_classes else f"{label}: no class"


# === Histograms ===


def _histograms(splits: Sequence[SplitSurvey]) -> list[_Histogram]:
    if not any(split.pictures for split in splits):
        return []
    histograms = []
    for title, axis in (("Width, pixels", 0), ("Height, pixels", 1)):
        edges = _round_edges([size[axis] for split in splits for size in split.sizes])
        counts = [_bin(split, lambda size, axis=axis: size[axis], edges) for split in splits]
        names = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(edges)]
        middle = f"{edges[len(edges) // 2]:g}" if len(edges) % 2 else ""
        histograms.append(
            _histogram(title, (f"{edges[0]:g}", middle, f"{edges[-1]:g}"), names, counts, splits)
        )
    # A square picture lies in the middle of a bar, not on an edge.
    step = 2 * ASPECT_OCTAVES / HISTOGRAM_BINS
    centres = np.arange(HISTOGRAM_BINS + 1) * step - ASPECT_OCTAVES
    edges = np.append(centres - step / 2, centres[-1] + step / 2)
    counts = [
        _bin(
            split,
            lambda size: np.clip(math.log2(size[0] / size[1]), -ASPECT_OCTAVES, ASPECT_OCTAVES),
            edges,
        )
        for split in splits
    ]
    names = [f"about {2**centre:.2f}" for centre in centres]
    ends = 2**ASPECT_OCTAVES
    axis = (f"1 : {ends} upright", "square", f"{ends} : 1 wide")
    histograms.append(_histogram("Width : height", axis, names, counts, splits))
    level = 256 // BRIGHTNESS_BINS
    names = [f"{level * i} to {level * (i + 1) - 1}" for i in range(BRIGHTNESS_BINS)]
    counts = [split.measures.brightness for split in splits]
    axis = ("0 dark", "128", "255 bright")
    histograms.append(_histogram("Mean brightness", axis, names, counts, splits))
    return histograms


def _histogram(
    title: str,
    axis: tuple[str, str, str],
    names: Sequence[str],
    counts: Sequence[np.ndarray],
    splits: Sequence[SplitSurvey],
) -> _Histogram:
    """Bars as shares of each split, so that splits of different sizes can be compared."""
    shares = [count / max(1, split.pictures) for count, split in zip(counts, splits, strict=True)]
    highest = max(share.max() for share in shares)
    bars = [
        (name, [(share[i] / highest, _percent(share[i], " %")) for share in shares])
        for i, name in enumerate(names)
    ]
    return _Histogram(title, axis, bars)


def _round_edges(values: Sequence[int]) -> np.ndarray:
    """Edges of about `HISTOGRAM_BINS` bins whose steps are 1, 2 or 5 times a power of 10."""
    low, high = min(values), max(values)
    rough = max(1, (high + 1 - low) / HISTOGRAM_BINS)
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return np.arange(low // step, high // step + 2) * step


def _bin(
    split: SplitSurvey, value: Callable[[tuple[int, int]], float], edges: np.ndarray
) -> np.ndarray:
    """How many pictures have the value of their size between two edges."""
    values = [value(size) for size in split.sizes]
    return np.histogram(values, edges, weights=list(split.sizes.values()))[0]


# === Pictures ===


def _card(shown: Shown, dataset: Dataset) -> dict:
    views = (("picture", shown.image), ("mask", shown.label), ("both", shown.overlay))
    return {
        "name": shown.name,
        "size": texts.size(*shown.size) if shown.size else "",
        # Boxes of one height for all three, as flat or as upright as the picture in reason.
        "shape": f"{min(1.5, max(0.8, shown.size[0] / shown.size[1])):.3f}" if shown.size else "1",
        "views": [(name, data_url(encoded) if encoded else "") for name, encoded in views],
        "legend": [
            {
                "name": _label_name(label, dataset),
                "color": _hex(dataset.palette[label]),
                "percent": _percent(share),
            }
            for label, share in shown.shares
        ],
        "notes": [
            (suspicion.reason, suspicion.detail, suspicion.reason in suspicions.GRAVE)
            for suspicion in shown.suspicions
        ],
    }


def _hex(color: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


def _percent(share: float, unit: str = "") -> str:
    return texts.percent(share, 1, unit)
