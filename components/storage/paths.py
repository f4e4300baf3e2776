"""Paths that may be of this machine or of a store such as `gs://bucket/folder` or `s3://bucket/x`.

Local paths are handled by the standard library; TensorFlow, which knows the stores, is imported
for remote paths alone; its errors become `OSError`s. Paths are strings: `pathlib` would make
`gs:/bucket` of `gs://bucket`.
"""

import errno
import functools
import os
import re
import shutil
import sys
import uuid
from collections.abc import Callable, Collection
from pathlib import Path

CHUNK = 1 << 20
"""Bytes that files are read and written in."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_remote(path: str) -> bool:
    """Whether a path names a store, as in `gs://bucket/folder`."""
    return _SCHEME.match(path) is not None


def absolute(path: str) -> str:
    """The path from the root of this machine on; that of a store as it is."""
    return path if is_remote(path) else os.path.abspath(os.path.expanduser(path))


def has_glob(path: str) -> bool:
    """Whether TFX or Beam would take the path for a pattern of several."""
    return any(character in path for character in "*?[]")


def beside(path: Path, ending: str) -> Path:
    """The path with something appended to its name."""
    return path.with_name(path.name + ending)


def join(folder: str, *names: str) -> str:
    """A path below a folder."""
    return (
        "/".join([folder.rstrip("/"), *names])
        if is_remote(folder)
        else os.path.join(folder, *names)
    )


def _os_errors(function: Callable) -> Callable:
    """Makes what TensorFlow raises of a store an OSError, as for a file of this machine."""

    @functools.wraps(function)
    def call(path: str, *arguments):
        try:
            return function(path, *arguments)
        except Exception as error:
            tensorflow = sys.modules.get("tensorflow")
            if tensorflow is None or not isinstance(error, tensorflow.errors.OpError):
                raise
            is_missing = isinstance(error, tensorflow.errors.NotFoundError)
            kind = FileNotFoundError if is_missing else OSError
            raise kind(f"{path}: {error.message}") from error

    return call


@_os_errors
def exists(path: str) -> bool:
    """Whether a file or a folder is there."""
    return _gfile().exists(path) if is_remote(path) else os.path.exists(path)


@_os_errors
def is_folder(path: str) -> bool:
    """Whether a folder is there."""
    return _gfile().isdir(path) if is_remote(path) else os.path.isdir(path)


@_os_errors
def size_and_time(path: str) -> tuple[int, int]:
    """Bytes of a file, and the nanosecond it was last written at."""
    if is_remote(path):
        status = _gfile().stat(path)
        return status.length, status.mtime_nsec
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


@_os_errors
def read_bytes(path: str) -> bytes:
    """The content of a file."""
    if is_remote(path):
        with _gfile().GFile(path, "rb") as file:
            return file.read()
    return Path(path).read_bytes()


def read_text(path: str) -> str:
    """The content of a file in UTF-8."""
    return read_bytes(path).decode()


@_os_errors
def write_bytes(path: str, content: bytes) -> None:
    """Writes a file, whole or not at all; its folder must be there."""
    if is_remote(path):
        # Such a store shows a file when it is closed.
        with _gfile().GFile(path, "wb") as file:
            file.write(content)
        return
    part = beside(Path(path), f".{uuid.uuid4().hex}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            # Renamed before its bytes are on the disk, it would be empty after a loss of power.
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        flush(os.path.dirname(path) or ".")
    finally:
        part.unlink(missing_ok=True)


def write_text(path: str, text: str) -> None:
    """Writes a file in UTF-8, whole or not at all; its folder must be there."""
    write_bytes(path, text.encode())


@_os_errors
def list_folder(folder: str) -> list[str]:
    """The names of what lies in a folder, sorted; empty where there is no such folder."""
    if not is_folder(folder):
        return []
    names = _gfile().listdir(folder) if is_remote(folder) else os.listdir(folder)
    # Some stores mark folders by a slash.
    return sorted(name.rstrip("/") for name in names)


@_os_errors
def walk_files(folder: str) -> list[str]:
    """The paths of all files below a folder, sorted."""
    walk = _gfile().walk if is_remote(folder) else os.walk
    return sorted(join(where, name) for where, _, names in walk(folder) for name in names)


@_os_errors
def make_folder(folder: str) -> None:
    """Makes a folder, and those above it, unless it is there."""
    if is_remote(folder):
        _gfile().makedirs(folder)
    else:
        os.makedirs(folder, exist_ok=True)


@_os_errors
def remove_file(path: str) -> None:
    """Removes a file."""
    if is_remote(path):
        _gfile().remove(path)
    else:
        os.remove(path)


@_os_errors
def remove_tree(folder: str) -> None:
    """Removes a folder with all that is in it; does nothing where none is."""
    if not exists(folder):
        return
    if is_remote(folder):
        _gfile().rmtree(folder)
    else:
        shutil.rmtree(folder)


@_os_errors
def copy_file(source: str, target: str) -> None:
    """Copies a file, over another if one is there; its folder must be there."""
    if is_remote(source) or is_remote(target):
        _gfile().copy(source, target, overwrite=True)
    else:
        shutil.copyfile(source, target)


def copy_tree(source: str, target: str, without: Collection[str] = ()) -> None:
    """Copies the files of a folder, and of those in it, to another folder, which may be there.

    Args:
        source: the folder.
        target: the other.
        without: files that are left out, by their paths below `source`.
    """
    make_folder(target)
    for path in walk_files(source):
        relative = path[len(source.rstrip("/")) + 1 :]
        if relative in without:
            continue
        if "/" in relative:
            make_folder(join(target, os.path.dirname(relative)))
        copy_file(path, join(target, relative))


def rename(source: str, target: str) -> None:
    """Gives a file or folder of this machine another path, at once; stores know no renaming."""
    os.rename(source, target)


def flush(path: str) -> None:
    """Waits until a file of this machine, or the names in a folder of it, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some file systems, of buckets for example, know no such thing for folders.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def flush_tree(folder: str) -> None:
    """The same of a folder with all that is in it; what lies in a folder comes before it."""
    for where, _, names in os.walk(folder, topdown=False):
        for path in (*(os.path.join(where, name) for name in names), where):
            flush(path)


def _gfile():
    # Imported here: it takes ten seconds, which a local path must not cost.
    import tensorflow as tf

    return tf.io.gfile
