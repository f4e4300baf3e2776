"""What is known of each data set before its first record is read.

Every folder here is a data set: `dataset.toml` names its classes and their colours and says where
its pictures and masks lie, and `schema.pbtxt` states what a raw record has to hold (a TensorFlow
Metadata `Schema`). To add one's own data set, copy a folder and edit both files; no code is needed.
It may lie here or in a folder of one's own, which every function takes in `folders`. Nothing of the
project is imported here.
"""

import hashlib
from collections.abc import Sequence
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
    from_json,
    to_json,
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
    "from_json",
    "load",
    "read",
    "schema_dir",
    "schema_text",
    "to_json",
]

_ROOT = Path(__file__).parent
_DESCRIPTION = "dataset.toml"
_SCHEMA = "schema.pbtxt"


def available(folders: Sequence[Path | str] = ()) -> tuple[str, ...]:
    """Names of all data sets, sorted.

    Args:
        folders: of more data sets than the shipped ones, each in a folder of its name.

    Raises:
        DatasetError: a folder holds no data set, or a name occurs twice.
    """
    return tuple(sorted(_found(folders)))


def schema_dir(name: str, folders: Sequence[Path | str] = ()) -> Path:
    """The folder that describes a data set.

    Raises:
        DatasetError: there is no data set of this name; and see `available`.
    """
    found = _found(folders)
    if name not in found:
        raise DatasetError(
            f"expected a data set among {', '.join(sorted(found))}; got {name!r}; "
            f"to fix, choose one of these or add the folder {(folders or [_ROOT])[-1]}/{name}"
        )
    return found[name]


def schema_text(name: str, folders: Sequence[Path | str] = ()) -> str:
    """What `schema.pbtxt` of a data set says of its records.

    Raises:
        DatasetError: the file cannot be read; and see `schema_dir`.
    """
    return _read(schema_dir(name, folders) / _SCHEMA).decode()


def digest(name: str, folders: Sequence[Path | str] = ()) -> str:
    """A hash of both files of a data set, for the cache keys of what depends on them.

    Raises:
        DatasetError: a file cannot be read; and see `schema_dir`.
    """
    folder = schema_dir(name, folders)
    parts = [hashlib.sha256(_read(folder / file)).digest() for file in (_DESCRIPTION, _SCHEMA)]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def load(name: str, folders: Sequence[Path | str] = ()) -> Dataset:
    """Reads a data set by name.

    Raises:
        DatasetError: its description is wrong; and see `schema_dir`.
    """
    return read(schema_dir(name, folders))


def _found(folders: Sequence[Path | str]) -> dict[str, Path]:
    """The folder of each data set by its name, the shipped ones first."""
    found: dict[str, Path] = {}
    for folder in dict.fromkeys([_ROOT, *(Path(folder).resolve() for folder in folders)]):
        described = [path.parent for path in sorted(folder.glob(f"*/{_DESCRIPTION}"))]
        if not described:
            raise DatasetError(
                f"expected a folder of data sets, each in a folder of its name with a "
                f"{_DESCRIPTION}; got {folder}, which "
                f"{'holds none' if folder.is_dir() else 'is no folder'}; to fix, give the folder "
                "that holds them"
            )
        for path in described:
            if path.name in found:
                raise DatasetError(
                    f"expected a name of its own for each data set; got {found[path.name]} and "
                    f"{path}; to fix, rename one of them"
                )
            found[path.name] = path
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(
            f"expected a file {path}; got {error.strerror}; to fix, copy that of another data set"
        ) from error
