"""TFRecord files in plain Python: read, written, and every checksum compared, without TensorFlow.

A record is 8 bytes of length, 4 of the length's checksum, the data, 4 of the data's checksum, all
little-endian; see `tensorflow/core/lib/io/record_writer.h`. A file may be gzipped as a whole.
"""

import contextlib
import gzip
import os
import struct
import zlib
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO

import google_crc32c

from components import texts

GZIP_ENDING = ".gz"
"""Of files that are gzipped; TensorFlow and Beam go by the name, too."""

_GZIP_START = b"\x1f\x8b\x08"
_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_HEADER_BYTES = _LENGTH.size + _CHECKSUM.size
_MASK_DELTA = 0xA282EAD8
_BUFFER_BYTES = 2**20


class TFRecordError(Exception):
    """A file is not TFRecord, is cut off, or bytes of it have changed."""


class Writer:
    """Writes records to a new file, byte for byte as `tf.io.TFRecordWriter` does; not gzipped."""

    def __init__(self, path: str | os.PathLike):
        self._file = open(path, "wb", buffering=_BUFFER_BYTES)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, record: bytes) -> None:
        """Appends one record."""
        for part in framed(record):
            self._file.write(part)


def framed(record: bytes) -> tuple[bytes, bytes, bytes]:
    """What a file has of one record, in three parts: for files that others open."""
    length = _LENGTH.pack(len(record))
    return length + _checksum(length), record, _checksum(record)


def read(path: str | os.PathLike) -> Iterator[bytes]:
    """The records of a file, one after the other; one at a time is in memory.

    Raises:
        TFRecordError: see there; what comes before the damage is given first.
        OSError: the file cannot be opened or read.
    """
    with open(path, "rb") as file:
        yield from read_opened(file, os.fspath(path), os.fstat(file.fileno()).st_size)


def read_opened(file: BinaryIO, path: str, size: int | None = None) -> Iterator[bytes]:
    """The same of a file that is open, wherever it lies.

    Args:
        file: at its start.
        path: whose name says whether it is gzipped.
        size: its bytes, if known: a length that promises more would be asked of memory first.
    """
    zipped = path.endswith(GZIP_ENDING)
    with gzip.open(file, "rb") if zipped else contextlib.nullcontext(file) as content:
        count, place = 0, 0
        while True:
            try:
                record = _next(content, place, None if zipped else size)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise TFRecordError(
                    f"it is cut off or damaged after {texts.counted(count, 'record')}"
                ) from error
            if record is None:
                return
            yield record
            count, place = count + 1, place + _HEADER_BYTES + len(record) + _CHECKSUM.size


def is_gzipped(path: str | os.PathLike) -> bool | None:
    """Whether a file is gzipped, whatever its name; None of an empty one.

    Raises:
        OSError: the file cannot be opened or read.
    """
    with open(path, "rb") as file:
        start = file.read(len(_GZIP_START))
    return start == _GZIP_START if start else None


def _next(file: BinaryIO, place: int, end: int | None) -> bytes | None:
    """The record at a place, None at the end of the file."""
    header = file.read(_HEADER_BYTES)
    if not header:
        return None
    if len(header) < _HEADER_BYTES:
        raise TFRecordError(f"truncated record at {place}")
    length = header[: _LENGTH.size]
    if _checksum(length) != header[_LENGTH.size :]:
        raise TFRecordError(f"corrupted record at {place}")
    (count,) = _LENGTH.unpack(length)
    if end is not None and count > end - place - _HEADER_BYTES - _CHECKSUM.size:
        raise TFRecordError(f"truncated record at {place}")
    record, checksum = file.read(count), file.read(_CHECKSUM.size)
    if len(record) < count or len(checksum) < _CHECKSUM.size:
        raise TFRecordError(f"truncated record at {place}")
    if _checksum(record) != checksum:
        raise TFRecordError(f"corrupted record at {place}")
    return record


def _checksum(content: bytes) -> bytes:
    """The CRC-32C, rotated and shifted, so that one of what holds one is no weak one."""
    crc = google_crc32c.value(content)
    return _CHECKSUM.pack(((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF)
