"""What a person sees of a local run: steps and our own messages; the rest goes to a log."""

import contextlib
import logging
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from absl import logging as absl_logging
from rich.console import Console

_STEP = re.compile(r"Component (\S+) is (running|finished)\.")
_OWN_CODE = str(Path(__file__).resolve().parent.parent / "components")


@contextlib.contextmanager
def redirected_to(log_path: Path) -> Iterator[Console]:
    """Sends all output of this process and its children to a file.

    TFX and the libraries below it print thousands of lines, some from C++, so the file descriptors
    themselves are redirected.

    Yields:
        A console on the real terminal.
    """
    log_path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(descriptor) for descriptor in (1, 2)]
    with open(log_path, "ab") as log, open(os.dup(1), "w", buffering=1) as terminal:
        for descriptor in (1, 2):
            os.dup2(log.fileno(), descriptor)
        try:
            yield Console(file=terminal, soft_wrap=True)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for original, descriptor in zip(saved, (1, 2), strict=True):
                os.dup2(original, descriptor)
                os.close(original)


class StepLines(logging.Handler):
    """Prints the start and end of every step, and what the project's own steps have to say."""

    def __init__(self, console: Console):
        super().__init__(logging.INFO)
        self._console = console
        self._started = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Prints a record if it is one for people."""
        message = record.getMessage()
        step = _STEP.fullmatch(message)
        if step and step[2] == "running":
            self._started = time.monotonic()
            self._console.print(f"[bold]{step[1]}[/bold]", highlight=False)
        elif step:
            self._line(f"done in {time.monotonic() - self._started:.1f} s")
        elif record.pathname.startswith(_OWN_CODE) and record.levelno < logging.ERROR:
            self._line(message)

    def _line(self, text: str) -> None:
        self._console.print(f"  {text}", markup=False, highlight=False)


@contextlib.contextmanager
def step_lines(console: Console) -> Iterator[None]:
    """Shows the steps on `console` while the context is open."""
    absl_logging.use_absl_handler()
    absl_logging.set_verbosity(absl_logging.INFO)
    handler = StepLines(console)
    logger = absl_logging.get_absl_logger()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
