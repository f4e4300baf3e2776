"""Turns what `--data-dir` points at into a folder of TFRecords that ExampleGen can ingest.

Neither TensorFlow nor Beam is imported before records are converted, so that what is wrong with the
data is said at once.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from absl import logging

from components.dataset import records
from components.dataset.building.layout import find_layout
from components.dataset.building.origin import origin
from components.dataset.sample import rendering as sample
from components.dataset.spans import find_spans
from components.errors import ConfigError, DataError, PipelineError
from components.fingerprint import source_fingerprint
from components.storage import paths
from schemas import Dataset

SPLITS = ("train", "val")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordsSource:
    """Records that lie in `folder` already, or can be written there."""

    folder: Path
    write: Callable[[], None] | None = None
    """Writes them; None where they lie there."""
    digest: str
    """Of all that they are made from; of records that lie there, of every file's name, size and
    time."""
    spans: tuple[int, ...] = ()
    """Numbers of the newest spans, ascending, where `folder` holds `span-1/`, `span-2/`, … instead
    of the records themselves."""

    @property
    def is_ready(self) -> bool:
        """Whether the records are there."""
        return self.write is None or records.is_current(self.folder, self.digest)

    def ready(self) -> Path:
        """The folder, with the records in it.

        Raises:
            DataError: a picture or a mask cannot be used.
        """
        if not self.is_ready:
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
    window: int = 0,
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
        window: of spans, the newest so many are used; 0 means all.

    Raises:
        DataError: nothing usable lies at `source`, or records there are damaged or lack a key.
        ConfigError: records cannot go to `output`, or the sample lacks its limits.
    """
    output = output.resolve()
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
    spans = find_spans(str(folder), window)
    layout = None if spans else find_layout(dataset, folder)
    if layout is None:
        if not spans and not any(records.record_files(folder, patterns[s]) for s in SPLITS):
            raise _nothing_in(dataset, folder, patterns)
        _check_path(folder, DataError)
        holding = [Path(span) for span in spans.values()] or [folder]
        for each in holding:
            for split in SPLITS:
                records.check_split(each, patterns[split], split)
        return RecordsSource(folder=folder, digest=_digest(holding, patterns), spans=tuple(spans))
    digest = origin(layout, SPLITS, limits)
    target = output / f"{dataset.name}-{digest}"
    _check_path(target, ConfigError)

    def write() -> None:
        from components.dataset.building import conversion

        conversion.convert(layout, SPLITS, target, source=digest, limits=limits)

    return RecordsSource(folder=target, write=write, digest=digest)


def state(folder: str, patterns: Mapping[str, str], window: int) -> str:
    """What tells the records in a folder from others, for where they are used as they lie.

    Args:
        folder: of TFRecords, or of spans of them; here or in a bucket.
        patterns: file patterns by split.
        window: of spans, the newest so many are used; 0 means all.

    Raises:
        DataError: a pattern matches nothing, or a folder beside the spans could be taken for one.
    """
    holding = list(find_spans(folder, window).values()) or [folder]
    for each in holding:
        for split, pattern in patterns.items():
            if not records.record_files(each, pattern):
                raise DataError(
                    f"expected TFRecord files of the {split} split matching {pattern} in {each}; "
                    "got none; to fix, put them there, or check the folder and the patterns under "
                    "data"
                )
    return _digest(holding, patterns)


def _digest(holding: Sequence[str | Path], patterns: Mapping[str, str]) -> str:
    """A hash of the name, size and time of every file that the patterns match in some folders."""
    digest = hashlib.sha256()
    for folder in holding:
        for split in SPLITS:
            for path in records.record_files(folder, patterns[split]):
                size, time = paths.size_and_time(path)
                digest.update(f"{split} {path} {size} {time}\n".encode())
    return digest.hexdigest()[:12]


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
        f"them, or correct the dataset.toml of {dataset.name}"
    )


def _check_path(folder: Path, error: type[PipelineError]) -> None:
    """TFX and Beam take the path for a part of a file pattern.

    Raises:
        PipelineError: of the given kind, they would find nothing there.
    """
    if paths.has_glob(str(folder)):
        raise error(
            f"expected a folder of TFRecords without *, ?, [ and ] in its path; got {folder}; "
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
    _check_path(target, ConfigError)

    def write() -> None:
        splits = {split: sample.render_records(split, limits[split]) for split in SPLITS}
        records.write_records(target, splits, source=digest)

    return RecordsSource(folder=target, write=write, digest=digest)
