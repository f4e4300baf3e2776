"""What records look like in numbers: one record's, and the sums over a split."""

import dataclasses
import math
from typing import Any

import numpy as np
from PIL import Image

SIZE_BINS = 32
"""Bins of the longer side, four for each doubling from 16 pixels on."""
BRIGHTNESS_BINS = 32
"""Bins of the mean of a picture's RGB values, from 0 to 255."""

_ROWS = 256
"""So many bytes are added up within 16 bits, and so many of their squares within 24."""
_FEW_RUNS = 16
"""Runs of pixels of a label are worth looking for where they are this long on average."""


@dataclasses.dataclass(frozen=True, slots=True)
class Measures:
    """Sums over records."""

    records: int
    pixels_256: np.ndarray
    """How many pixels each label from 0 to 255 has."""
    sizes: np.ndarray
    """How many pictures have a longer side in each of `SIZE_BINS`."""
    brightness: np.ndarray
    """How many pictures have a mean RGB value in each of `BRIGHTNESS_BINS`."""
    channels: np.ndarray
    """int64 `[6]`: the sums of all red, green and blue values, then of their squares."""

    def __add__(self, other: "Measures") -> "Measures":
        return Measures(
            self.records + other.records,
            self.pixels_256 + other.pixels_256,
            self.sizes + other.sizes,
            self.brightness + other.brightness,
            self.channels + other.channels,
        )

    def to_json(self) -> dict[str, Any]:
        """Lists in place of arrays."""
        return {
            "records": self.records,
            "pixels": self.pixels_256.tolist(),
            "sizes": self.sizes.tolist(),
            "brightness": self.brightness.tolist(),
            "channels": self.channels.tolist(),
        }


NOTHING = Measures(
    0,
    np.zeros(256, np.int64),
    np.zeros(SIZE_BINS, np.int64),
    np.zeros(BRIGHTNESS_BINS, np.int64),
    np.zeros(6, np.int64),
)


def measure(image_HW3: np.ndarray, label_HW: np.ndarray) -> Measures:
    """One record's part of the sums.

    Args:
        image_HW3: uint8.
        label_HW: uint8 class ids.
    """
    channels = channel_sums(image_HW3)
    mean = mean_value(channels, image_HW3.size)
    return Measures(
        1,
        count_labels(label_HW),
        np.bincount([size_bin(max(image_HW3.shape[:2]))], minlength=SIZE_BINS),
        np.bincount([brightness_bin(mean)], minlength=BRIGHTNESS_BINS),
        channels,
    )


def size_bin(longer: int) -> int:
    """The bin of a longer side in pixels, one of `SIZE_BINS`."""
    return min(max(round(4 * math.log2(longer / 16)), 0), SIZE_BINS - 1)


def brightness_bin(mean: float) -> int:
    """The bin of a picture's mean value in [0, 255], one of `BRIGHTNESS_BINS`."""
    return int(mean / 256 * BRIGHTNESS_BINS)


def mean_value(channels: np.ndarray, size: int) -> float:
    """The mean of all `size` RGB values of a picture, of what `channel_sums` gave."""
    return int(channels[:3].sum()) / size


def count_labels(label_HW: np.ndarray) -> np.ndarray:
    """int64 `[256]`: how many pixels of a uint8 mask each label has."""
    labels = label_HW.reshape(-1)
    is_end = labels[1:] != labels[:-1]
    if np.count_nonzero(is_end) * _FEW_RUNS > labels.size:
        # Four times as fast as `bincount`, which makes 64-bit numbers of all pixels first.
        return np.array(Image.fromarray(label_HW).histogram(), np.int64)
    # A mask is few areas: four times as fast again.
    ends = np.append(np.flatnonzero(is_end), labels.size - 1)
    return np.bincount(labels[ends], np.diff(ends, prepend=-1), 256).astype(np.int64)


def channel_sums(image_HW3: np.ndarray) -> np.ndarray:
    """Of a uint8 picture, exactly; see `Measures.channels`."""
    values = image_HW3.reshape(-1)
    whole = values.size // (3 * _ROWS) * (3 * _ROWS)
    # 16 bits, and the whole numbers of a float32, hold so few values: 20 times as fast as 64 bits.
    block = values[:whole].reshape(_ROWS, -1)
    sums = block.sum(axis=0, dtype=np.uint16)
    block = block.astype(np.float32)
    squares = np.einsum("rc,rc->c", block, block)
    rest = values[whole:].reshape(-1, 3).astype(np.int64)
    return np.concatenate(
        [
            sums.reshape(-1, 3).sum(axis=0, dtype=np.int64) + rest.sum(axis=0),
            squares.astype(np.int64).reshape(-1, 3).sum(axis=0) + (rest**2).sum(axis=0),
        ]
    )


def from_json(values: dict[str, Any]) -> Measures:
    """What `Measures.to_json` gave; reports of older pushed models have no `channels`: zeros."""
    return Measures(
        values["records"],
        *(np.array(values[key], np.int64) for key in ("pixels", "sizes", "brightness")),
        np.array(values.get("channels", [0] * 6), np.int64),
    )
