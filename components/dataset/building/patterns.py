"""Patterns of a data set's files, and the names of the pictures that they match.

Names are compared in Unicode's composed form (NFC): a disk of a Mac may hold an `é` as two letters.
"""

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

from components.dataset.building.formats import endings
from components.errors import DataError
from components.storage import folders


def composed(text: str) -> str:
    """The text in Unicode's composed form."""
    return unicodedata.normalize("NFC", text)


class Pattern:
    """`folder/*ending` of `schemas.Split`: the files below one folder, by name.

    Args:
        pattern: as in the description.
        find: gives the place of a folder of the data set; "" is where paths start.
    """

    def __init__(self, pattern: str, find: Callable[[str], Path]):
        before, _, ending = pattern.rpartition("*")
        folder, _, start = before.rpartition("/")
        self._folder = str(find(folder))
        self._ending, self._start = composed(ending), composed(start)
        self._endings = (self._ending.lower(),) if ending else endings()
        self._listed: dict[str, list[str]] | None = None
        self._others: list[str] = []
        self._folded: dict[str, str] | None = None
        self._stems: dict[str, str] | None = None

    def __str__(self) -> str:
        return self.place("*")

    def place(self, name: str) -> str:
        """Where the file of a name is expected."""
        folder, _, last = name.rpartition("/")
        return os.path.join(self._folder, folder, f"{self._start}{last}{self._ending}")

    def files(self, name: str) -> list[str]:
        """The files of a name, that with the ending as it is described first, then sorted."""
        found = self._by_name().get(name, [])
        if found or not self._ending:
            return found
        path = self.place(name)  # A folder, perhaps; said when it is read.
        return [path] if os.path.lexists(path) else []

    def names(self) -> list[str]:
        """All names that have files, sorted."""
        return sorted(self._by_name())

    def others(self) -> list[str]:
        """All other files below the folder, sorted, and what is hidden there."""
        self._by_name()
        return self._others

    def of_other_case(self, name: str) -> str:
        """A file whose name differs in small and large letters alone; empty where there is none."""
        if self._folded is None:
            self._folded = {
                found.casefold(): paths[0] for found, paths in reversed(self._by_name().items())
            }
        return "" if name in self._by_name() else self._folded.get(name.casefold(), "")

    def of_other_kind(self, name: str) -> str:
        """One of the other files that has this name but for its ending; empty where none has."""
        if self._stems is None:
            self._stems = {composed(os.path.splitext(path)[0]): path for path in self.others()}
        ending = self._ending[self._ending.rfind(".") :] if "." in self._ending else ""
        return self._stems.get(composed(self.place(name).removesuffix(ending)), "")

    def _by_name(self) -> dict[str, list[str]]:
        """The files of each name.

        Raises:
            DataError: a name is no text.
        """
        if self._listed is None:
            self._listed = {}
            files = sorted(folders.walk(self._folder))
            for path in files:
                name = self._name(path)
                if name is None:
                    self._others.append(path)
                    continue
                try:
                    name.encode()
                except UnicodeEncodeError as error:
                    raise DataError(
                        f"expected file names in UTF-8; got {os.fsencode(path)}; to fix, rename it"
                    ) from error
                self._listed.setdefault(name, []).append(path)
            for paths in self._listed.values():
                paths.sort(key=lambda path: not composed(path).endswith(self._ending))
            self._others = sorted(
                [*self._others, *_hidden({self._folder, *map(_folder_of, files)})]
            )
        return self._listed

    def _name(self, path: str) -> str | None:
        folder, last = os.path.split(composed(os.path.relpath(path, self._folder)))
        for ending in self._endings:
            # Cameras write .JPG.
            if last.lower().endswith(ending) and last.startswith(self._start):
                name = last[len(self._start) : len(last) - len(ending)]
                return f"{folder}/{name}" if folder else name
        return None


def existing_path(root: Path, path: str) -> Path | None:
    """A path below a root, however its letters are composed there; None where nothing is.

    Raises:
        DataError: it cannot be read.
    """
    found = root
    for part in Path(path).parts:
        if not folders.mode(found / part):
            if part.isascii() or not folders.is_folder(found):
                return None
            with folders.read_errors(found):
                alike = [name for name in os.listdir(found) if composed(name) == composed(part)]
            if not alike:
                return None
            part = min(alike)
        found /= part
    return found if folders.mode(found) else None


def _folder_of(path: str) -> str:
    return os.path.dirname(path)


def _hidden(places: set[str]) -> list[str]:
    """What is hidden in some folders; of a hidden folder its own path alone."""
    found = []
    for place in places:
        with folders.read_errors(place), os.scandir(place) as entries:
            found += [entry.path for entry in entries if entry.name.startswith(".")]
    return found
