"""Finds the pictures and masks of a data set in the folders that its `dataset.toml` describes."""

import contextlib
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from components import texts
from components.dataset.building.patterns import Pattern, composed, existing_path
from components.dataset.examination.findings import (
    DUPLICATE,
    IN_TWO_SPLITS,
    MISSING_MASK,
    MISSING_PICTURE,
    Finding,
)
from components.errors import DataError
from components.storage import folders
from schemas import Dataset, Split

_NAMED = 20


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """The files of one picture and its mask."""

    name: str
    """Its id: the path below the folder of the pictures, without the ending."""
    image: str
    label: str


@dataclasses.dataclass(frozen=True)
class Layout:
    """The folders of a data set, as found below a folder that the user gave.

    Args:
        dataset: with its source.
        roots: the folders that paths start from.
    """

    dataset: Dataset
    roots: tuple[Path, ...]

    def pairs(self, split: str, limit: int = 0) -> tuple[list[Pair], list[Finding]]:
        """The pairs of a split by name, and which pictures or masks are missing or there twice.

        Args:
            split: its name.
            limit: at most so many are taken, the first by name; 0 is all.

        Raises:
            DataError: a folder or a list of names is missing, or there is no picture at all.
        """
        described = self.dataset.source.splits[split]
        images = [Pattern(pattern, self.find) for pattern in described.images]
        masks = [Pattern(pattern, self.find) for pattern in described.masks]
        listed = self._names(split, described)
        findings = []
        if listed is None:
            listed = [name for pattern in images for name in pattern.names()]
            if not limit:
                findings += [
                    Finding(split, name, MISSING_PICTURE, _no_picture(name, images))
                    for name in self._orphans(split, masks, set(listed))
                ]
        without = set(self._read(described.without))
        names = sorted(name for name in listed if name not in without)[: limit or None]
        if not names:
            others = sum(len(pattern.others()) for pattern in images)
            raise DataError(
                f"expected pictures of the {split} split at "
                f"{' or '.join(str(pattern) for pattern in images)}; got none"
                + (f" but {texts.counted(others, 'other file')}" if others else "")
                + "; to fix, put them "
                f"there, or correct the dataset.toml of {self.dataset.name}"
            )
        pairs: dict[str, Pair] = {}
        for name in names:
            if name in pairs:
                findings.append(Finding(split, name, DUPLICATE, "this name occurs twice"))
                continue
            found = next((files for pattern in images if (files := pattern.files(name))), [])
            labels = next((files for pattern in masks if (files := pattern.files(name))), [])
            if not found:
                findings.append(Finding(split, name, MISSING_PICTURE, _expected(name, images)))
            elif not labels:
                findings.append(Finding(split, name, MISSING_MASK, _expected(name, masks)))
            else:
                pairs[name] = Pair(name, found[0], labels[0])
                findings += [
                    Finding(split, name, DUPLICATE, _beside(path, files[0]))
                    for files in (found, labels)
                    for path in files[1:]
                ]
        return list(pairs.values()), findings

    def _orphans(self, split: str, masks: list[Pattern], listed: set[str]) -> list[str]:
        """The names of masks that have a picture neither in this split nor in another, sorted."""
        orphans = {name for mask in masks for name in mask.names()} - listed
        if not orphans:
            return []
        # Splits may share a folder of masks, and a picture may have the name of another split's.
        taken = set()
        for other, described in self.dataset.source.splits.items():
            if other != split:
                pictures = {n for image in self._existing(described.images) for n in image.names()}
                for mask in self._existing(described.masks):
                    taken.update(path for n in pictures for path in mask.files(n))
        return sorted(
            name
            for name in orphans
            if any(not taken.issuperset(mask.files(name)) for mask in masks)
        )

    def not_taken(self, splits: Sequence[str]) -> dict:
        """Files beside the pictures of some splits that neither a pattern nor a list takes.

        Returns:
            `count`, and the first `names`, as paths below the root that they are in.

        Raises:
            DataError: see `pairs`.
        """
        described = self.dataset.source.splits
        beside = {
            path
            for split in splits
            for pattern in self._existing(described[split].images)
            for path in pattern.others()
        }
        if beside:
            for split in described.values():
                for pattern in self._existing((*split.images, *split.masks)):
                    beside -= {path for name in pattern.names() for path in pattern.files(name)}
                for path in (*split.names, *split.without):
                    with contextlib.suppress(MissingError):
                        beside.discard(str(self.find(path)))
        names = []
        for path in sorted(beside)[:_NAMED]:
            root = next(root for root in self.roots if Path(path).is_relative_to(root))
            names.append(os.fsencode(os.path.relpath(path, root)).decode(errors="replace"))
        return {"count": len(beside), "names": names}

    def _existing(self, patterns: Sequence[str]) -> list[Pattern]:
        """The patterns whose folders are there: not every split need be."""
        existing = []
        for pattern in patterns:
            with contextlib.suppress(MissingError):
                existing.append(Pattern(pattern, self.find))
        return existing

    def _names(self, split: str, described: Split) -> list[str] | None:
        """The names in the split's lists; several lists may name the same. None without lists.

        Raises:
            DataError: a list is missing, or there is no name in any.
        """
        if not described.names:
            return None
        lists = [self._read([path]) for path in described.names]
        if not any(lists):
            places = " and ".join(str(self.find(path)) for path in described.names)
            raise DataError(
                f"expected the names of the {split} pictures in {places}; got an empty file; "
                f"to fix, give the folder of a complete {self.dataset.title}"
            )
        names, seen = [], set()
        for listed in lists:
            names += [name for name in listed if name not in seen]
            seen.update(listed)
        return names

    def _read(self, paths: Sequence[str]) -> list[str]:
        """The names in text files, one a line; a name may hold spaces.

        Raises:
            DataError: a file is missing or cannot be read.
        """
        names = []
        for found in map(self.find, paths):
            try:
                # Editors of Windows put a mark before the first line.
                lines = found.read_text(encoding="utf-8-sig").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise DataError(
                    f"expected a text file in UTF-8 with the names of pictures; got {found} "
                    f"({getattr(error, 'strerror', None) or error}); to fix, write it anew"
                ) from error
            names += [composed(line.strip()) for line in lines if line.strip()]
        return names

    def find(self, path: str) -> Path:
        """A file or folder of the data set, in the first root that has it.

        Raises:
            DataError: none has, or a root cannot be read.
        """
        for root in self.roots:
            if found := existing_path(root, path):
                return found
        raise MissingError(
            f"expected {path} in {' or '.join(map(str, self.roots))}; got no such file; to fix, "
            f"give the folder of a complete {self.dataset.title}"
        )


