"""What is too large for memory, in files: pixels by rows and columns, blocks by number.

The files have no name: even of a process that is killed none is left. Plain reads and writes, not
mapped into memory: what the system keeps of them it can let go.
"""

import os
import tempfile
from pathlib import Path

import numpy as np


class Plane:
    """Pixels uint8 `[height, width, channels]` in a file, written and read as rectangles.

    Args:
        folder: whose disk the file is on.
        height: in pixels.
        width: in pixels.
        channels: bytes of a pixel.
    """

    def __init__(self, folder: Path, height: int, width: int, channels: int):
        self.folder = folder
        self.shape = (height, width, channels)
        self._file = tempfile.TemporaryFile(dir=folder)
        os.truncate(self._file.fileno(), height * width * channels)

    @property
    def name(self) -> str:
        """A path that this process can open the file by."""
        return f"/dev/fd/{self._file.fileno()}"

    def write(self, top: int, left: int, pixels_HWC: np.ndarray) -> None:
        """Writes a rectangle."""
        _, width, channels = self.shape
        if left == 0 and pixels_HWC.shape[1] == width:
            _write_all(
                self._file.fileno(), np.ascontiguousarray(pixels_HWC), top * width * channels
            )
            return
        for row, pixels in enumerate(np.ascontiguousarray(pixels_HWC), top):
            _write_all(self._file.fileno(), pixels, (row * width + left) * channels)

    def read(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """Reads a rectangle, uint8 `[height, width, channels]`."""
        channels = self.shape[2]
        rows = b"".join(
            os.pread(self._file.fileno(), width * channels, (row * self.shape[1] + left) * channels)
            for row in range(top, top + height)
        )
        return np.frombuffer(rows, np.uint8).reshape(height, width, channels)

    def picked(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Single pixels, uint8 `[len(rows), len(columns), channels]`."""
        _, width, channels = self.shape
        found = [self.read(int(row), 0, 1, width)[0, columns] for row in rows]
        return np.stack(found).reshape(len(rows), len(columns), channels)

    def close(self) -> None:
        """Gives the room back."""
        self._file.close()


class Blocks:
    """Arrays float32 by number, in a file; all have room for as many values.

    Args:
        folder: whose disk the file is on.
        values: the most of one block.
    """

    def __init__(self, folder: Path, values: int):
        self._bytes = 4 * values
        self._file = tempfile.TemporaryFile(dir=folder)

    def write(self, number: int, array: np.ndarray) -> None:
        """Writes a block, in place of what it was."""
        _write_all(self._file.fileno(), np.ascontiguousarray(array), number * self._bytes)

    def read(self, number: int, shape: tuple[int, ...]) -> np.ndarray:
        """Reads a block of that shape."""
        array = np.empty(shape, np.float32)
        view, start = memoryview(array).cast("B"), number * self._bytes
        while len(view):
            count = os.preadv(self._file.fileno(), [view], start)
            if not count:
                raise EOFError(f"block {number} was not written")
            view, start = view[count:], start + count
        return array

    def close(self) -> None:
        """Gives the room back."""
        self._file.close()


def _write_all(descriptor: int, array: np.ndarray, start: int) -> None:
    view = memoryview(array).cast("B") if array.size else memoryview(b"")
    while len(view):
        count = os.pwrite(descriptor, view, start)
        view, start = view[count:], start + count
