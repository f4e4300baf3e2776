"""What a mask says in numbers: one row a picture and class, which add up to its pixels."""

import csv
import dataclasses
import io
import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from PIL import Image

from components.storage import folders

CLASSES, ERRORS = "classes.csv", "errors.csv"
_CLASS_COLUMNS = (
    *("picture", "width", "height", "class_id", "class_name"),
    *("pixels", "share", "mean_confidence"),
)
_ERROR_COLUMNS = ("picture", "error")
_ROWS = 256


@dataclasses.dataclass(frozen=True, slots=True)
class Counts:
    """The classes of one mask."""

    width: int
    height: int
    pixels: np.ndarray
    """int64 `[C]`."""
    confidence: np.ndarray | None = None
    """float64 `[C]`, the sum over the class's pixels of their confidence, in [0, 1] each; None
    where the model does not say it."""

    def rows(self, class_names: Sequence[str]) -> Iterator[tuple]:
        """Of the classes that are there, by id: id, name, pixels, share, mean confidence."""
        for label in np.flatnonzero(self.pixels):
            count = int(self.pixels[label])
            sure = "" if self.confidence is None else f"{self.confidence[label] / count:.4f}"
            share = f"{count / (self.width * self.height):.6g}"
            yield int(label), class_names[label], count, share, sure


def opened(png: bytes) -> Image.Image:
    """A PNG that the model made, however large: how large a picture may be was asked before."""
    image = Image.open(io.BytesIO(png), formats=("PNG",))
    image.load()
    return image


def count(mask: Image.Image, confidence: Image.Image | None, num_classes: int) -> Counts:
    """The classes of a mask.

    Args:
        mask: grey, class ids.
        confidence: as large, 255 for certain; None where it is not known.
        num_classes: of the model.
    """
    pixels, sums = np.zeros(num_classes, np.int64), np.zeros(num_classes)
    for ids, sure in _strips(mask, confidence):
        pixels += np.bincount(ids, minlength=num_classes)
        if sure is not None:
            sums += np.bincount(ids, weights=sure, minlength=num_classes)
    return Counts(*mask.size, pixels, None if confidence is None else sums / 255)


def _strips(
    mask: Image.Image, confidence: Image.Image | None
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Some rows at a time: to count takes eight bytes a pixel."""
    ids_HW = np.asarray(mask)
    sure_HW = None if confidence is None else np.asarray(confidence)
    for top in range(0, len(ids_HW), _ROWS):
        rows = slice(top, top + _ROWS)
        yield ids_HW[rows].ravel(), None if sure_HW is None else sure_HW[rows].ravel()


class Tables:
    """`classes.csv` and, if a picture failed, `errors.csv`: they appear when all is written.

    What was there of an earlier command is replaced, or removed where nothing failed this time.
    Rows go to the disk as they come.

    Args:
        folder: to write to; made if it is not there.
        class_names: of the model, by id.

    Raises:
        ConfigError: nothing can be written there.
    """

    def __init__(self, folder: Path, class_names: Sequence[str]):
        self._folder, self._class_names = folder, class_names
        ending = f".{uuid.uuid4().hex}.part"
        self._parts = {name: folder / f".{name}{ending}" for name in (CLASSES, ERRORS)}
        self.failed = 0

    def __enter__(self) -> "Tables":
        with folders.disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._files = {
                name: part.open("w", newline="", encoding="utf-8")
                for name, part in self._parts.items()
            }
        self._writers = {name: csv.writer(file) for name, file in self._files.items()}
        self._writers[CLASSES].writerow(_CLASS_COLUMNS)
        self._writers[ERRORS].writerow(_ERROR_COLUMNS)
        return self

    def add(self, picture: str, counts: Counts) -> None:
        """The rows of one picture."""
        for label, *row in counts.rows(self._class_names):
            self._writers[CLASSES].writerow((picture, counts.width, counts.height, label, *row))

    def add_error(self, picture: str, error: str) -> None:
        """The row of a picture that has no mask."""
        self.failed += 1
        self._writers[ERRORS].writerow((picture, error))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            with folders.disk_errors(self._folder):
                for file in self._files.values():
                    file.close()
                if kind is None:
                    os.replace(self._parts[CLASSES], self._folder / CLASSES)
                    if self.failed:
                        os.replace(self._parts[ERRORS], self._folder / ERRORS)
                    else:
                        (self._folder / ERRORS).unlink(missing_ok=True)
        finally:
            for part in self._parts.values():
                part.unlink(missing_ok=True)
