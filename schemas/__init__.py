"""What is known of each data set before its first record is read.

Every folder here is a data set: `dataset.toml` names its classes and their colours, and
`schema.pbtxt` states what a raw record has to hold (a TensorFlow Metadata `Schema`). To add one's
own data set, copy a folder and edit both files. Nothing of the project is imported here.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

__all__ = [
    "IGNORE_COLOR",
    "ClassInfo",
    "Color",
    "Dataset",
    "DatasetError",
    "available",
    "digest",
    "load",
    "read",
    "schema_dir",
]

Color = tuple[int, int, int]
"""Red, green and blue, each in [0, 255]."""

IGNORE_COLOR: Color = (224, 224, 192)
"""Colour of pixels that carry no class: the cream of PASCAL VOC's object borders."""

_ROOT = Path(__file__).parent
_Value = TypeVar("_Value")
_HEX_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


class DatasetError(ValueError):
    """A data set that is unknown, or whose description contradicts itself."""


@dataclass(frozen=True)
class ClassInfo:
    """One class: its label id, its name, and the colour that it is drawn in."""

    id: int
    name: str
    color: Color


@dataclass(frozen=True)
class Dataset:
    """Classes of a data set, checked at construction.

    Raises:
        DatasetError: unless ids count up from 0, names are unique, colours lie in [0, 255], and
            `ignore_label` is 0 (a class "unlabelled") or lies behind the last class, up to 255.
    """

    name: str
    """Name of the folder, and of the data set on the command line."""
    title: str
    """Name for people."""
    ignore_label: int
    """Label of pixels that neither the loss nor a metric counts."""
    classes: tuple[ClassInfo, ...]
    """All classes that the model has a logit for, by id."""
    licence: str = ""
    """A note on who may use the data for what."""

    def __post_init__(self) -> None:
        """Checks what `Raises` above lists."""
        ids = [info.id for info in self.classes]
        if len(ids) < 2 or ids != list(range(len(ids))):
            raise self._error(
                "at least two classes with ids 0, 1, 2, … in this order",
                f"ids {ids}",
                "renumber the classes, and the label maps with them",
            )
        names = [info.name for info in self.classes]
        for info in self.classes:
            if not info.name.strip() or names.count(info.name) > 1:
                raise self._error(
                    "a name of its own for each class",
                    f"{info.name!r} {names.count(info.name)} times",
                    f"rename class {info.id}",
                )
            if len(info.color) != 3 or not all(0 <= part <= 255 for part in info.color):
                raise self._error(
                    "colours of three parts in [0, 255]",
                    f"{info.color} for class {info.id}",
                    "correct the colour",
                )
        if self.ignore_label != 0 and not len(ids) <= self.ignore_label <= 255:
            raise self._error(
                f"an ignore_label of 0 or in [{len(ids)}, 255], where no class is",
                f"{self.ignore_label}",
                "use 255, or 0 if class 0 means unlabelled",
            )

    def _error(self, expected: str, got: str, fix: str) -> DatasetError:
        return DatasetError(
            f"data set {self.name!r}: expected {expected}; got {got}; to fix, {fix}"
        )

    @property
    def num_classes(self) -> int:
        """How many logits a model has, those of an ignored class included."""
        return len(self.classes)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names by class id."""
        return tuple(info.name for info in self.classes)

    @cached_property
    def palette(self) -> tuple[Color, ...]:
        """256 colours, one for every label a map can hold: `np.uint8(palette)[label_HW]`.

        The colours of the classes come first, by id. What is no class has `IGNORE_COLOR`.
        """
        colors = [info.color for info in self.classes]
        return (*colors, *[IGNORE_COLOR] * (256 - len(colors)))


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
    """A hash of what `dataset.toml` says, for the cache keys of what depends on it.

    Raises:
        DatasetError: if there is no data set of this name.
    """
    text = (schema_dir(name) / "dataset.toml").read_bytes()
    return hashlib.sha256(text).hexdigest()[:16]


def load(name: str) -> Dataset:
    """Reads a data set of this package by name.

    Raises:
        DatasetError: if there is no such data set, or its description is wrong.
    """
    return read(schema_dir(name))


def read(directory: Path) -> Dataset:
    """Reads the data set that `dataset.toml` in `directory` describes; named as the directory.

    Raises:
        DatasetError: if the file is missing, no TOML, incomplete, or contradicts itself.
    """
    path = directory / "dataset.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DatasetError(
            f"expected a TOML file {path}; got: {error}; to fix, start from a copy of another's"
        ) from error
    classes = _field(path, table, "classes", list)
    return Dataset(
        name=directory.name,
        title=_field(path, table, "title", str),
        licence=_field(path, table, "licence", str),
        ignore_label=_field(path, table, "ignore_label", int),
        classes=tuple(_class_info(path, entry) for entry in classes),
    )


def _class_info(path: Path, entry: object) -> ClassInfo:
    if not isinstance(entry, Mapping):
        raise DatasetError(
            f"{path}: expected tables with id, name and color under classes; got {entry!r}; "
            'to fix, write { id = 0, name = "background", color = "#000000" }'
        )
    color = _field(path, entry, "color", str)
    if not _HEX_COLOR.fullmatch(color):
        raise DatasetError(
            f"{path}: expected a color such as '#1a2b3c'; got {color!r}; "
            "to fix, write six hexadecimal digits"
        )
    red, green, blue = bytes.fromhex(color[1:])
    return ClassInfo(
        _field(path, entry, "id", int), _field(path, entry, "name", str), (red, green, blue)
    )


def _field(path: Path, table: Mapping[str, object], key: str, kind: type[_Value]) -> _Value:
    value = table.get(key)
    if type(value) is not kind:
        raise DatasetError(
            f"{path}: expected {key} of type {kind.__name__}; got {value!r} in {dict(table)}; "
            f"to fix, set {key}"
        )
    return value
