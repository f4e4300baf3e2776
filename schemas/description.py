"""What a data set is: classes, colours and the layout of its pictures, checked when made."""

import collections
import itertools
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pydantic

Color = tuple[int, int, int]
"""Red, green and blue, each in [0, 255]."""
ColorAlpha = tuple[int, int, int, int]
"""And how opaque, 0 for not at all."""

IGNORE_COLOR: Color = (224, 224, 192)
"""Colour of pixels that carry no class: the cream of PASCAL VOC's object borders."""
MAX_CLASSES = 256
"""A mask holds an id in one byte."""
_SEEN_APART = 16
"""How far two colours are to be from each other to be told apart."""

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
    ignore_colors: tuple[Color | ColorAlpha, ...]
    """Of masks in colours: what becomes the ignore label. Pixels that are not fully opaque have to
    be among them, with their alpha."""
    splits: Mapping[str, Split]
    """By name; `train` and `val` are what a pipeline learns from and measures on."""
    archives: tuple[Archive, ...] = ()
    """To download; none: the pictures must be there."""


@dataclass(frozen=True)
class Dataset:
    """Classes of a data set, checked at construction.

    Raises:
        DatasetError: unless ids count up from 0 to at most 255, names are unique, colours lie in
            [0, 255], and `ignore_label` is 0 (a class "unlabelled") or lies behind the last class,
            up to 255; masks in colours need a colour for each. All that is wrong is said at once.
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
        found = faults(self.classes, self.ignore_label, self.source)
        if found:
            raise DatasetError("\n".join(f"data set {self.name!r}: {fault}" for fault in found))

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

        The colours of the classes come first, by id. What is no class has `IGNORE_COLOR`, or
        another colour where a class looks like that.
        """
        colors = [info.color for info in self.classes]
        return (*colors, *[_apart(colors)] * (MAX_CLASSES - len(colors)))


def _apart(colors: Sequence[Color]) -> Color:
    """`IGNORE_COLOR`, or where one of the colours is near it what is farthest from all."""

    def distance(color: Color) -> int:
        return min(sum((a - b) ** 2 for a, b in zip(color, other, strict=True)) for other in colors)

    if distance(IGNORE_COLOR) >= _SEEN_APART**2:
        return IGNORE_COLOR
    return max(itertools.product(range(0, 256, 51), repeat=3), key=distance)


# === What is wrong with a description ===


def faults(
    classes: Sequence[ClassInfo] | None, ignore_label: int | None, source: Source | None
) -> list[str]:
    """All that is wrong, each as "expected …; got …; to fix, …".

    Args:
        classes: of the description; None if they could not be read, so are not judged.
        ignore_label: likewise.
        source: likewise, or None where there is none.
    """
    found = []
    if classes is not None:
        found += _class_faults(classes)
    if classes is not None and ignore_label is not None:
        found += _ignore_label_faults(len(classes), ignore_label)
    if classes is not None and source is not None and source.masks == "colors":
        found += _mask_color_faults(classes, source)
    return found


def _class_faults(classes: Sequence[ClassInfo]) -> Iterator[str]:
    ids = [info.id for info in classes]
    if len(ids) > MAX_CLASSES:
        yield _fault(
            f"at most {MAX_CLASSES} classes with ids 0 to {MAX_CLASSES - 1}, for a mask holds an "
            f"id in one byte; or {MAX_CLASSES - 1} and an ignore_label of {MAX_CLASSES - 1}",
            f"{len(ids)} classes",
            "merge classes, or leave rare ones to the ignore_label, in the masks too",
        )
    wrong = next((i for i, label in enumerate(ids) if label != i), None)
    if len(ids) < 2 or wrong is not None:
        yield _fault(
            "at least two classes with ids 0, 1, 2, … in this order",
            f"ids {ids}" if len(ids) < 10 else f"id {ids[wrong]} where {wrong} belongs",
            "renumber the classes, and the label maps with them",
        )
    names = collections.Counter(_plain(info.name) for info in classes)
    for info in classes:
        name = _plain(info.name)
        if not name or names[name] > 1:
            yield _fault(
                "a name of its own for each class",
                f"{info.name!r} for class {info.id}"
                + (f", and {names[name]} times in all" if name else ""),
                f"rename class {info.id}",
            )
        if len(info.color) != 3 or not all(0 <= part <= 255 for part in info.color):
            yield _fault(
                "colours of three parts in [0, 255]",
                f"{info.color} for class {info.id}",
                "correct the colour",
            )


def _ignore_label_faults(num_classes: int, ignore_label: int) -> Iterator[str]:
    last = MAX_CLASSES - 1
    if ignore_label == 0 or num_classes <= ignore_label <= last or num_classes > MAX_CLASSES:
        return
    if num_classes == MAX_CLASSES:
        yield _fault(
            f"an ignore_label of 0, for {MAX_CLASSES} classes leave no other id up to {last}",
            f"{ignore_label}",
            "merge two classes, in the masks too, or use 0 if class 0 means unlabelled",
        )
        return
    yield _fault(
        f"an ignore_label of 0 or in [{num_classes}, {last}], where no class is",
        f"{ignore_label}",
        f"use {last}, or 0 if class 0 means unlabelled",
    )


def _mask_color_faults(classes: Sequence[ClassInfo], source: Source) -> Iterator[str]:
    """Masks in colours must say which class a pixel has."""
    colors = collections.Counter([*source.ignore_colors, *(info.color for info in classes)])
    twice = sorted(color for color, count in colors.items() if count > 1)
    if twice:
        yield _fault(
            "a colour of its own for each class and for what is ignored",
            f"{', '.join(map(hex_color, twice))} several times",
            "give each the colour that it has in the masks",
        )


def hex_color(color: Color | ColorAlpha) -> str:
    """`#1a2b3c`, with alpha `#1a2b3c4d`."""
    return "#" + "".join(f"{part:02x}" for part in color)


def _plain(name: str) -> str:
    """A name as people compare it: without spaces around, letters composed in one way."""
    return unicodedata.normalize("NFC", name).strip()


def _fault(expected: str, got: str, fix: str) -> str:
    return f"expected {expected}; got {got}; to fix, {fix}"


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
