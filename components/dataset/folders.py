"""Folders of records that appear whole or not at all, and what a disk can refuse."""

import contextlib
import errno
import fcntl
import glob
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from components.errors import ConfigError

MANIFEST = "manifest.json"
"""The file that a folder of records is known by; written last."""

_DISK_ERRORS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    *(errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR),
)


@contextlib.contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """A folder to write to that becomes `folder` when the context ends well, and vanishes if not.

    An existing `folder` is replaced, if it holds records or nothing. What processes that were
    killed left behind is removed.

    Raises:
        ConfigError: nothing can be written there, or something else is there.
    """
    folder = folder.resolve()
    if folder.exists() and not _is_ours(folder):
        raise ConfigError(
            f"expected a new folder, or one of records to replace; got {folder}, which holds "
            "something else; to fix, choose another one"
        )
    new = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        new.mkdir(parents=True)
    except OSError as error:
        raise ConfigError(
            f"expected a folder that can be written; got {folder} ({error.strerror}); to fix, "
            "choose another one"
        ) from error
    try:
        with disk_errors(folder), contextlib.ExitStack() as lock:
            with contextlib.suppress(OSError):  # Not every file system has locks.
                lock.enter_context(_locked(new))
            _remove_left_behind(folder)
            yield new
            old = new.with_name(f"{new.name}.old")
            if folder.exists():
                os.rename(folder, old)
            os.rename(new, folder)
            shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    return folder.is_dir() and ((folder / MANIFEST).is_file() or not any(folder.iterdir()))


def _remove_left_behind(folder: Path) -> None:
    """Removes the unfinished folders of `folder` whose process is gone."""
    for left in folder.parent.glob(f".{glob.escape(folder.name)}.{'[0-9a-f]' * 32}"):
        # One that is still empty may belong to a process that is about to lock it.
        with contextlib.suppress(OSError), _locked(left):
            if any(left.iterdir()):
                shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds a lock on a folder; the system lets go of it when the process ends, however it does.

    Raises:
        OSError: another process holds it.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Turns what a disk can refuse into an error for people.

    Args:
        place: named where the system's error names no file.

    Raises:
        ConfigError: the disk is full, or `place` cannot be written to.
    """
    try:
        yield
    except tf.errors.OpError as error:
        raise _no_room(place, tensorflow_reason(error)) from error
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        raise _no_room(error.filename or place, error.strerror) from error


def _no_room(place: Path | str, reason: str) -> ConfigError:
    return ConfigError(
        f"expected to write to {place}; got {reason}; to fix, make room or choose another place"
    )


def tensorflow_reason(error: Exception) -> str:
    """What TensorFlow says is wrong, without the name of its device and operation."""
    message = getattr(error, "message", None) or str(error) or type(error).__name__
    return re.sub(r"^\{\{.*?\}\} | \[Op:.*", "", message.splitlines()[0])
