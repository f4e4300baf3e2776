"""The mask of a picture larger than the network's canvas, from tiles at full resolution.

The scores of overlapping tiles are added up by their shares, see `tiles`, and the class of a pixel
is that of its highest sum. Memory depends on the tile alone: pixels, mask, and the rows of scores
that the next row of tiles adds to lie in files.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from components.prediction import files, png, tiles
from components.prediction.decoding import Upright
from components.prediction.results import Counts
from components.prediction.spill import Blocks, Plane
from components.prediction.threads import in_threads

_STRIP_BYTES = 1 << 20
_ROWS = 32
"""Of a tile that are looked at together: they stay near the processor."""


def segment(
    logits: Callable[[np.ndarray], np.ndarray],
    picture: Upright,
    ids: Plane,
    *,
    num_classes: int,
    canvas: int,
    overlap: float,
    workers: int,
    said: Callable[[int, int], object],
) -> Counts:
    """Finds the class of every pixel.

    Args:
        logits: uint8 `[B, h, w, 3]`, up to `canvas` each way, to float32 `[B, h, w, C]`.
        picture: its pixels.
        ids: where the classes go, one channel, as large as the picture is seen; its folder also
            takes what the next row of tiles needs, `4 * C` bytes for each pixel of the overlap.
        num_classes: C.
        canvas: what the network sees at once, in pixels.
        overlap: of tiles, see `tiles.axis`.
        workers: tiles that are asked for at once.
        said: is called with the tiles done, and all of them.
    """
    height, width = picture.size
    down, across = (tiles.axis(length, canvas, overlap) for length in (height, width))
    columns = range(len(across.starts))
    places = [(row, column) for row in range(len(down.starts)) for column in columns]

    def ask(place: tuple[int, int]) -> np.ndarray:
        row, column = place
        tile = picture.read(down.starts[row], across.starts[column], down.side, across.side)
        return logits(tile[np.newaxis])[0]

    found = Counts(width, height, np.zeros(num_classes, np.int64), np.zeros(num_classes))
    # A tile's rows times its columns is more than any block needs; the file has holes there.
    carried = Blocks(ids.folder, down.side * across.side * num_classes)
    try:
        answers = in_threads(ask, places, workers)
        for done, (place, scores) in enumerate(
            _summed(answers, places, down, across, carried), start=1
        ):
            _decide(scores, place, ids, found)
            said(done, len(places))
    finally:
        carried.close()
    return found


def _summed(
    answers: Iterator[np.ndarray],
    places: list[tuple[int, int]],
    down: tiles.Axis,
    across: tiles.Axis,
    carried: Blocks,
) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """The sums that no later tile adds to, float32 `[h, w, C]`, and the pixel that they start at.

    What lies to the right waits for the next tile in memory, and what lies below in `carried`.
    """
    right = None
    for (row, column), scores in zip(places, answers, strict=True):
        shares = down.shares(row)[:, None] * across.shares(column)
        scores = scores * shares[..., None]
        if column:
            scores[:, : right.shape[1]] += right
        top, left = down.starts[row], across.starts[column]
        end = across.end(column) - left
        right = scores[:, end:].copy()
        scores = scores[:, :end]
        if row:
            waiting = down.starts[row - 1] + down.side - top
            scores[:waiting] += carried.read(column, (waiting, *scores.shape[1:]))
        end = down.end(row) - top
        if end < down.side:
            carried.write(column, scores[end:])
        yield (top, left), scores[:end]


def _decide(scores_HWC: np.ndarray, place: tuple[int, int], ids: Plane, found: Counts) -> None:
    """Writes the classes of the highest scores, and counts them and their confidence."""
    top, left = place
    for first in range(0, len(scores_HWC), _ROWS):
        rows = scores_HWC[first : first + _ROWS]
        classes = rows.argmax(-1)
        highest = np.take_along_axis(rows, classes[..., None], -1)
        confidence = 1 / np.exp(rows - highest).sum(-1)
        size = len(found.pixels)
        found.pixels[:] += np.bincount(classes.ravel(), minlength=size)
        found.confidence[:] += np.bincount(classes.ravel(), confidence.ravel(), size)
        ids.write(top + first, left, np.uint8(classes)[..., None])


def write_png(ids: Plane, target: Path) -> None:
    """Writes class ids as a grey PNG, whole or not at all, some rows in memory at a time.

    Raises:
        ConfigError: nothing can be written there.
    """
    height, width, _ = ids.shape
    rows = max(1, _STRIP_BYTES // width)
    strips = (
        ids.read(top, 0, min(rows, height - top), width).tobytes() for top in range(0, height, rows)
    )
    with files.appearing(target) as part, part.open("wb") as file:
        png.write(file, width, height, strips)
