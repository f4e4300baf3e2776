"""What is known of each data set before its first record is read.

Every folder here is a data set: `dataset.toml` names its classes and their colours and says where
its pictures and masks lie, and `schema.pbtxt` states what a raw record has to hold (a TensorFlow
Metadata `Schema`). To add one's own data set, copy a folder and edit both files; no code is needed.
Nothing of the project is imported here.
"""

import hashlib
from pathlib import Path

from schemas.description import (
    IGNORE_COLOR,
    Archive,
    ClassInfo,
    Color,
    Dataset,
    DatasetError,
    Source,
    Split,
)
from schemas.reading import read

__all__ = [
    "IGNORE_COLOR",
    "Archive",
    "ClassInfo",
    "Color",
    "Dataset",
    "DatasetError",
    "Source",
    "Split",
    "available",
    "digest",
    "load",
    "read",
    "schema_dir",
]

_ROOT = Path(__file__).parent


def available() -> tuple[str, ...]:
    """Names of all data sets, sorted."""
    return tuple(sorted(path.parent.name for path in _ROOT.glob("*/dataset.toml")))


def schema_dir(name: str) -> Path:
    """The folder that holds `schema.pbtxt` of a data set.

    Raises:
        DatasetError: if there is no data set of this name.
    """
    if name not in available():
        raise DatasetError(
            f"expected a data set among {', '.join(available())}; got {name!r}; "
            f"to fix, choose one of these or add the folder {_ROOT / name}"
        )
    return _ROOT / name


def digest(name: str) -> str:
    """A hash of both files of a data set, for the cache keys of what depends on them.

    Raises:
        DatasetError: if there is no data set of this name.
    """
    folder = schema_dir(name)
    files = [(folder / file).read_bytes() for file in ("dataset.toml", "schema.pbtxt")]
    return hashlib.sha256(b"".join(hashlib.sha256(file).digest() for file in files)).hexdigest()[
        :16
    ]


def load(name: str) -> Dataset:
    """Reads a data set of this package by name.

    Raises:
        DatasetError: if there is no such data set, or its description is wrong.
    """
    return read(schema_dir(name))
