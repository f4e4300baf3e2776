"""Turns what `--data-dir` points at into a folder of TFRecords that ExampleGen can ingest."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from absl import logging

from components.dataset import records, sample, voc
from components.errors import DataError
from components.fingerprint import source_fingerprint
from schemas import Dataset


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordsSource:
    """Records that lie in `folder` already, or can be written there."""

    folder: Path
    splits: dict[str, Iterator[records.Record]] | None = None
    """What to write there, by split; None where the records lie there."""
    digest: str = ""
    """Of all that the splits are made from."""

    def ready(self) -> Path:
        """The folder, with the records in it.

        Raises:
            DataError: a picture or a mask cannot be used.
        """
        if self.splits is not None and not records.is_current(self.folder, self.digest):
            logging.info("Writing TFRecords to %s", self.folder)
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            records.write_records(self.folder, self.splits, source=self.digest)
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
        dataset: the data set's classes and ignore label.
        source: a folder of TFRecords (used where it lies), or a PASCAL VOC folder (converted),
            or None for the embedded sample (rendered).
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
            "to fix, add --data-dir VOCdevkit, or leave out --dataset for the embedded sample"
        )
    if source is None:
        origin = {"sample": source_fingerprint("components.dataset.sample"), "limits": limits}
        splits = {split: _render(split, limits[split]) for split in sample.SPLITS}
    else:
        folder = Path(source).resolve()
        if not folder.is_dir():
            raise DataError(
                f"expected a folder in --data-dir; got {source}, which "
                f"{'is not a folder' if folder.exists() else 'does not exist'}; "
                "to fix, give the folder of the TFRecords or of VOCdevkit"
            )
        root = voc.find_root(folder)
        if root is None:
            for split in sample.SPLITS:
                records.check_split(folder, patterns[split], split)
            return RecordsSource(folder=folder)
        names = {
            split: voc.picture_names(root, split)[: limits[split] or None]
            for split in sample.SPLITS
        }
        origin = {"voc": str(root), "names": names, "files": _file_stamp(root, names)}
        splits = {split: voc.read_pictures(root, names[split], dataset) for split in sample.SPLITS}
    digest = hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()[:12]
    return RecordsSource(folder=output / f"{dataset.name}-{digest}", splits=splits, digest=digest)


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


def _file_stamp(root: Path, names: dict[str, list[str]]) -> str:
    """A hash of size and time of every file used, so that replaced pictures are converted again."""
    digest = hashlib.sha256()
    for name in sorted({name for split in names.values() for name in split}):
        for path in (
            root / "JPEGImages" / f"{name}.jpg",
            root / "SegmentationClass" / f"{name}.png",
        ):
            if path.exists():
                status = os.stat(path)
                digest.update(f"{path.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
