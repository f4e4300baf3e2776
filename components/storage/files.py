"""What making large files takes: names beside them, one process at a time, a bar to watch."""

import contextlib
import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from absl import logging
from rich import progress
from rich.console import Console

CHUNK = 1 << 20
"""So many bytes at a time."""


def beside(path: Path, ending: str) -> Path:
    """The path with something appended to its name."""
    return path.with_name(path.name + ending)


@contextlib.contextmanager
def locked(target: Path) -> Iterator[None]:
    """Lets one process at a time make the target; a lock ends with its process."""
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
def bar(text: str, total: int | None, done: int = 0) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, and nothing elsewhere; gives what to call with the bytes done."""
    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    console, hidden = Console(stderr=True), not sys.stderr.isatty()
    with progress.Progress(*columns, console=console, transient=True, disable=hidden) as shown:
        task = shown.add_task(text, total=total, completed=done)
        yield lambda done: shown.update(task, completed=done)
