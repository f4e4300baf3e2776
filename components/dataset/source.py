"""Turns what `--data-dir` points at into a folder of TFRecords that ExampleGen can ingest."""

import dataclasses
import glob
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

from absl import logging

from components.dataset import records
from components.dataset.building import build, conversion
from components.dataset.building.layout import find_layout
from components.dataset.sample import rendering as sample
from components.errors import ConfigError, DataError
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
    layout = None if newest else find_layout(dataset, folder)
    if layout is None:
        if not newest and not any(records.record_files(folder, patterns[s]) for s in SPLITS):
            raise _nothing_in(dataset, folder, patterns)
        _check_path(folder)
        for split in SPLITS:
            records.check_split(newest or folder, patterns[split], split)
        return RecordsSource(folder=folder, has_spans=newest is not None)
    digest = build.origin(layout, SPLITS, limits)
    target = output / f"{dataset.name}-{digest}"
    _check_path(target)

    def write() -> None:
        conversion.convert(layout, SPLITS, target, source=digest, limits=limits)

    return RecordsSource(folder=target, write=write, digest=digest)


def newest_span(folder: Path) -> Path | None:
    """The span of the highest number in a folder of spans; None where there is none.

    Raises:
        DataError: beside them lies what ExampleGen would take for one.
    """
    children = sorted(child for child in folder.glob("span-*") if child.is_dir())
    spans = [(int(match[1]), child) for child in children if (match := _SPAN.fullmatch(child.name))]
    others = [child.name for child in children if not _SPAN.fullmatch(child.name)]
    if spans and others:
        raise DataError(
            f"expected folders named span-1, span-2, … in {folder}; got {', '.join(others)} beside "
            "them; to fix, give it another name or move it away"
        )
    return max(spans)[1] if spans else None


def _nothing_in(dataset: Dataset, folder: Path, patterns: dict[str, str]) -> DataError:
    files = " and ".join(f"'{patterns[split]}'" for split in SPLITS)
    if dataset.source is None:
        return DataError(
            f"expected TFRecord files matching {files} in {folder}; got none; to fix, give the "
            "folder of them, or set data.train_pattern and data.val_pattern"
        )
    images = {pattern for split in dataset.source.splits.values() for pattern in split.images}
    return DataError(
        f"expected the pictures of {dataset.title} in {folder}, as {' and '.join(sorted(images))}, "
        f"or TFRecord files matching {files}; got neither; to fix, give the folder that holds "
        f"them, or correct schemas/{dataset.name}/dataset.toml"
    )


def _check_path(folder: Path) -> None:
    """ExampleGen takes the path for a part of its file pattern.

    Raises:
        DataError: it would find nothing there.
    """
    if glob.has_magic(str(folder)):
        raise DataError(
            f"expected a folder of TFRecords without *, ? and [ in its path; got {folder}; "
            "to fix, rename it"
        )


def _rendered(output: Path, limits: dict[str, int]) -> RecordsSource:
    if not all(limits.values()):
        raise ConfigError(
            "expected data.train_limit and data.val_limit above 0, for the sample is rendered; got "
            f"{limits['train']} and {limits['val']}; to fix, say how many pictures, or give "
            "--dataset and --data-dir"
        )
    origin = {"sample": source_fingerprint("components.dataset.sample.rendering"), "limits": limits}
    digest = hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()[:12]
    target = output / f"sample-{digest}"

    def write() -> None:
        splits = {split: sample.render_records(split, limits[split]) for split in SPLITS}
        records.write_records(target, splits, source=digest)

    return RecordsSource(folder=target, write=write, digest=digest)
