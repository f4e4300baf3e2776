"""What a person sees while training runs."""

import io
import subprocess
import sys

from absl import logging as absl_logging
from rich.console import Console

from components.trainer.progress import PROGRESS, Progress
from pipeline.terminal import TrainingProgress, step_lines
from tests.conftest import REPOSITORY


def show(console: Console, steps: int) -> None:
    with step_lines(console):
        for step in range(1, steps + 1):
            PROGRESS.info(f"step {step}/9, loss 0.5", extra={"step": step, "steps": 9})


def test_a_bar_on_a_terminal():
    file = io.StringIO()
    show(Console(file=file, force_terminal=True, width=100), 9)
    assert "━" in file.getvalue() and "step 9/9, loss 0.5" in file.getvalue()


def test_what_others_print_stays_off_the_terminal(capfd):
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100)
    with step_lines(console):
        PROGRESS.info("step 1/9", extra={"step": 1, "steps": 9})
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
    assert not [handler for handler in PROGRESS.handlers if isinstance(handler, TrainingProgress)]


def test_the_terminal_needs_no_tensorflow():
    script = "import pipeline.terminal, sys; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, check=True)


def test_every_saved_state_gets_a_line():
    file = io.StringIO()
    progress = Progress(steps=4, save_every_steps=2, batch_size=8, first_step=2)
    with step_lines(Console(file=file, width=120)):
        for batch in range(2):
            progress.on_train_batch_end(batch, {"loss": 0.5, "mean_iou": 0.25})
        progress.on_epoch_end(1, {"loss": 0.4, "val_mean_iou": float("nan")})
    live, saved = file.getvalue().splitlines()
    assert live == "  step 3/4, loss 0.500, train mIoU 25.0 %"
    assert saved.startswith("  step 4/4, loss 0.400, ") and saved.endswith(" images/s, 0:00 left")
    assert "mIoU" not in saved


def test_a_step_that_is_not_run_again_says_so():
    file = io.StringIO()
    with step_lines(Console(file=file, width=120)):
        for name, is_cached in (("Transform", True), ("Trainer", False)):
            absl_logging.info("Component %s is running.", name)
            if is_cached:
                absl_logging.info("A cached execution %d is used.", 7)
            absl_logging.info("Component %s is finished.", name)
    first, cached, second, done = file.getvalue().splitlines()
    assert (first, second) == ("Transform", "Trainer")
    assert cached.strip().startswith("cached") and done.strip().startswith("done in 0.0 s")
