"""What a data set is: classes, colours and the layout of its pictures, checked when made."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pydantic

Color = tuple[int, int, int]
"""Red, green and blue, each in [0, 255]."""

IGNORE_COLOR: Color = (224, 224, 192)
"""Colour of pixels that carry no class: the cream of PASCAL VOC's object borders."""


MASK_KINDS = ("ids", "colors")


class DatasetError(ValueError):
    """A data set that is unknown, or whose description contradicts itself."""


@dataclass(frozen=True)
class ClassInfo:
    """One class: its label id, its name, and the colour that it is drawn in."""

    id: int
    name: str
    color: Color


@dataclass(frozen=True, kw_only=True)
class Split:
    """Where the pictures and masks of one split lie.

    A pattern is `<folder>/*<ending>`: the star stands for the picture's name, which may hold
    subfolders; without an ending, as in `images/*`, any kind of picture file will do. All paths are
    looked up below the folders of `Source.roots`.
    """

    images: tuple[str, ...]
    """Patterns, tried in this order."""
    masks: tuple[str, ...]
    """Patterns, tried in this order; a `.mat` is a mask of SBD."""
    names: tuple[str, ...] = ()
    """Text files with one name a line; none: all pictures that match `images`."""
    without: tuple[str, ...] = ()
    """Text files with names to leave out."""
    overlaps: tuple[str, ...] = ()
    """Splits that may share pictures with this one."""


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A file to download: where it is and what it must be."""

    urls: tuple[str, ...]
    """Mirrors, tried in this order."""
    checksums: Mapping[str, str]
    """Hexadecimal digests by the name of the hash."""
    bytes: int | None = None
    """Its size; None where it is not published."""
    unpacked_bytes: int
    """What it may take unpacked; more is refused."""
    splits: tuple[str, ...] = ()
    """Splits that need it; none: all."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The layout of a data set's pictures and masks, and where they can be had."""

    roots: tuple[str, ...]
    """Folders that paths start from; the user may give any folder on the way to one."""
    masks: str
    """`ids`: one channel of class ids, grey or palette; `colors`: the colours of the classes."""
    ignore_colors: tuple[Color, ...]
    """Of masks in colours: what becomes the ignore label."""
    splits: Mapping[str, Split]
    """By name; `train` and `val` are what a pipeline learns from and measures on."""
    archives: tuple[Archive, ...] = ()
    """To download; none: the pictures must be there."""


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
    source: Source | None = None
    """Layout of the pictures; None where only records exist."""

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

        if self.source and self.source.masks == "colors":
            colors = [*self.source.ignore_colors, *(info.color for info in self.classes)]
            twice = {color for color in colors if colors.count(color) > 1}
            if twice:
                raise self._error(
                    "a colour of its own for each class and for what is ignored",
                    ", ".join("#{:02x}{:02x}{:02x}".format(*color) for color in sorted(twice))
                    + " several times",
                    "give each the colour that it has in the masks",
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


_JSON = pydantic.TypeAdapter(Dataset)


def to_json(dataset: Dataset) -> str:
    """The whole description on one line; `from_json` gives it back."""
    return _JSON.dump_json(dataset).decode()


def from_json(text: str) -> Dataset:
    """What `to_json` wrote.

    Raises:
        ValueError: it is something else, or describes what `Dataset` refuses.
    """
    return _JSON.validate_json(text)
