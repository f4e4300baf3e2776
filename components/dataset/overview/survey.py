"""Goes once through all records of a data set and keeps counts, and a few small pictures."""

import bisect
import collections
import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import logging
from PIL import Image

from components import pictures, texts
from components.dataset import records
from components.dataset.decoding.image import decode_image
from components.dataset.examination import findings
from components.dataset.examination.examine import Examined, examine, examine_record
from components.dataset.examination.findings import Finding
from components.dataset.examination.measures import NOTHING, Measures, count_labels
from components.dataset.examination.repeats import Place, picture_digest, repeats
from components.dataset.limits import DEFAULT
from components.dataset.overview.suspicions import (
    DOUBTFUL,
    GRAVE,
    Suspicion,
    background_id,
    suspicions,
)
from components.errors import DataError
from schemas import Dataset

THUMBNAIL_SIDE = 220
"""Long side of the pictures on the page, in pixels; about 25 kB for the three of a record."""
JPEG_QUALITY = 82
"""Of the pictures on the page."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One record on the page; what could not be read is empty."""

    name: str
    size: tuple[int, int] | None
    """Width and height."""
    image: bytes
    """JPEG."""
    label: bytes
    """PNG in the data set's colours, or the mask as it is where it holds no class ids."""
    overlay: bytes
    """JPEG; empty also where picture and mask differ in size."""
    shares: tuple[tuple[int, float], ...]
    """Labels in the mask and their share of its pixels, largest first."""
    suspicions: tuple[Suspicion, ...]


@dataclasses.dataclass(kw_only=True, slots=True)
class SplitSurvey:
    """Counts of one split; sums are over the pictures whose file and mask can both be decoded."""

    files: int
    records: int = 0
    """All, those that cannot be decoded included."""
    measures: Measures = NOTHING
    occurrences_256: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(256, np.int64))
    """In how many pictures each label occurs."""
    sizes: collections.Counter[tuple[int, int]] = dataclasses.field(
        default_factory=collections.Counter
    )
    """Pictures by width and height."""
    reasons: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    """How many records are suspicious for each reason."""
    suspicious_count: int = 0
    """Records, and files that cannot be read, with at least one reason."""
    suspicious: list[Shown] = dataclasses.field(default_factory=list)
    """The worst of each reason in turn, gravest reason first."""
    examples: list[Shown] = dataclasses.field(default_factory=list)
    """A sample over the whole split, by name."""

    @property
    def pictures(self) -> int:
        """How many can be decoded, picture and mask."""
        return self.measures.records

    @property
    def pixels_256(self) -> np.ndarray:
        """How many pixels each label has."""
        return self.measures.pixels_256

    def class_pixels(self, dataset: Dataset) -> np.ndarray:
        """How many pixels each class has, 0 where the ignore label is that of a class."""
        pixels_C = self.pixels_256[: dataset.num_classes].copy()
        if dataset.ignore_label < dataset.num_classes:
            pixels_C[dataset.ignore_label] = 0
        return pixels_C


@dataclasses.dataclass(frozen=True, slots=True)
class Survey:
    """What the page shows, by split."""

    splits: dict[str, SplitSurvey]
    repeats: tuple[Finding, ...] = ()
    """Pictures and names that occur more than once."""


def survey(
    splits: dict[str, list[str]],
    dataset: Dataset,
    *,
    examples_per_split: int = 24,
    suspicious_limit: int = 12,
) -> Survey:
    """Reads every record once, and keeps one record at a time beside counts and small pictures.

    What cannot be decoded is counted and listed, and the rest goes on. The examples do not depend
    on the order of the records, so the same data in other files gives the same page.

    Args:
        splits: TFRecord files by the name of the split.
        dataset: the data set's classes, colours and ignore label.
        examples_per_split: how many pictures of each split to show.
        suspicious_limit: how many suspicious ones of each split to show; all are counted.
    """
    places: dict[tuple[str, str], list[Place]] = collections.defaultdict(list)
    surveys = {
        name: _survey_split(name, files, dataset, examples_per_split, suspicious_limit, places)
        for name, files in splits.items()
    }
    found = repeats(places, list(splits), dataset)
    for split, cause, _ in {(finding.split, finding.cause, finding.filename) for finding in found}:
        surveys[split].reasons[cause] += 1
    return Survey(surveys, tuple(found))


