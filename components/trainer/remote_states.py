"""States of training in a store that TensorFlow cannot write to: `s3://`, `minio://`.

They are written on this machine, as ever, and copied to the store after each; a training that goes
on, perhaps on another machine, begins by fetching them.
"""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator

from absl import logging

from components.storage import paths

_INDEX = "checkpoint"
"""TensorFlow's file that names the newest state; what it names must be there before it."""


@contextlib.contextmanager
def local(folder: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """A folder that TensorFlow can write to, with what lies in the other.

    Args:
        folder: of the saved states, on this machine or in a store.

    Yields:
        The folder, and what is to be called when a state was saved there.
    """
    if not folder.startswith(("s3://", "minio://")):
        yield folder, lambda: None
        return
    with tempfile.TemporaryDirectory(prefix="states-") as here:
        paths.copy_tree(folder, here)
        if paths.walk_files(here):
            logging.info("States of the training are fetched from %s", folder)
        yield here, lambda: _upload(here, folder)


def _upload(here: str, folder: str) -> None:
    """Makes the store's folder what the local one is; a kill at any moment leaves a state whole."""
    local_files = {os.path.relpath(path, here) for path in paths.walk_files(here)}
    known = {path[len(folder) + 1 :]: path for path in paths.walk_files(folder)}
    for name in sorted(local_files, key=lambda name: os.path.basename(name) == _INDEX):
        path = os.path.join(here, name)
        # Files of states never change once they are written; all others are small.
        is_state = ".data-" in name or name.endswith(".index")
        if not (is_state and name in known):
            paths.copy_file(path, paths.join(folder, name))
    for name in known.keys() - local_files:
        paths.remove_file(known[name])
