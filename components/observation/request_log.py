"""The log of requests that a client or the stand-in server writes: JSON, a line for each picture.

No pixels, no bytes of pictures and no names of files are in it. The fields of a line:

    schema        1
    time          UTC, ISO 8601, when the answer was there
    model         the name that was asked
    asked         the version that was asked for: a number, a label, or null for the highest
    version       the number of the version that answered; null where that is not known
    width, height of the picture as it is seen, in pixels
    brightness    the mean of its RGB values, in [0, 255]
    class_pixels  how many pixels each class has in the mask, by its id
    confidence    the model's `mean_confidence`, in [0, 1]
    error         empty, or why there is no mask
    seconds       that the whole request took

What is not known of a picture is null, its measures where it cannot be decoded for example.
"""

import errno
import json
import os
import random
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from absl import logging

from components.errors import ConfigError

SCHEMA = 1
NO_ANSWER = "no answer"
"""The error of a picture whose request was refused, or met no server."""
_WAITING = 64
"""Requests that may wait to be measured; more wait themselves, so that memory stays flat."""
_MODE = os.O_WRONLY | os.O_APPEND | os.O_CREAT


class RequestLog:
    """Writes lines to a file, which other processes may write to as well, and which may be rotated.

    Each request is one write at the end of the file, which is opened for it: lines are never mixed,
    and a file that was renamed is followed by a new one. Pictures are decoded and measured in a
    thread of its own, in TensorFlow. A line that cannot be written fails nothing: the first such is
    said in the program's own log.

    Args:
        path: of the file; it is made if it is not there.
        share: of the requests that are logged, by chance, in (0, 1].

    Raises:
        ConfigError: the file cannot be written, or there is no such share.
    """

    def __init__(self, path: str | os.PathLike, *, share: float = 1.0):
        if not 0 < share <= 1:
            raise ConfigError(
                f"expected a share of the requests above 0, of at most 1; got {share:g}; to fix, "
                "give such a share, 1 for all"
            )
        self._path, self._share = os.fspath(path), share
        try:
            os.close(os.open(self._path, _MODE, 0o644))
        except OSError as error:
            raise ConfigError(
                f"expected to write a log of requests to {self._path}; got {error.strerror}; to "
                "fix, give another file"
            ) from error
        self._room = threading.BoundedSemaphore(_WAITING)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="request_log")
        self._is_torn = False
        self.lost = 0
        """How many lines could not be written."""

    def __enter__(self) -> "RequestLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def prepare(self) -> None:
        """Imports TensorFlow, which takes seconds, before the first request does."""
        self._worker.submit(_measuring).result()

    def close(self) -> None:
        """Returns when all that was added is written."""
        self._worker.shutdown()

    def add(
        self,
        model: str,
        asked: int | str | None,
        version: int | None,
        seconds: float,
        pictures: Sequence[bytes],
        outputs: Mapping[str, Sequence] | None,
    ) -> None:
        """Logs a request, or leaves it to the others where only a share is logged.

        Args:
            model: the name that was asked.
            asked: the number or label that was asked for; None for the highest.
            version: the number that answered; None where that is not known.
            seconds: that it took.
            pictures: their files.
            outputs: of the model, by name, in the order of the pictures; None for no answer.
        """
        if random.random() >= self._share:
            return
        common = {
            "schema": SCHEMA,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "model": model,
            "asked": asked,
            "version": version,
            "seconds": round(seconds, 6),
        }
        self._room.acquire()
        try:
            self._worker.submit(self._write, common, list(pictures), outputs)
        except RuntimeError:
            # It was closed: a server that is ending still answers what it has begun.
            self._room.release()
            self.lost += len(pictures)

    def _write(
        self,
        common: Mapping[str, Any],
        pictures: list[bytes],
        outputs: Mapping[str, Sequence] | None,
    ) -> None:
        try:
            rows = _measuring().rows(pictures, outputs)
            lines = [json.dumps({**common, **row}, separators=(",", ":")) + "\n" for row in rows]
            self._append("".join(lines).encode(), len(lines))
        except Exception:
            # Nobody waits for this thread; a request is answered, whatever becomes of its line.
            logging.exception("A request could not be logged")
        finally:
            self._room.release()

    def _append(self, text: bytes, count: int) -> None:
        try:
            file = os.open(self._path, _MODE, 0o644)
            try:
                # A part that a full disk took is ended, or the next line would be lost with it.
                text = b"\n" * self._is_torn + text
                written = os.write(file, text)
                if written:
                    self._is_torn = written < len(text)
                if written < len(text):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(file)
        except OSError as error:
            if not self.lost:
                logging.error(
                    "Requests are not logged to %s: %s. They are answered all the same; further "
                    "ones that are not logged are not reported.",
                    *(self._path, error.strerror),
                )
            self.lost += count


def _measuring() -> Any:
    # Imported here: who logs nothing needs no TensorFlow.
    from components.observation import measuring

    return measuring
