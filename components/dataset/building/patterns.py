"""Patterns of a data set's files, and the names of the pictures that they match."""

import os
from collections.abc import Callable
from pathlib import Path

from components.errors import DataError
from components.storage import folders

PICTURE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")


class Pattern:
    """`folder/*ending` of `schemas.Split`: the files below one folder, by name.

    Args:
        pattern: as in the description.
        find: gives the place of a folder of the data set; "" is where paths start.
    """

    def __init__(self, pattern: str, find: Callable[[str], Path]):
        before, _, self._ending = pattern.rpartition("*")
        folder, _, self._start = before.rpartition("/")
        self._folder = str(find(folder))
        self._endings = (self._ending,) if self._ending else PICTURE_ENDINGS
        self._listed: dict[str, list[str]] | None = None

    def __str__(self) -> str:
        return self.place("*")

    def place(self, name: str) -> str:
        """Where the file of a name is expected."""
        folder, _, last = name.rpartition("/")
        return os.path.join(self._folder, folder, f"{self._start}{last}{self._ending}")

    def files(self, name: str) -> list[str]:
        """The files of a name, sorted: at most one, but for several endings."""
        if self._ending:
            path = self.place(name)
            return [path] if os.path.lexists(path) else []
        return self._by_name().get(name, [])

    def names(self) -> list[str]:
        """All names that have files, sorted."""
        return sorted(self._by_name())

    def _by_name(self) -> dict[str, list[str]]:
        """The files of each name.

        Raises:
            DataError: a name is no text.
        """
        if self._listed is None:
            self._listed = {}
            for path in sorted(folders.walk(self._folder)):
                name = self._name(path)
                if name is None:
                    continue
                try:
                    name.encode()
                except UnicodeEncodeError as error:
                    raise DataError(
                        f"expected file names in UTF-8; got {os.fsencode(path)}; to fix, rename it"
                    ) from error
                self._listed.setdefault(name, []).append(path)
        return self._listed

    def _name(self, path: str) -> str | None:
        folder, last = os.path.split(os.path.relpath(path, self._folder))
        for ending in self._endings:
            # Cameras write .JPG.
            matches = last.endswith(ending) if self._ending else last.lower().endswith(ending)
            if matches and last.startswith(self._start):
                name = last[len(self._start) : len(last) - len(ending)]
                return f"{folder}/{name}" if folder else name
        return None
