"""How a picture is cut into overlapping tiles, and how much each of them says of a pixel.

Along each axis tiles stand evenly, the first and the last at the picture's ends, so that none is
padded where the picture is as large as one. Near its edge a tile sees less than the whole picture
would show it: there its share is nothing. It rises smoothly around the middle of the overlap, over
half of what was asked for. A network that looks no farther than a quarter of the overlap therefore
answers as on the whole.
"""

import dataclasses
import math

import numpy as np

from components.errors import ConfigError

OVERLAP = 0.25
"""Of a tile's side."""
HIGHEST_OVERLAP = 0.5
"""With more, the shares of three tiles would change at the same pixel."""


@dataclasses.dataclass(frozen=True, slots=True)
class Axis:
    """The tiles along one axis of a picture."""

    starts: tuple[int, ...]
    """In pixels, growing."""
    side: int
    """Of each tile, in pixels: all of them are as large."""
    overlap: int
    """What was asked for, in pixels; neighbours have it, or more."""

    def end(self, index: int) -> int:
        """Where the pixels end that no later tile has a say in."""
        is_last = index + 1 == len(self.starts)
        return self.starts[index] + self.side if is_last else self.starts[index + 1]

    def shares(self, index: int) -> np.ndarray:
        """float32 `[side]`: what a tile says of its pixels; all that see one add up to 1."""
        shares = np.ones(self.side, np.float32)
        if index:
            shares *= self._rise(index)
        if index + 1 < len(self.starts):
            gap = self.starts[index + 1] - self.starts[index]
            shares[gap:] *= 1 - self._rise(index + 1)[: self.side - gap]
        return shares

    def _rise(self, index: int) -> np.ndarray:
        """float32 `[side]`: from 0 to 1 at the start of a tile, with no step and no corner."""
        shared = self.starts[index - 1] + self.side - self.starts[index]
        width = self.overlap / 2
        place = np.arange(self.side) + 0.5 - (shared - width) / 2
        place = np.clip(place / width, 0, 1) if width else np.float64(place > 0)
        return np.float32(place * place * (3 - 2 * place))


def axis(length: int, canvas: int, overlap: float) -> Axis:
    """The fewest tiles that cover an axis and overlap by at least so much.

    Args:
        length: of the picture, in pixels.
        canvas: what the network sees at once, in pixels.
        overlap: a share of `canvas`, at least; see `check_overlap`.
    """
    wanted = math.ceil(overlap * canvas)
    if length <= canvas:
        return Axis((0,), length, wanted)
    last = length - canvas
    gaps = -(-last // (canvas - wanted))
    return Axis(tuple(index * last // gaps for index in range(gaps + 1)), canvas, wanted)


def check_overlap(overlap: float) -> None:
    """Refuses what tiles cannot overlap by.

    Raises:
        ConfigError: it is not in [0, 0.5].
    """
    if not 0 <= overlap <= HIGHEST_OVERLAP:
        raise ConfigError(
            f"expected an overlap of tiles from 0 to {HIGHEST_OVERLAP}; got {overlap}; to fix, "
            f"leave out --overlap for {OVERLAP}"
        )
