"""A run that is ended by hand, by a machine, by a reader or by a full disk, and goes on each time.

The tests stand in the order of one story and share its output folder.
"""

import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

pytestmark = pytest.mark.slow

CHANGES = {
    "data.train_limit": 8,
    "data.val_limit": 4,
    "data.canvas_size": 97,
    "training.steps": 6,
    "training.steps_per_epoch": 6,
    "training.save_every_steps": 2,
    "training.batch_size": 4,
    "model.width_multiplier": 0.35,
    "model.aspp_depth": 8,
    "model.decoder": "false",
}
TWO_LINES = "Everything a run writes is below"


@pytest.fixture(scope="module")
def words(checkout, tmp_path_factory):
    output = tmp_path_factory.mktemp("interrupted") / "output"
    changes = (word for path, value in CHANGES.items() for word in ("--set", f"{path}={value}"))
    return (*changes, "--output", str(output))


@pytest.fixture
def start(checkout, words):
    """Starts a run; every one that a test starts has ended when the test does."""
    started = []

    def start(*more: str, **options) -> subprocess.Popen:
        process = subprocess.Popen(
            checkout.command(*words, *more),
            cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def read_until(process: subprocess.Popen, text: str) -> str:
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"no {text!r} in\n{seen}{process.stderr.read()}")


@pytest.mark.parametrize(
    ("when", "number", "line"),
    [
        (TWO_LINES, signal.SIGINT, "Interrupted."),  # TFX is being imported.
        ("StatisticsGen", signal.SIGTERM, "Terminated."),
        ("Transform", signal.SIGINT, "Interrupted."),
        ("step 4/6", signal.SIGTERM, "Terminated."),
    ],
)
def test_ended_by_a_signal_it_says_one_line(start, when, number, line):
    process = start("--to-node", "Trainer")
    seen = read_until(process, when)
    process.send_signal(number)
    said, more = process.communicate()
    assert process.returncode == 128 + number, seen + said + more
    assert more == f"{line} The same command goes on where it was.\n"
    assert "Traceback" not in seen + said


def test_another_run_in_the_same_place_is_refused_and_harms_nothing(start):
    first = start("--to-node", "Transform")
    read_until(first, TWO_LINES)
    second = start("--to-node", "Transform")
    said, more = second.communicate()
    assert second.returncode == 2 and more == ""
    assert f"got another one at work, process {first.pid} on" in said
    assert "local_runner.py" in said and "Traceback" not in said
    planned = start("--dry-run")  # It takes no lock, and may look.
    said, more = planned.communicate()
    assert planned.returncode == 0, said + more
    said, more = first.communicate()
    assert first.returncode == 0, said + more


def test_killed_it_leaves_no_lock_and_the_next_goes_on(start):
    process = start("--to-node", "Trainer", start_new_session=True)
    read_until(process, "Trainer")
    os.kill(process.pid, signal.SIGKILL)  # Alone: its children may live on.
    process.wait()
    done = start("--to-node", "Trainer")
    said, more = done.communicate()
    assert done.returncode == 0, said + more
    assert "Training goes on after step 4" in said and "cached" in said
    # What it took three runs to train is one curve.
    (line,) = (line for line in said.splitlines() if line.startswith("TensorBoard"))
    folder = Path(line.split()[-1])
    for split, steps in (("train", [2, 4, 6]), ("validation", [6])):
        events = EventAccumulator(str(folder / split)).Reload()
        assert [event.step for event in events.Tensors("loss")] == steps


def test_ended_while_the_served_model_is_asked(start):
    process = start("--to-node", "ServingCheck")
    seen = read_until(process, "ServingCheck")
    process.send_signal(signal.SIGINT)
    said, more = process.communicate()
    assert process.returncode == 130, seen + said + more
    assert more == "Interrupted. The same command goes on where it was.\n"


def test_a_reader_that_goes_away_ends_it_quietly(start):
    process = start("--to-node", "Transform")
    assert TWO_LINES in process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 128 + signal.SIGPIPE


def test_a_terminal_of_ascii_gets_the_whole_summary(start):
    process = start("--to-node", "Trainer", env=os.environ | {"PYTHONIOENCODING": "ascii"})
    said, more = process.communicate()
    assert process.returncode == 0, said + more
    assert said.isascii() and "Trainer" in said and "Verdict" in said
    assert "Drift        skew of the training against the validation split" in said
    assert "Transform\n  cached: nothing that decides it has changed\nTrainer\n  cached" in said


@pytest.mark.parametrize("limit", [1_000, 1_500_000])
def test_a_full_disk_is_one_line(start, limit):
    """A limit on the size of files fails the same calls of the system."""

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    process = start("--to-node", "Trainer", "--no-cache", preexec_fn=limited)
    said, more = process.communicate()
    assert process.returncode == 2, said + more
    assert said.splitlines()[-1].startswith("Configuration error: ")
    assert "to fix, " in said.splitlines()[-1] and "Traceback" not in said + more
