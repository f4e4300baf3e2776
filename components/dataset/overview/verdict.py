"""What stands out in a survey, said in sentences."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from components import texts
from components.dataset.examination import findings
from components.dataset.examination.distances import skew
from components.dataset.examination.findings import Finding
from components.dataset.overview import suspicions
from components.dataset.overview.survey import SplitSurvey, Survey
from schemas import Dataset

DOMINANT_SHARE = 0.8
"""From this share of the labelled pixels on, always answering this one class looks good."""
MUCH_IGNORED_SHARE = 0.25
"""From this share of ignored pixels on, they may be meant to be a class."""


@dataclasses.dataclass(frozen=True, slots=True)
class Remark:
    """A sentence of the verdict."""

    text: str
    grave_share: float = 0.0
    """Share of a split with which training would fail, or learn nothing of use."""


def verdict(survey: Survey, dataset: Dataset) -> list[Remark]:
    """What stands out, gravest first; empty where nothing does.

    Args:
        survey: what was counted.
        dataset: the classes that it was counted for.
    """
    remarks = []
    for name, split in survey.splits.items():
        own = [finding for finding in survey.repeats if finding.split == name]
        remarks += _unusable(name, split, own)
        if split.pictures:
            remarks += _labels(name, split, dataset)
    remarks += _never(survey, dataset)
    remarks += _shares(survey, dataset)
    remarks += _skew(survey, dataset)
    remarks += _doubtful(survey)
    return sorted(remarks, key=lambda remark: -remark.grave_share)


def _unusable(name: str, split: SplitSurvey, repeated: Sequence[Finding]) -> Iterator[Remark]:
    if not split.records:
        unread = "cannot be read" if split.reasons[findings.UNREADABLE] else "are empty"
        what = unread if split.files else "are missing"
        yield Remark(f"There is no picture in {name}: its files {what}.", 1)
        return
    files = split.reasons[findings.UNREADABLE]
    if files:
        yield Remark(
            f"{files} of {texts.counted(split.files, 'file')} of {name} cannot be read to the end.",
            files / split.files,
        )
    for reason, explanation in suspicions.GRAVE.items():
        count = split.reasons[reason]
        if count and reason not in (findings.UNREADABLE, findings.OUT_OF_RANGE):
            which = _named(reason, repeated)
            yield Remark(
                f"In {_of(count, split.records)} of {name}, {explanation}{which}.",
                count / split.records,
            )


def _named(reason: str, repeated: Sequence[Finding]) -> str:
    """Which records are there again, for they are shown in no picture."""
    own = [f"{f.filename} ({f.detail})" for f in repeated if f.cause == reason]
    return f": {texts.listed(own)}" if own else ""


def _labels(name: str, split: SplitSurvey, dataset: Dataset) -> Iterator[Remark]:
    """Labels that no class has, and masks without anything to tell apart."""
    unknown = [int(i) for i in unknown_labels(split, dataset)]
    if unknown:
        labels = texts.listed([f"{i} (in {split.occurrences_256[i]})" for i in unknown])
        count = split.reasons[findings.OUT_OF_RANGE]
        yield Remark(
            f"In {_of(count, split.records)} of {name}, the mask holds labels that no "
            f"class has: {labels}. Classes go from 0 to {dataset.num_classes - 1}, and "
            f"{dataset.ignore_label} is ignored.",
            count / split.records,
        )
    present = np.flatnonzero(split.class_pixels(dataset))
    if len(present) > 1 or unknown:
        return
    ignored = ignored_share([split], dataset)
    only = " but " + dataset.class_names[present[0]] if len(present) else ""
    hint = "Masks must hold the id of a class in each pixel, as its value."
    if ignored:
        hint = (
            f"{texts.percent(ignored)} of the pixels have label {dataset.ignore_label}, which is "
            f"ignored; if {dataset.ignore_label} marks a class in these masks, it must become "
            "the id of that class."
        )
    yield Remark(f"The masks of {name} hold no class{only}. {hint}", 1)


def _never(survey: Survey, dataset: Dataset) -> Iterator[Remark]:
    """Classes without a single pixel."""
    learnt = [i for i in range(dataset.num_classes) if i != dataset.ignore_label]
    never = {
        name: [i for i in learnt if not split.pixels_256[i]]
        for name, split in survey.splits.items()
        if split.pictures
    }
    # A split with one class or none is left to `_labels`.
    never = {name: ids for name, ids in never.items() if len(ids) < len(learnt) - 1}
    nowhere = [i for i in learnt if len(never) > 1 and all(i in ids for ids in never.values())]
    places = {"any split": nowhere}
    places |= {name: [i for i in ids if i not in nowhere] for name, ids in never.items()}
    for place, ids in places.items():
        if ids:
            names = texts.listed([dataset.class_names[i] for i in ids])
            verb = "occurs" if len(ids) == 1 else "occur"
            yield Remark(f"{len(ids)} of {len(learnt)} classes never {verb} in {place}: {names}.")


def _shares(survey: Survey, dataset: Dataset) -> Iterator[Remark]:
    splits = list(survey.splits.values())
    pixels_C = sum(split.class_pixels(dataset) for split in splits)
    if np.count_nonzero(pixels_C) > 1:
        share = pixels_C.max() / pixels_C.sum()
        if share >= DOMINANT_SHARE:
            name = dataset.class_names[int(pixels_C.argmax())]
            yield Remark(f"{texts.percent(share)} of the labelled pixels are {name}.")
    ignored = ignored_share(splits, dataset)
    if ignored >= MUCH_IGNORED_SHARE:
        yield Remark(
            f"{texts.percent(ignored)} of the pixels are ignored (label {dataset.ignore_label})."
        )


def _skew(survey: Survey, dataset: Dataset) -> Iterator[Remark]:
    measures = {name: split.measures for name, split in survey.splits.items()}
    lines = skew(measures, dataset.num_classes, dataset.ignore_label)
    if lines:
        yield Remark(f"A run is going to warn of {texts.listed(lines)}.")


def _doubtful(survey: Survey) -> Iterator[Remark]:
    counts = {
        reason: sum(split.reasons[reason] for split in survey.splits.values())
        for reason in suspicions.DOUBTFUL
    }
    found = [f"{reason} ({count})" for reason, count in counts.items() if count]
    if found:
        yield Remark(f"Worth a look: {', '.join(found)}.")


def unknown_labels(split: SplitSurvey, dataset: Dataset) -> np.ndarray:
    """Labels in the masks that neither a class has nor what is ignored, ascending."""
    labels = np.flatnonzero(split.pixels_256)
    return labels[(labels >= dataset.num_classes) & (labels != dataset.ignore_label)]


def ignored_share(splits: Sequence[SplitSurvey], dataset: Dataset) -> float:
    """Share of all pixels that have the ignore label; 0 without pixels."""
    pixels_256 = sum(split.pixels_256 for split in splits)
    return float(pixels_256[dataset.ignore_label] / max(1, pixels_256.sum())) if splits else 0.0


def _of(count: int, total: int) -> str:
    records = texts.counted(total, "record")
    return f"all {records}" if count == total > 1 else f"{count} of {records}"
