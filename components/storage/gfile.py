"""Stores that TensorFlow's file systems know, `gs://` above all; its errors become OSErrors.

The functions are those of `components.storage.s3`.
"""

import functools
from collections.abc import Callable

import tensorflow as tf


def _os_errors(function: Callable) -> Callable:
    """Makes what TensorFlow raises of a store an OSError, as for a file of this machine."""

    @functools.wraps(function)
    def call(path: str, *arguments):
        try:
            return function(path, *arguments)
        except tf.errors.OpError as error:
            is_missing = isinstance(error, tf.errors.NotFoundError)
            kind = FileNotFoundError if is_missing else OSError
            raise kind(f"{path}: {error.message}") from error

    return call


@_os_errors
def exists(path: str) -> bool:
    """Whether a file or a folder is there."""
    return tf.io.gfile.exists(path)


@_os_errors
def is_folder(path: str) -> bool:
    """Whether a folder is there."""
    return tf.io.gfile.isdir(path)


@_os_errors
def size_and_time(path: str) -> tuple[int, int]:
    """Bytes of a file, and the nanosecond it was last written at."""
    status = tf.io.gfile.stat(path)
    return status.length, status.mtime_nsec


@_os_errors
def read_bytes(path: str) -> bytes:
    """The content of a file."""
    with tf.io.gfile.GFile(path, "rb") as file:
        return file.read()


@_os_errors
def write_bytes(path: str, content: bytes) -> None:
    """Writes a file; such a store shows it when it is closed."""
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(content)


@_os_errors
def list_folder(folder: str) -> list[str]:
    """The names of what lies in a folder that is there."""
    # Some stores mark folders by a slash.
    return [name.rstrip("/") for name in tf.io.gfile.listdir(folder)]


@_os_errors
def walk_files(folder: str) -> list[str]:
    """The paths of all files below a folder."""
    return [
        f"{where.rstrip('/')}/{name}"
        for where, _, names in tf.io.gfile.walk(folder)
        for name in names
    ]


@_os_errors
def make_folder(folder: str) -> None:
    """Makes a folder, and those above it, unless it is there."""
    tf.io.gfile.makedirs(folder)


@_os_errors
def remove_file(path: str) -> None:
    """Removes a file."""
    tf.io.gfile.remove(path)


@_os_errors
def remove_tree(folder: str) -> None:
    """Removes a folder with all that is in it."""
    tf.io.gfile.rmtree(folder)
