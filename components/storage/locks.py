"""Locks between processes of one machine; the system frees them when a process ends, however."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from absl import logging

from components.storage.paths import beside


@contextlib.contextmanager
def locked(target: Path) -> Iterator[None]:
    """Lets one process at a time make `target`; the others wait. The lock is `<target>.lock`."""
    path = beside(target, ".lock")
    while True:
        with path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logging.info("Waiting for another process that makes %s", target)
                fcntl.flock(file, fcntl.LOCK_EX)
            try:
                # The one that held it has removed the file, and a third may hold a new one.
                held = os.path.samestat(os.fstat(file.fileno()), path.stat())
            except FileNotFoundError:
                held = False
            if held:
                try:
                    yield
                finally:
                    path.unlink()
                return


@contextlib.contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Marks a folder as in use by this process, without a file beside it and without waiting.

    Raises:
        OSError: another process uses it, or the file system has no locks.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)
