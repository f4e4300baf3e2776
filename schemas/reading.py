"""Reads `dataset.toml`."""

import re
import tomllib
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from schemas.description import (
    MASK_KINDS,
    Archive,
    ClassInfo,
    Color,
    ColorAlpha,
    Dataset,
    DatasetError,
    Source,
    Split,
    faults,
)

_Value = TypeVar("_Value")
_HEX_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_HEX_COLOR_ALPHA = re.compile(r"#[0-9a-fA-F]{8}")


def read(directory: Path) -> Dataset:
    """Reads the data set that `dataset.toml` in `directory` describes; named as the directory.

    Raises:
        DatasetError: if the file is missing, no TOML in UTF-8, incomplete, or contradicts itself.
    """
    path = directory / "dataset.toml"
    try:
        # Editors of Windows put a mark before the first line.
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"expected a TOML file {path} in UTF-8; got: {error}; to fix, save it as UTF-8"
        ) from error
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DatasetError(
            f"expected a TOML file {path}; got: {error}; to fix, start from a copy of another's"
        ) from error
    wrong = _Faults()
    keys = {"title", "licence", "ignore_label", "classes", "source"}
    wrong.kept(_known, path, "the file", table, keys)
    entries = wrong.kept(_field, path, table, "classes", list)
    classes = [wrong.kept(_class_info, path, entry) for entry in entries or ()]
    read = {
        "title": wrong.kept(_field, path, table, "title", str),
        "licence": wrong.kept(_field, path, table, "licence", str),
        "ignore_label": wrong.kept(_field, path, table, "ignore_label", int),
        "classes": None if entries is None or None in classes else tuple(classes),
        "source": _source(path, table["source"], wrong) if "source" in table else None,
    }
    if wrong.messages:
        found = faults(read["classes"], read["ignore_label"], read["source"])
        raise DatasetError("\n".join([*wrong.messages, *(f"{path}: {fault}" for fault in found)]))
    return Dataset(name=directory.name, **read)


class _Faults:
    """What could not be read so far, so that all of it is said at once."""

    def __init__(self):
        self.messages: list[str] = []

    def kept(self, read: Callable[..., _Value], *arguments: object) -> _Value | None:
        """What `read` gives; None where it raises, and the message is kept."""
        try:
            return read(*arguments)
        except DatasetError as error:
            self.messages.append(str(error))
            return None


def _source(path: Path, table: object, wrong: _Faults) -> Source | None:
    keys = {"roots", "masks", "ignore_colors", "splits", "archives"}
    wrong.kept(_known, path, "source", table, keys)
    if not isinstance(table, Mapping):
        return None
    before = len(wrong.messages)
    described = wrong.kept(_field, path, table, "splits", dict) or {}
    splits = {name: wrong.kept(_split, path, name, entry) for name, entry in described.items()}
    for name, split in splits.items():
        unknown = set(split.overlaps) - set(splits) if split else ()
        if unknown:
            wrong.messages.append(
                f"{path}: expected source.splits.{name}.overlaps to name other splits; got "
                f"{sorted(unknown)}; to fix, choose among {', '.join(splits)}"
            )
    if described and not {"train", "val"} <= set(splits):
        wrong.messages.append(
            f"{path}: expected source.splits with train and val; got {', '.join(splits)}; to fix, "
            "add [source.splits.train] and [source.splits.val]"
        )
    masks = table.get("masks", "ids")
    if masks not in MASK_KINDS:
        wrong.messages.append(
            f"{path}: expected source.masks to be {' or '.join(MASK_KINDS)}; got {masks!r}; "
            "to fix, say what the masks' pixels hold"
        )
    read = {
        "roots": wrong.kept(_strings, path, table, "roots", ("",)),
        "ignore_colors": wrong.kept(_ignore_colors, path, table),
        "archives": wrong.kept(_archives, path, table),
    }
    if len(wrong.messages) > before:
        return None
    return Source(masks=masks, splits=splits, **read)


