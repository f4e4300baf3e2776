"""Paths that may be of this machine or of a store such as `gs://bucket/folder` or `s3://bucket/x`.

Local paths are handled by the standard library, stores that speak S3 by boto3, others by
TensorFlow's file systems; what fails is an `OSError`. Paths are strings: `pathlib` would make
`gs:/bucket` of `gs://bucket`.
"""

import errno
import os
import re
import shutil
import uuid
from collections.abc import Collection
from pathlib import Path

CHUNK = 1 << 20
"""Bytes that files are read and written in."""

_MINIO = "minio://"
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


def exists(path: str) -> bool:
    """Whether a file or a folder is there."""
    return _store(path).exists(path) if is_remote(path) else os.path.exists(path)


def is_folder(path: str) -> bool:
    """Whether a folder is there."""
    return _store(path).is_folder(path) if is_remote(path) else os.path.isdir(path)


def size_and_time(path: str) -> tuple[int, int]:
    """Bytes of a file, and the nanosecond it was last written at."""
    if is_remote(path):
        return _store(path).size_and_time(path)
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


def read_bytes(path: str) -> bytes:
    """The content of a file."""
    return _store(path).read_bytes(path) if is_remote(path) else Path(path).read_bytes()


def read_text(path: str) -> str:
    """The content of a file in UTF-8."""
    return read_bytes(path).decode()


def write_bytes(path: str, content: bytes) -> None:
    """Writes a file, whole or not at all; its folder must be there."""
    if is_remote(path):
        _store(path).write_bytes(path, content)
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


def list_folder(folder: str) -> list[str]:
    """The names of what lies in a folder, sorted; empty where there is no such folder."""
    if not is_folder(folder):
        return []
    return sorted(_store(folder).list_folder(folder) if is_remote(folder) else os.listdir(folder))


def walk_files(folder: str) -> list[str]:
    """The paths of all files below a folder, sorted."""
    if is_remote(folder):
        return sorted(_store(folder).walk_files(folder))
    return sorted(join(where, name) for where, _, names in os.walk(folder) for name in names)


def make_folder(folder: str) -> None:
    """Makes a folder, and those above it, unless it is there."""
    if is_remote(folder):
        _store(folder).make_folder(folder)
    else:
        os.makedirs(folder, exist_ok=True)


def remove_file(path: str) -> None:
    """Removes a file."""
    if is_remote(path):
        _store(path).remove_file(path)
    else:
        os.remove(path)


def remove_tree(folder: str) -> None:
    """Removes a folder with all that is in it; does nothing where none is."""
    if not exists(folder):
        return
    if is_remote(folder):
        _store(folder).remove_tree(folder)
    else:
        shutil.rmtree(folder)


def copy_file(source: str, target: str) -> None:
    """Copies a file, over another if one is there; its folder must be there."""
    if is_remote(source) or is_remote(target):
        write_bytes(target, read_bytes(source))
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


def for_beam(path: str) -> str:
    """The path by which Beam's file systems know it."""
    if not path.startswith(_MINIO):
        return path
    from components.storage import s3

    s3.set_endpoint()
    return f"s3://{path.removeprefix(_MINIO)}"


def _store(path: str):
    """The module that reads and writes a store."""
    # Imported here: either takes seconds, which a local path must not cost.
    if path.startswith(("s3://", _MINIO)):
        from components.storage import s3

        return s3
    from components.storage import gfile

    return gfile