class MissingError(DataError):
    """A file or folder of the data set is in none of the roots."""


# === What findings say ===


def _expected(name: str, patterns: Sequence[Pattern]) -> str:
    detail = f"expected a file {' or '.join(pattern.place(name) for pattern in patterns)}"
    other = next((path for pattern in patterns if (path := pattern.of_other_case(name))), "")
    return (
        f"{detail}; {other} differs in small and large letters, so rename one" if other else detail
    )


def _no_picture(name: str, images: Sequence[Pattern]) -> str:
    detail = "a mask has no picture of its name"
    for pattern in images:
        if other := pattern.of_other_case(name):
            return f"{detail}; {other} differs in small and large letters, so rename one"
        if other := pattern.of_other_kind(name):
            return f"{detail}; {other} is of no kind that is taken, so convert it"
    return detail


def _beside(path: str, first: str) -> str:
    detail = f"{path} beside {first}"
    if composed(path) == composed(first):
        detail += "; the names differ only in how letters are composed, so remove one"
    return detail


def find_layout(dataset: Dataset, folder: Path) -> Layout | None:
    """The layout of a data set below `folder`, which may be any folder on the way to a root.

    Returns None where there is no folder of any split's pictures, nor a picture where they lie in
    none, so that a caller can see whether it holds records.

    Raises:
        DataError: a folder cannot be read.
    """
    if dataset.source is None:
        return None
    with folders.read_errors(folder):
        children = sorted(path for path in folder.iterdir() if os.path.isdir(path))
    roots = []
    for root in dataset.source.roots:
        parts = Path(root).parts
        ways = [folder.joinpath(*parts[skip:]) for skip in range(len(parts) + 1)]
        roots += [way for way in ways if folders.is_folder(way) and way not in roots]
        # What was downloaded lies in a folder for each archive; others may be closed to us.
        ways = [way for child in children if (way := child / root) != child]
        roots += [way for way in ways if os.path.isdir(way) and way not in roots]
    layout = Layout(dataset, tuple(roots))
    for split in dataset.source.splits.values():
        for pattern in split.images:
            inner = pattern.partition("*")[0].rpartition("/")[0]
            places = [place for root in roots if (place := existing_path(root, inner))]
            if inner and any(map(folders.is_folder, places)):
                return layout
            if not inner and roots and Pattern(pattern, layout.find).names():
                return layout
    return None


def overlaps(
    dataset: Dataset, pairs: dict[str, list[Pair]]
) -> tuple[dict[str, list[Pair]], list[Finding]]:
    """Takes the pictures out that are in two splits which must not share any, and names them.

    Where files of different splits have the same name, such as `train/1.jpg` and `val/1.jpg`, all
    names get their split in front, so that a name stays the id of one picture.

    Args:
        dataset: with its source.
        pairs: of each split that is to be built.
    """
    splits = dataset.source.splits
    kept, findings, collide = {}, [], False
    for split, own in pairs.items():
        apart = [
            other
            for other in kept
            if split not in splits[other].overlaps and other not in splits[split].overlaps
        ]
        place_of = {pair.image: other for other in apart for pair in kept[other]}
        findings += [
            Finding(split, pair.name, IN_TWO_SPLITS, f"it is in {place_of[pair.image]} too")
            for pair in own
            if pair.image in place_of
        ]
        kept[split] = [pair for pair in own if pair.image not in place_of]
        taken = {pair.name for other in apart for pair in kept[other]}
        collide = collide or any(pair.name in taken for pair in kept[split])
    if collide:
        kept = {
            split: [dataclasses.replace(pair, name=f"{split}/{pair.name}") for pair in own]
            for split, own in kept.items()
        }
    return kept, findings