def _survey_split(
    name: str,
    files: list[str],
    dataset: Dataset,
    examples: int,
    suspicious_limit: int,
    places: dict[tuple[str, str], list[Place]],
) -> SplitSurvey:
    split = SplitSurvey(files=len(files))
    sample = _Lowest(examples)
    worst = {reason: _Lowest(suspicious_limit) for reason in (*GRAVE, *DOUBTFUL)}

    def suspect(view: _View) -> None:
        # Picture and mask may both be missing; each reason counts a record once.
        by_reason = {suspicion.reason: suspicion for suspicion in view.suspicions}
        split.suspicious_count += bool(by_reason)
        for reason, suspicion in by_reason.items():
            split.reasons[reason] += 1
            worst[reason].add((suspicion.rank, view.order), view)

    for path in files:
        try:
            for example in records.read_examples([path]):
                found = examine_record(example, dataset.num_classes, dataset.ignore_label)
                view = _View(found, suspicions(found, dataset), dataset)
                split.records += 1
                suspect(view)
                places["name", found.filename].append((name, found.filename))
                if found.image is not None:
                    places["picture", picture_digest(found.image)].append((name, found.filename))
                if found.measures.records:
                    _count(found, split)
                    sample.add((view.order,), view)
        except DataError as error:
            detail = str(error.__cause__)
            logging.warning("%s cannot be read to its end: %s", path, detail)
            broken = examine(None, None, dataset.num_classes, dataset.ignore_label)
            broken = dataclasses.replace(broken, filename=Path(path).name)
            suspect(_View(broken, [Suspicion(findings.UNREADABLE, detail)], dataset))
    split.examples = sorted(sample.items(), key=lambda shown: shown.name)
    split.suspicious = _by_turns([kept.items() for kept in worst.values()], suspicious_limit)
    logging.info("Examined %s of %s", texts.counted(split.records, "record"), name)
    return split


def _count(found: Examined, split: SplitSurvey) -> None:
    split.measures += found.measures
    split.occurrences_256 += found.measures.pixels_256 > 0
    split.sizes[found.size] += 1


class _Lowest:
    """Keeps the items with the lowest keys, and makes only those that enter."""

    def __init__(self, limit: int):
        self._limit = limit
        self._entries: list[tuple[tuple, Shown]] = []

    def add(self, key: tuple, make: Callable[[], Shown]) -> None:
        """Keeps the item if its key is low enough."""
        if len(self._entries) < self._limit or (self._entries and key < self._entries[-1][0]):
            bisect.insort(self._entries, (key, make()), key=lambda entry: entry[0])
            del self._entries[self._limit :]

    def items(self) -> list[Shown]:
        """Those kept, lowest key first."""
        return [item for _, item in self._entries]


class _View:
    """Makes the pictures of a record when first asked for."""

    def __init__(self, found: Examined, suspicions: list[Suspicion], dataset: Dataset):
        self.suspicions = suspicions
        self._found, self._dataset = found, dataset
        self._shown: Shown | None = None

    @property
    def order(self) -> bytes:
        """What decides whether a record is shown: as good as chance, and always the same."""
        content = self._found.filename.encode() + (self._found.image or b"")
        return hashlib.blake2b(content, digest_size=8).digest()

    def __call__(self) -> Shown:
        if self._shown is None:
            self._shown = _show(self._found, self.suspicions, self._dataset)
        return self._shown


def _by_turns(lists: list[list[Shown]], limit: int) -> list[Shown]:
    """The first of each list, then the second of each, and so on; none twice."""
    chosen: list[Shown] = []
    for rank in range(limit):
        for kept in lists:
            if rank < len(kept) and not any(kept[rank] is shown for shown in chosen):
                chosen.append(kept[rank])
    return chosen[:limit]


def _show(found: Examined, suspicions: list[Suspicion], dataset: Dataset) -> Shown:
    image = label = overlay = b""
    shares: tuple[tuple[int, float], ...] = ()
    small = None
    if found.image_HW3 is not None:
        small = pictures.thumbnail(Image.fromarray(found.image_HW3), THUMBNAIL_SIDE)
        image = _jpeg(small)
    if any(suspicion.reason == findings.UNSUITABLE_MASK for suspicion in suspicions):
        mask = Image.fromarray(decode_image(found.label, DEFAULT).pixels.numpy())
        label = pictures.encode(pictures.thumbnail(mask, THUMBNAIL_SIDE), "PNG")
    if found.label_HW is not None:
        small_label = pictures.thumbnail(
            Image.fromarray(found.label_HW), THUMBNAIL_SIDE, smooth=False
        )
        label = pictures.colourise(np.asarray(small_label), dataset)
        pixels_256 = count_labels(found.label_HW)
        order = np.argsort(-pixels_256, kind="stable")
        shares = tuple(
            (int(i), float(pixels_256[i] / pixels_256.sum())) for i in order if pixels_256[i]
        )
        if found.size == found.label_size:
            background = background_id(dataset)
            clear = () if background is None else (background,)
            overlay = _jpeg(pictures.overlay(small, found.label_HW, dataset, clear=clear))
    return Shown(
        name=found.filename,
        size=found.size,
        image=image,
        label=label,
        overlay=overlay,
        shares=shares,
        suspicions=tuple(suspicions),
    )


def _jpeg(image: Image.Image) -> bytes:
    return pictures.encode(image, "JPEG", quality=JPEG_QUALITY)