def _ignore_colors(path: Path, table: Mapping[str, object]) -> tuple[Color | ColorAlpha, ...]:
    return tuple(
        _ignore_color(path, text) for text in _strings(path, table, "ignore_colors", default=())
    )


def _archives(path: Path, table: Mapping[str, object]) -> tuple[Archive, ...]:
    entries = _field(path, table, "archives", list) if "archives" in table else ()
    return tuple(_archive(path, entry) for entry in entries)


def _split(path: Path, name: str, table: object) -> Split:
    _known(
        path, f"source.splits.{name}", table, {"images", "masks", "names", "without", "overlaps"}
    )
    for key in ("images", "masks"):
        for pattern in _strings(path, table, key):
            if pattern.count("*") != 1:
                raise DatasetError(
                    f"{path}: expected source.splits.{name}.{key} such as 'folder/*.png', with one "
                    f"star for the picture's name; got {pattern!r}; to fix, write the star"
                )
    return Split(
        images=_strings(path, table, "images"),
        masks=_strings(path, table, "masks"),
        names=_strings(path, table, "names", default=()),
        without=_strings(path, table, "without", default=()),
        overlaps=_strings(path, table, "overlaps", default=()),
    )


def _archive(path: Path, table: object) -> Archive:
    _known(
        path, "source.archives", table, {"urls", "checksums", "bytes", "unpacked_bytes", "splits"}
    )
    return Archive(
        urls=_strings(path, table, "urls"),
        checksums=_field(path, table, "checksums", dict),
        bytes=_field(path, table, "bytes", int) if "bytes" in table else None,
        unpacked_bytes=_field(path, table, "unpacked_bytes", int),
        splits=_strings(path, table, "splits", default=()),
    )


def _known(path: Path, where: str, table: object, keys: set[str]) -> None:
    """Refuses what is no table, and misspelt keys, which would be silently without effect."""
    if not isinstance(table, Mapping):
        raise DatasetError(f"{path}: expected a table {where}; got {table!r}; to fix, write one")
    unknown = sorted(set(table) - keys)
    if unknown:
        raise DatasetError(
            f"{path}: expected only {', '.join(sorted(keys))} in {where}; got "
            f"{', '.join(unknown)}; to fix, correct or remove it"
        )


def _strings(
    path: Path, table: Mapping[str, object], key: str, default: tuple[str, ...] | None = None
) -> tuple[str, ...]:
    """One string or a list of strings as a tuple."""
    if key not in table and default is not None:
        return default
    value = table.get(key)
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        raise DatasetError(
            f"{path}: expected {key} to be a text or a list of texts; got {value!r}; "
            f"to fix, set {key}"
        )
    return tuple(values)


def _class_info(path: Path, entry: object) -> ClassInfo:
    if not isinstance(entry, Mapping):
        raise DatasetError(
            f"{path}: expected tables with id, name and color under classes; got {entry!r}; "
            'to fix, write { id = 0, name = "background", color = "#000000" }'
        )
    return ClassInfo(
        _field(path, entry, "id", int),
        unicodedata.normalize("NFC", _field(path, entry, "name", str)),
        _color(path, _field(path, entry, "color", str)),
    )


def _color(path: Path, text: str) -> Color:
    if not _HEX_COLOR.fullmatch(text):
        raise DatasetError(
            f"{path}: expected a color such as '#1a2b3c'; got {text!r}; "
            "to fix, write six hexadecimal digits"
        )
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue


def _ignore_color(path: Path, text: str) -> Color | ColorAlpha:
    """As `_color`, or with alpha; whatever lies below what is not seen is the same colour."""
    if not _HEX_COLOR_ALPHA.fullmatch(text):
        return _color(path, text)
    color = tuple(bytes.fromhex(text[1:]))
    return {0: (0, 0, 0, 0), 255: color[:3]}.get(color[3], color)


def _field(path: Path, table: Mapping[str, object], key: str, kind: type[_Value]) -> _Value:
    value = table.get(key)
    if type(value) is not kind:
        raise DatasetError(
            f"{path}: expected {key} of type {kind.__name__}; got {value!r} in {dict(table)}; "
            f"to fix, set {key}"
        )
    return value
