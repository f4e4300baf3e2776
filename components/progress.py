"""What a person sees while a step runs."""

import contextlib
import sys
from collections.abc import Callable, Iterator

from rich import progress
from rich.console import Console


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
