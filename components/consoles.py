"""Where commands print to."""

from typing import IO

from rich.console import Console

from components import entry


class _Terminal(Console):
    """Ends the command, quietly, where nobody reads its output any more."""

    def on_broken_pipe(self) -> None:
        """Called by Rich; its own way is exit code 1, for a crash."""
        self.quiet = True
        entry.closed_pipe()


def terminal(file: IO[str] | None = None) -> Console:
    """A console that wraps no line.

    Args:
        file: where to print; None for the standard output.
    """
    return _Terminal(file=file, soft_wrap=True)
