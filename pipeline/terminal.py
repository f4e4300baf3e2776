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
from rich.progress import BarColumn, Progress, TextColumn

from components import consoles, entry
from components.trainer.progress import PROGRESS

_STEP = re.compile(r"Component (\S+) is (running|finished)\.")
_CACHED = re.compile(r"A cached execution \d+ is used\.")
_SECONDS_BETWEEN_LINES = 10
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
    spelt = {"encoding": sys.stdout.encoding, "errors": entry.ERRORS}
    with open(log_path, "ab") as log, open(os.dup(1), "w", buffering=1, **spelt) as terminal:
        saved = [os.dup(descriptor) for descriptor in (1, 2)]
        for descriptor in (1, 2):
            os.dup2(log.fileno(), descriptor)
        try:
            yield consoles.terminal(terminal)
        finally:
            # On a full disk the log takes no more; that is said by what failed first.
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError):
                    stream.flush()
            for original, descriptor in zip(saved, (1, 2), strict=True):
                os.dup2(original, descriptor)
                os.close(original)


class StepLines(logging.Handler):
    """Prints the start and end of every step, and what the project's own steps have to say."""

    def __init__(self, console: Console):
        super().__init__(logging.INFO)
        self._console = console
        self._started = 0.0
        self._is_cached = False

    def emit(self, record: logging.LogRecord) -> None:
        """Prints a record if it is one for people."""
        message = record.getMessage()
        step = _STEP.fullmatch(message)
        if step and step[2] == "running":
            self._started = time.monotonic()
            self._is_cached = False
            self._console.print(f"[bold]{step[1]}[/bold]", highlight=False)
        elif step and not self._is_cached:
            self._line(f"done in {time.monotonic() - self._started:.1f} s")
        elif _CACHED.fullmatch(message):
            self._is_cached = True
            self._line("cached: nothing that decides it has changed")
        elif record.pathname.startswith(_OWN_CODE) and record.levelno < logging.ERROR:
            self._line(message)

    def _line(self, text: str) -> None:
        self._console.print(f"  {text}", markup=False, highlight=False)


class TrainingProgress(logging.Handler):
    """A live bar while training runs; where there is no terminal, a line every ten seconds."""

    def __init__(self, console: Console):
        super().__init__(logging.INFO)
        self._console = console
        self._bar: Progress | None = None
        self._last_line = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Shows a record of `components.trainer.progress.PROGRESS`."""
        text = record.getMessage()
        if not self._console.is_terminal:
            if time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES:
                self._last_line = time.monotonic()
                self._console.print(f"  {text}", markup=False, highlight=False)
            return
        if self._bar is None:
            columns = BarColumn(), TextColumn("{task.description}", markup=False)
            # What the libraries print goes on to the log, not above the bar.
            self._bar = Progress(
                *columns,
                console=self._console,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._bar.add_task(text, total=record.steps)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=record.step, description=text)
        if record.step == record.steps:
            self.close()

    def close(self) -> None:
        """Takes the bar off the terminal, also when training stopped halfway."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        super().close()


@contextlib.contextmanager
def step_lines(console: Console) -> Iterator[None]:
    """Shows the steps and the progress of training on `console` while the context is open."""
    absl_logging.use_absl_handler()
    absl_logging.set_verbosity(absl_logging.INFO)
    handlers = [
        (absl_logging.get_absl_logger(), StepLines(console)),
        (PROGRESS, TrainingProgress(console)),
    ]
    for logger, handler in handlers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger, handler in handlers:
            logger.removeHandler(handler)
            handler.close()
