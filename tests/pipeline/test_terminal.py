"""What a person sees while training runs."""

import io
import logging
import sys

from rich.console import Console

from pipeline.terminal import TrainingProgress, step_lines


def show(console: Console, steps: int) -> None:
    logger = logging.getLogger("deeplab.progress")
    with step_lines(console):
        for step in range(1, steps + 1):
            logger.info(f"step {step}/9, loss 0.5", extra={"step": step, "steps": 9})


def test_a_bar_on_a_terminal():
    file = io.StringIO()
    show(Console(file=file, force_terminal=True, width=100), 9)
    assert "━" in file.getvalue() and "step 9/9, loss 0.5" in file.getvalue()


def test_what_others_print_stays_off_the_terminal(capfd):
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100)
    logger = logging.getLogger("deeplab.progress")
    with step_lines(console):
        logger.info("step 1/9", extra={"step": 1, "steps": 9})
        sys.stderr.write("a library at work\n")
    assert "a library" not in file.getvalue()
    assert "a library" in capfd.readouterr().err


def test_the_bar_goes_when_training_stops_halfway():
    file = io.StringIO()
    show(Console(file=file, force_terminal=True, width=100), 4)
    assert file.getvalue().endswith("\x1b[2K")


def test_few_lines_without_a_terminal():
    file = io.StringIO()
    show(Console(file=file), 9)
    assert file.getvalue() == "  step 1/9, loss 0.5\n"


def test_nobody_listens_afterwards():
    handlers = logging.getLogger("deeplab.progress").handlers
    assert not [handler for handler in handlers if isinstance(handler, TrainingProgress)]
