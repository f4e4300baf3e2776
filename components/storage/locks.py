"""Locks between processes of one machine; the system frees them when a process ends, however."""

import contextlib
import fcntl
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from absl import logging

from components.errors import ConfigError
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


@contextlib.contextmanager
def only_run(place: str, lock: Path) -> Iterator[None]:
    """Refuses to go on while another run works on `place`; never waits.

    The file stays and says whose the lock is; the system frees it when the process ends, however.
    Children that are started do not inherit it, and what is forked lets go of it.

    Args:
        place: as a person knows it.
        lock: the file to lock; its folder is made.

    Raises:
        ConfigError: another process has it; it is named.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock_or_refuse(handle, place)
        _forget_when_forked(handle)
        os.ftruncate(handle, 0)
        os.pwrite(handle, _own_description().encode(errors="backslashreplace"), 0)
        yield
    finally:
        _held.discard(handle)
        os.close(handle)


def _lock_or_refuse(handle: int, place: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(handle, 4096, 0).decode(errors="replace") or "one that just starts"
        raise ConfigError(
            f"expected one run at a time in {place}; got another one at work, {holder}; to fix, "
            "wait for it or end it, or give this one a place of its own"
        ) from error
    except OSError as error:  # Not every file system has locks.
        logging.warning("%s cannot be locked (%s): start no other run", place, error.strerror)


def _own_description() -> str:
    started = f"{datetime.now():%Y-%m-%d %H:%M:%S}"
    command = shlex.join(sys.orig_argv)
    return f"process {os.getpid()} on {socket.gethostname()} since {started}: {command}"


_held: set[int] = set()
"""Descriptors of locks of this process."""


def _forget_when_forked(handle: int) -> None:
    """A lock lasts until the last copy of its descriptor is closed, in a fork's child too."""
    if not _held:
        os.register_at_fork(after_in_child=_close_held)
    _held.add(handle)


def _close_held() -> None:
    while _held:
        os.close(_held.pop())
