"""TFRecords with the feature keys of the official DeepLab code: writing, finding, a first look.

Keys as in `research/deeplab/datasets/build_data.py` of tensorflow/models.
"""

import contextlib
import dataclasses
import glob
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

import tensorflow as tf

from components.errors import ConfigError, DataError

IMAGE = "image/encoded"
LABEL = "image/segmentation/class/encoded"
FILENAME = "image/filename"
IMAGE_FORMAT = "image/format"
LABEL_FORMAT = "image/segmentation/class/format"
HEIGHT = "image/height"
WIDTH = "image/width"
CHANNELS = "image/channels"
KEYS = (IMAGE, LABEL, FILENAME, IMAGE_FORMAT, LABEL_FORMAT, HEIGHT, WIDTH, CHANNELS)

MANIFEST = "manifest.json"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One labelled picture, encoded.

    `image` is a JPEG or PNG file, `label` a one-channel PNG whose grey values are class ids.
    """

    filename: str
    image: bytes
    image_format: str
    label: bytes
    height: int
    width: int

    def serialize(self) -> bytes:
        """The record as a serialized `tf.train.Example`."""

        def of_bytes(value: bytes) -> tf.train.Feature:
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

        def of_int(value: int) -> tf.train.Feature:
            return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

        features = {
            IMAGE: of_bytes(self.image),
            LABEL: of_bytes(self.label),
            FILENAME: of_bytes(self.filename.encode()),
            IMAGE_FORMAT: of_bytes(self.image_format.encode()),
            LABEL_FORMAT: of_bytes(b"png"),
            HEIGHT: of_int(self.height),
            WIDTH: of_int(self.width),
            CHANNELS: of_int(3),
        }
        return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def write_records(
    folder: Path, splits: dict[str, Iterable[Record]], *, source: str, shards: int = 4
) -> None:
    """Writes `<split>-00000-of-0000N.tfrecord` for every split; the folder appears whole or not.

    Args:
        folder: the folder to make. An existing one is replaced at the end.
        splits: the records of each split, consumed once and in order.
        source: what the records were made from; kept in the manifest, see `is_current`.
        shards: files per split; records go round robin.

    Raises:
        DataError: a split has no record.
    """
    with unfinished(folder) as new:
        counts = {}
        for split, records in splits.items():
            names = [f"{split}-{i:05d}-of-{shards:05d}.tfrecord" for i in range(shards)]
            writers = [tf.io.TFRecordWriter(str(new / name)) for name in names]
            count = 0
            for count, record in enumerate(records, start=1):
                writers[(count - 1) % shards].write(record.serialize())
            for writer in writers:
                writer.close()
            if not count:
                raise DataError(
                    f"expected at least one record in split '{split}'; got none; "
                    "to fix, check the list of pictures of that split"
                )
            counts[split] = {"records": count}
        (new / MANIFEST).write_text(json.dumps({"source": source, "splits": counts}, indent=2))


@contextlib.contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """A folder to write to that becomes `folder` when the context ends well, and vanishes if not.

    An existing `folder` is replaced.

    Raises:
        ConfigError: nothing can be written there.
    """
    new = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        new.mkdir(parents=True)
    except OSError as error:
        raise ConfigError(
            f"expected a folder that can be written; got {folder} ({error.strerror}); to fix, "
            "choose another one"
        ) from error
    try:
        yield new
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def is_current(folder: Path, source: str) -> bool:
    """Whether `folder` is a finished set of records made from the same `source`."""
    manifest = folder / MANIFEST
    return manifest.is_file() and json.loads(manifest.read_text())["source"] == source


def record_files(folder: str | Path, pattern: str) -> list[str]:
    """The files in `folder` that match `pattern`, sorted."""
    return sorted(path for path in glob.glob(os.path.join(folder, pattern)) if os.path.isfile(path))


def read_examples(files: list[str]) -> Iterator[tf.train.Example]:
    """The records of `files`, one after the other.

    Raises:
        DataError: a file is not a TFRecord file, is cut off, or holds no `tf.train.Example`.
    """
    for path in files:
        compression = "GZIP" if path.endswith(".gz") else ""
        try:
            for serialized in tf.data.TFRecordDataset(path, compression):
                yield tf.train.Example.FromString(serialized.numpy())
        except (tf.errors.OpError, ValueError) as error:
            raise DataError(
                f"expected a TFRecord file of tf.train.Example; got {path}, which cannot be "
                f"read ({str(error).splitlines()[0]}); to fix, convert the data again"
            ) from error


def check_split(folder: str | Path, pattern: str, split: str) -> None:
    """A look at the door: files match, and each starts with a record that has the official keys.

    The gate of the pipeline checks every record; this finds in a second what would otherwise be
    found minutes later.

    Raises:
        DataError: no file matches, a file is not TFRecord, or a key is missing.
    """
    files = record_files(folder, pattern)
    if not files:
        raise DataError(
            f"expected TFRecord files matching '{pattern}' for the {split} split in {folder}; "
            "got none; to fix, check the folder or set data."
            f"{split}_pattern"
        )
    empty = True
    for path in files:
        example = next(read_examples([path]), None)
        if example is None:
            continue
        empty = False
        missing = [key for key in KEYS if key not in example.features.feature]
        if missing:
            raise DataError(
                f"expected the features {', '.join(KEYS)} in every record; got a record without "
                f"{', '.join(missing)} in {path}; to fix, write records with the official keys"
            )
    if empty:
        raise DataError(
            f"expected at least one record in the {split} split; got {len(files)} empty file(s) "
            f"in {folder}; to fix, convert the data again"
        )
