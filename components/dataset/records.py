"""TFRecords with the feature keys of the official DeepLab code: writing, finding, a first look.

Keys as in `research/deeplab/datasets/build_data.py` of tensorflow/models.
"""

import dataclasses
import glob
import gzip
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from components.errors import DataError
from components.storage.folders import MANIFEST, not_writable, unfinished

IMAGE = "image/encoded"
LABEL = "image/segmentation/class/encoded"
FILENAME = "image/filename"
IMAGE_FORMAT = "image/format"
LABEL_FORMAT = "image/segmentation/class/format"
HEIGHT = "image/height"
WIDTH = "image/width"
CHANNELS = "image/channels"
KEYS = (IMAGE, LABEL, FILENAME, IMAGE_FORMAT, LABEL_FORMAT, HEIGHT, WIDTH, CHANNELS)
_KINDS = {key: "int64_list" if key in (HEIGHT, WIDTH, CHANNELS) else "bytes_list" for key in KEYS}
"""What the feature of each key holds, one value of it."""

_GZIP = b"\x1f\x8b\x08"
_READ_BYTES = 2**20


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
        ConfigError: see `unfinished`.
    """
    with unfinished(folder) as new:
        counts = {}
        for split, records in splits.items():
            names = [f"{split}-{i:05d}-of-{shards:05d}.tfrecord" for i in range(shards)]
            count = 0
            try:
                writers = [tf.io.TFRecordWriter(str(new / name)) for name in names]
                for count, record in enumerate(records, start=1):
                    writers[(count - 1) % shards].write(record.serialize())
                for writer in writers:
                    writer.close()
            except tf.errors.OpError as error:
                raise not_writable(folder, tensorflow_reason(error)) from error
            if not count:
                raise DataError(
                    f"expected at least one record in split '{split}'; got none; "
                    "to fix, check the list of pictures of that split"
                )
            counts[split] = {"records": count}
        (new / MANIFEST).write_text(json.dumps({"source": source, "splits": counts}, indent=2))


def is_current(folder: Path, source: str) -> bool:
    """Whether `folder` is a finished set of records made from the same `source`."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("source") == source


def record_files(folder: str | Path, pattern: str) -> list[str]:
    """The files in `folder` that match `pattern`, sorted."""
    return sorted(
        path
        for path in glob.glob(os.path.join(glob.escape(str(folder)), pattern))
        if not os.path.isdir(path)
    )


def read_examples(files: list[str]) -> Iterator[tf.train.Example]:
    """The records of `files`, one after the other.

    Raises:
        DataError: a file is not a TFRecord file, is cut off, or holds no `tf.train.Example`.
    """
    for path in files:
        try:
            for serialized in _dataset(path):
                yield tf.train.Example.FromString(serialized.numpy())
        except (tf.errors.OpError, DecodeError) as error:
            raise _unreadable(path, tensorflow_reason(error)) from error


def tensorflow_reason(error: Exception) -> str:
    """What TensorFlow says is wrong, without the name of its device and operation."""
    message = getattr(error, "message", None) or str(error) or type(error).__name__
    return re.sub(r"^\{\{.*?\}\} | \[Op:.*", "", message.splitlines()[0])


def _dataset(path: str) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(path, "GZIP" if path.endswith(".gz") else "", _READ_BYTES)


def _unreadable(path: str, reason: str) -> DataError:
    return DataError(
        f"expected a TFRecord file of tf.train.Example; got {path}, which cannot be read "
        f"({reason}); to fix, convert the data again"
    )


def check_split(folder: str | Path, pattern: str, split: str) -> None:
    """A look at the door: files match, are whole, and start with a record of the official keys.

    The gate of the pipeline checks every record; this finds in seconds what would otherwise be
    found minutes later, or end in an engine's own error.

    Raises:
        DataError: no file matches, a file is not TFRecord or damaged, or a key is missing.
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
        _check_compression(path)
        example = next(read_examples([path]), None)
        _check_whole(path)
        if example is not None:
            empty = False
            _check_features(example, path)
    if empty:
        raise DataError(
            f"expected at least one record in the {split} split; got {len(files)} empty file(s) "
            f"in {folder}; to fix, convert the data again"
        )


def _check_compression(path: str) -> None:
    """Beam and TensorFlow both go by the name.

    Raises:
        DataError: the name promises what the file is not, or the other way round.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(len(_GZIP))
    except OSError as error:
        raise _unreadable(path, error.strerror) from error
    if start and (start == _GZIP) != path.endswith(".gz"):
        got, fix = (
            ("which is gzipped but not named so", "name it .gz")
            if start == _GZIP
            else ("which is not gzipped but named so", "take .gz from its name")
        )
        raise DataError(
            f"expected gzipped TFRecord files, and no others, to be named .gz; got {path}, {got}; "
            f"to fix, {fix}"
        )


def _check_whole(path: str) -> None:
    """Reads a file to its end, a gigabyte a second.

    TensorFlow compares the checksums, but takes a few bytes too many for the end. So the lengths
    are followed, too: 8 bytes of length, 4 of its checksum, the record, 4 of its checksum.

    Raises:
        DataError: the file is cut off, or bytes of it have changed.
    """
    count = 0
    try:
        _dataset(path).reduce(np.int64(0), lambda count, _: count + 1)
        with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
            while start := file.read(12):
                file.seek(int.from_bytes(start[:8], "little") + 3, os.SEEK_CUR)
                if len(start) < 12 or not file.read(1):
                    raise EOFError
                count += 1
    except tf.errors.OpError as error:
        raise _unreadable(path, tensorflow_reason(error)) from error
    except (EOFError, OSError, zlib.error) as error:
        raise _unreadable(path, f"it is cut off or damaged after {count} records") from error


def _check_features(example: tf.train.Example, path: str) -> None:
    """Compares the features of a record with the official ones.

    Raises:
        DataError: a key is missing, or has no value or several, or one of the wrong type.
    """
    features = example.features.feature
    missing = [key for key in KEYS if key not in features]
    if missing:
        raise DataError(
            f"expected the features {', '.join(KEYS)} in every record; got a record without "
            f"{', '.join(missing)} in {path}; to fix, write records with the official keys"
        )
    for key, kind in _KINDS.items():
        found = features[key].WhichOneof("kind")
        count = len(getattr(features[key], found).value) if found else 0
        if (found, count) != (kind, 1):
            got = f"{count} of type {found.removesuffix('_list')}" if found else "none"
            raise DataError(
                f"expected one value of type {kind.removesuffix('_list')} in {key}; got {got} in "
                f"{path}; to fix, write records with the official types"
            )
