"""Many pictures through a model: batches in threads, results in the order of the pictures.

Each thread reads, asks and writes for a batch of its own, so that one decodes and encodes while
another computes, and no more is in memory than the batches that are under way.
"""

import dataclasses
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyvips

from components.prediction import files, overlays, results
from components.prediction.files import Found, PictureError
from components.prediction.model import Answer, Model
from components.prediction.results import Counts
from schemas import Dataset

MASKS, OVERLAYS = "masks", "overlays"
_In, _Out = TypeVar("_In"), TypeVar("_Out")


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """What became of one picture."""

    found: Found
    counts: Counts | None = None
    """None where there is an error."""
    error: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Places:
    """Where the results of a picture go: `masks/NAME.png` and `overlays/NAME.jpg`."""

    folder: Path
    dataset: Dataset | None
    """Whose colours the overlays have; None for none."""

    def mask(self, found: Found) -> Path:
        """The path of its mask."""
        return self.folder / MASKS / f"{found.target}.png"

    def overlay(self, found: Found) -> Path:
        """The path of its overlay."""
        return self.folder / OVERLAYS / f"{found.target}.jpg"

    def write_overlay(self, found: Found, source: bytes | str, ids_HW, counts: Counts) -> None:
        """Draws and writes the overlay, if there is to be one.

        Args:
            found: the picture.
            source: its file, or the path of one.
            ids_HW: the mask, uint8, an array or what is indexed as one.
            counts: of the whole mask.

        Raises:
            PictureError: the picture cannot be drawn.
        """
        if self.dataset is None:
            return
        try:
            small = overlays.shrunk_picture(source, counts.width, counts.height)
        except pyvips.Error as error:
            raise PictureError(
                f"expected a picture to lay colours over, got {_line(error)}"
            ) from error
        ids_HW = overlays.shrunk_ids(ids_HW)
        drawn = overlays.overlay(small, ids_HW, counts.pixels, self.dataset)
        files.write(self.overlay(found), drawn)


def predict(
    model: Model, found: Sequence[Found], places: Places, *, batch: int, workers: int
) -> Iterator[Done]:
    """Masks and overlays of pictures, in their order.

    Args:
        model: that answers.
        found: the pictures.
        places: where the results go; they are overwritten.
        batch: pictures of one call.
        workers: threads, each with a batch.

    Raises:
        ConfigError: a result cannot be written.
    """
    batches = (found[start : start + batch] for start in range(0, len(found), batch))

    def one(own: Sequence[Found]) -> list[Done]:
        return _predict_batch(model, own, places)

    yield from itertools.chain.from_iterable(in_threads(one, batches, workers))


def in_threads(
    function: Callable[[_In], _Out], values: Iterable[_In], workers: int
) -> Iterator[_Out]:
    """As `map`, some values ahead of who takes the results, and no more than that in memory."""
    pool, waiting = ThreadPoolExecutor(workers), deque()
    try:
        for value in values:
            waiting.append(pool.submit(function, value))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def default_workers() -> int:
    """One thread a core; two at least, for one waits for the disk."""
    return max(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)


def ask(
    model: Model, encoded: Sequence[bytes | PictureError], *, confidence: bool
) -> Iterator[Answer]:
    """The answer to each picture file, or to what was wrong with it already."""
    good = [one for one in encoded if isinstance(one, bytes)]
    answers = iter(model.segment_each(good, confidence=confidence) if good else ())
    for one in encoded:
        yield next(answers) if isinstance(one, bytes) else Answer(b"", str(one))


def _predict_batch(model: Model, own: Sequence[Found], places: Places) -> list[Done]:
    encoded = [_read(found) for found in own]
    answers = ask(model, encoded, confidence=model.has_confidence)
    return [
        Done(found, error=answer.error)
        if answer.error
        else _write(model, found, file, answer, places)
        for found, file, answer in zip(own, encoded, answers, strict=True)
    ]


def _read(found: Found) -> bytes | PictureError:
    try:
        return files.as_served(files.read(found.path))
    except PictureError as error:
        return error


def _write(model: Model, found: Found, file: bytes, answer: Answer, places: Places) -> Done:
    mask = results.opened(answer.mask)
    confidence = results.opened(answer.confidence) if answer.confidence else None
    counts = results.count(mask, confidence, len(model.class_names))
    try:
        places.write_overlay(found, file, np.asarray(mask), counts)
    except PictureError as error:
        return Done(found, error=str(error))
    files.write(places.mask(found), answer.mask)
    return Done(found, counts)


def _line(error: pyvips.Error) -> str:
    """What libvips says last, in one line."""
    detail = (error.detail or str(error)).strip().splitlines()
    return detail[-1] if detail else "nothing that says why"
