"""Turns what `--data-dir` points at into a folder of TFRecords that ExampleGen can ingest."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from absl import logging

from components.dataset import build, conversion, records, sample
from components.dataset.layout import find_layout
from components.errors import DataError
from components.fingerprint import source_fingerprint
from schemas import Dataset

SPLITS = ("train", "val")
_SPAN = re.compile(r"span-(\d+)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordsSource:
    """Records that lie in `folder` already, or can be written there."""

    folder: Path
    write: Callable[[], None] | None = None
    """Writes them; None where they lie there."""
    digest: str = ""
    """Of all that they are made from."""
    has_spans: bool = False
    """Whether `folder` holds `span-1/`, `span-2/`, … instead of the records themselves."""

    def ready(self) -> Path:
        """The folder, with the records in it.

        Raises:
            DataError: a picture or a mask cannot be used.
        """
        if self.write is not None and not records.is_current(self.folder, self.digest):
            logging.info("Writing TFRecords to %s", self.folder)
            self.write()
        return self.folder


def find_records(
    dataset: Dataset,
    source: str | None,
    output: Path,
    *,
    patterns: dict[str, str],
    limits: dict[str, int],
) -> RecordsSource:
    """Where the records of both splits come from; converts and renders nothing yet.

    Args:
        dataset: the data set's classes and layout.
        source: a folder of TFRecords or of spans of them (used where it lies), or of the data
            set's pictures (converted), or None for the embedded sample (rendered).
        output: where converted or rendered records go, `<output>/<data set>-<hash>`.
        patterns: file pattern of the "train" and "val" split.
        limits: at most so many pictures of the "train" and "val" split are converted or
            rendered; 0 means all of a folder.

    Raises:
        DataError: nothing usable lies at `source`.
    """
    if source is None and dataset.name != "sample":
        raise DataError(
            f"expected --data-dir with the pictures or TFRecords of {dataset.title}; got none; "
            f"to fix, add --data-dir DIR (python -m components.dataset build {dataset.name} makes "
            "one), or leave out --dataset for the embedded sample"
        )
    if source is None:
        return _rendered(output, limits)
    folder = Path(source).resolve()
    if not folder.is_dir():
        raise DataError(
            f"expected a folder in --data-dir; got {source}, which "
            f"{'is not a folder' if folder.exists() else 'does not exist'}; "
            "to fix, give the folder of the TFRecords or of the pictures"
        )
    newest = newest_span(folder)
    if newest or any(records.record_files(folder, patterns[split]) for split in SPLITS):
        for split in SPLITS:
            records.check_split(newest or folder, patterns[split], split)
        return RecordsSource(folder=folder, has_spans=newest is not None)
    layout = find_layout(dataset, folder)
    if layout is None:
        for split in SPLITS:
            records.check_split(folder, patterns[split], split)
    digest = build.origin(layout, SPLITS, limits)
    target = output / f"{dataset.name}-{digest}"

    def write() -> None:
        conversion.convert(layout, SPLITS, target, source=digest, limits=limits)

    return RecordsSource(folder=target, write=write, digest=digest)


def newest_span(folder: Path) -> Path | None:
    """The span of the highest number in a folder of spans; None where there is none."""
    spans = [
        (int(match[1]), child)
        for child in folder.iterdir()
        if child.is_dir() and (match := _SPAN.fullmatch(child.name))
    ]
    return max(spans)[1] if spans else None


def _rendered(output: Path, limits: dict[str, int]) -> RecordsSource:
    origin = {"sample": source_fingerprint("components.dataset.sample"), "limits": limits}
    digest = hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()[:12]
    target = output / f"sample-{digest}"

    def write() -> None:
        splits = {split: _render(split, limits[split]) for split in SPLITS}
        records.write_records(target, splits, source=digest)

    return RecordsSource(folder=target, write=write, digest=digest)


def _render(split: str, count: int) -> Iterator[records.Record]:
    for index in range(count):
        picture = sample.render_picture(index, split)
        image, label = sample.encode_picture(picture)
        height, width = picture.label_HW.shape
        yield records.Record(
            filename=f"{picture.name}.jpg",
            image=image,
            image_format="jpeg",
            label=label,
            height=height,
            width=width,
        )
