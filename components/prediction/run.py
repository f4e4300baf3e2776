"""Many pictures through a model: batches in threads, results in the order of the pictures.

Each thread reads, asks and writes for a batch of its own, so that one decodes and encodes while
another computes, and no more is in memory than the batches that are under way.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyvips

from components.prediction import decoding, files, large, overlays, results
from components.prediction.files import Found, PictureError
from components.prediction.model import Answer, Model
from components.prediction.results import Counts
from components.prediction.spill import Plane
from components.prediction.threads import in_threads
from components.storage import folders
from schemas import Dataset

MASKS, OVERLAYS = "masks", "overlays"


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

    def write_overlay(
        self,
        found: Found,
        source: bytes | str,
        picked: Callable[[np.ndarray, np.ndarray], np.ndarray],
        counts: Counts,
    ) -> None:
        """Draws and writes the overlay, if there is to be one.

        Args:
            found: the picture.
            source: its file, or the path of one.
            picked: rows and columns to the class ids there, uint8 `[len(rows), len(columns)]`.
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
                f"expected a picture to lay colours over, got {decoding.first_line(error)}"
            ) from error
        ids_HW = picked(*overlays.shown_places(counts.width, counts.height))
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


@dataclasses.dataclass(frozen=True, slots=True)
class Tiling:
    """How pictures larger than the canvas are cut."""

    overlap: float
    """See `tiles.axis`."""
    max_pixels: int
    """A larger picture is refused before it is decoded."""
    said: Callable[[int, int], object]
    """Is called with the tiles of a picture that are done, and all of them."""


def predict_tiled(
    model: Model, found: Sequence[Found], places: Places, tiling: Tiling, *, workers: int
) -> Iterator[Done]:
    """As `predict`, larger pictures by overlapping tiles; one picture after the other.

    A picture that fits the canvas is answered as without tiles.

    Args:
        model: see `Model.require_logits`.
        found: the pictures.
        places: where the results go, and what is too large for memory meanwhile.
        tiling: how.
        workers: tiles that are asked for at once.

    Raises:
        ConfigError: a result cannot be written.
    """
    for one in found:
        try:
            opened = decoding.open_picture(one.path, tiling.max_pixels)
            if max(opened.size) <= model.canvas_size:
                yield from _predict_batch(model, [one], places)
                continue
            with folders.disk_errors(places.folder):
                yield _predict_large(model, one, opened, places, tiling, workers)
        except PictureError as error:
            yield Done(one, error=str(error))


def _predict_large(
    model: Model,
    found: Found,
    opened: decoding.Opened,
    places: Places,
    tiling: Tiling,
    workers: int,
) -> Done:
    plane, upright = decoding.decode(opened, places.folder)
    ids = Plane(places.folder, *upright.size, 1)
    try:
        counts = large.segment(
            model.logits,
            upright,
            ids,
            num_classes=len(model.class_names),
            canvas=model.canvas_size,
            overlap=tiling.overlap,
            workers=workers,
            said=tiling.said,
        )
        places.write_overlay(found, opened.source, lambda y, x: ids.picked(y, x)[..., 0], counts)
        large.write_png(ids, places.mask(found))
    finally:
        plane.close()
        ids.close()
    return Done(found, counts)


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
        ids_HW = np.asarray(mask)
        places.write_overlay(found, file, lambda y, x: ids_HW[y][:, x], counts)
    except PictureError as error:
        return Done(found, error=str(error))
    files.write(places.mask(found), answer.mask)
    return Done(found, counts)
