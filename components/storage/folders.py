"""Folders of records that appear whole or not at all, and the errors of disks in plain words."""

import contextlib
import errno
import glob
import json
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

from components.errors import ConfigError, DataError
from components.storage.locks import in_use

MANIFEST = "manifest.json"
"""The file that a folder of records is known by; written last."""

_DISK_ERRORS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    *(errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EBUSY),
)


@contextlib.contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """A folder to write to that becomes `folder` when the context ends well, and vanishes if not.

    An existing `folder` is replaced, if it holds records or nothing. What processes that were
    killed left behind is removed, or put back where they had taken `folder` away.

    Raises:
        ConfigError: nothing can be written there, or something else is there.
    """
    folder = folder.resolve()
    if os.path.ismount(folder):
        raise ConfigError(
            f"expected a folder that can be replaced as a whole; got {folder}, which a disk is "
            "mounted on; to fix, choose a folder inside it"
        )
    with disk_errors(folder):
        _check_ours(folder)
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
                lock.enter_context(in_use(new))
            _clear_left_behind(folder)
            yield new
            _check_ours(folder)  # Hours may have passed.
            _replace(folder, new)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _check_ours(folder: Path) -> None:
    """Refuses to replace what is no folder of records.

    Raises:
        ConfigError: `folder` is there, and holds something else.
    """
    other = _other_content(folder) if folder.exists() else ""
    if other:
        raise ConfigError(
            f"expected a new folder, or one of records to replace; got {folder}, which holds "
            f"something else ({other}); to fix, choose another one"
        )


def _other_content(folder: Path) -> str:
    """What a folder of records would not hold; empty for one of records and for an empty one."""
    if not folder.is_dir():
        return "it is a file"
    paths = sorted(folder.iterdir())
    for path in paths:
        if (path.name != MANIFEST and path.suffix != ".tfrecord") or not path.is_file():
            return path.name
    if not paths:
        return ""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        manifest = None
    # Other programs have manifests, too.
    ours = isinstance(manifest, dict) and {"source", "splits"} <= manifest.keys()
    return "" if ours else f"no {MANIFEST} of records"


def _replace(folder: Path, new: Path) -> None:
    """Puts `new` in the place of `folder`, or leaves everything as it was."""
    old = new.with_name(f"{new.name}.old")
    try:
        if folder.exists():
            os.rename(folder, old)
        os.rename(new, folder)
    except BaseException:
        if old.exists() and not folder.exists():
            os.rename(old, folder)
        raise
    _remove(old)


def _remove(old: Path) -> None:
    """Removes a folder of records, its manifest first: half of one must not pass for a whole."""
    with contextlib.suppress(OSError):
        (old / MANIFEST).unlink()
    shutil.rmtree(old, ignore_errors=True)


def _clear_left_behind(folder: Path) -> None:
    """Removes the unfinished folders of `folder` whose process is gone.

    Where one was killed between the two renames of `_replace`, its old folder is put back.
    """
    unfinished = f".{glob.escape(folder.name)}.{'[0-9a-f]' * 32}"
    for old in folder.parent.glob(f"{unfinished}.old"):
        new = old.with_suffix("")
        # The lock of a living process lies on its new folder, until that has the final name.
        with (
            contextlib.suppress(OSError),
            in_use(new) if new.exists() else contextlib.nullcontext(),
        ):
            if folder.exists() or _other_content(old):
                _remove(old)
            else:
                os.rename(old, folder)
    for left in folder.parent.glob(unfinished):
        # One that is still empty may belong to a process that is about to lock it.
        with contextlib.suppress(OSError), in_use(left):
            if any(left.iterdir()):
                shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Turns an error of the disk into one for people.

    Args:
        place: named where the system's error names no file.

    Raises:
        ConfigError: the disk is full, or `place` cannot be written to.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        raise not_writable(error.filename or place, error.strerror) from error


def not_writable(place: Path | str, reason: str) -> ConfigError:
    """The error for a place that nothing can be written to."""
    return ConfigError(
        f"expected to write to {place}; got {reason}; to fix, make room or choose another place"
    )


def walk(folder: str, above: frozenset[tuple[int, int]] | None = None) -> Iterator[str]:
    """All files below a folder, links followed; without hidden ones.

    Args:
        folder: where to start.
        above: device and inode of the folders on the way, where a link leads round in circles.

    Raises:
        DataError: a folder cannot be read.
    """
    with read_errors(folder):
        if above is None:
            above = frozenset(map(_identity, Path(folder).resolve().parents))
        here = _identity(folder)
        if here in above:
            return
        with os.scandir(folder) as entries:
            visible = [
                (entry.path, _leads_to_folder(entry))
                for entry in entries
                if not entry.name.startswith(".")
            ]
    for path, is_a_folder in visible:
        if is_a_folder:
            yield from walk(path, above | {here})
        else:
            yield path


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _leads_to_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except PermissionError:
        raise
    except OSError:  # A link to itself; said when it is read as a picture.
        return False


@contextlib.contextmanager
def read_errors(place: str | Path) -> Iterator[None]:
    """Turns what the system says of pictures into an error for people.

    Args:
        place: named where the system's error names no file.

    Raises:
        DataError: `place` cannot be read.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f"expected pictures and masks that can be read; got {error.filename or place}, which "
            f"cannot be read ({error.strerror}); to fix, mend its permissions or its disk"
        ) from error


def mode(path: Path) -> int:
    """Kind and rights of what is at a path; 0 where nothing is.

    Raises:
        DataError: one cannot tell, as a folder on the way cannot be entered.
    """
    with read_errors(path):
        try:
            return os.stat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return 0


def is_folder(path: Path) -> bool:
    """Whether a folder is there.

    Raises:
        DataError: see `mode`.
    """
    return stat.S_ISDIR(mode(path))
