"""How long a training will take here and what memory it needs, measured before it begins.

Needs no TensorFlow: the steps are trained by `pipeline.trial`, in a process of its own.
"""

import dataclasses
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from rich.console import Console

import schemas
from components import texts
from components.storage import paths
from components.trainer.options import TrainerConfig
from pipeline.config import PipelineConfig
from pipeline.recipes import ON_CPU

SECONDS = 60
"""No step of a trial begins later."""

PATIENCE = 60
"""Seconds more for the step that has begun, and for importing TensorFlow."""

# On two CPU cores about four minutes; the sample's training, which is over in two, has 56 million.
_LONG = 200_000_000
_WAY_OUT = "to fix, lower training.batch_size, data.canvas_size or training.crop_size"
_CHECKOUT = Path(__file__).resolve().parent.parent


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What a few steps of a training took."""

    device: str
    """`GPU` or `CPU`; empty where the trial did not come so far."""
    seconds: tuple[float, ...]
    """Of each step; the first one also compiles the graph."""
    memory: int
    """Peak in bytes: of the GPU, or of the process."""
    fault: str = ""
    """Why the trial ended before its time."""


def show(
    console: Console, config: PipelineConfig, dataset: schemas.Dataset, folder: str, recipe: str
) -> None:
    """Prints what the training of a run takes, and whether another recipe suits the machine.

    Args:
        console: where to print.
        config: what is computed.
        dataset: its classes.
        folder: see `measure`.
        recipe: the configuration began with it.
    """
    console.print("Trying a few steps of the training: a minute, two at most", highlight=False)
    trial = measure(config, dataset, folder)
    console.print(sentence(trial, config), markup=False, highlight=False)
    if trial.device == "CPU" and recipe in ON_CPU:
        console.print(
            f"No GPU is visible: --recipe {ON_CPU[recipe]} is made for a CPU, and trains about an "
            "hour on two cores",
            highlight=False,
        )


def is_long(config: PipelineConfig) -> bool:
    """Whether a training is worth a trial: on a CPU it is more than a few minutes."""
    side = config.training.crop_size or config.data.canvas_size
    return config.training.steps * config.training.batch_size * side**2 >= _LONG


def can_be_tried(config: PipelineConfig) -> bool:
    """Whether there is anything to train, on one device: of several a trial says little."""
    return config.training.steps > 0 and config.training.distribution == "one_device"


def measure(
    config: PipelineConfig,
    dataset: schemas.Dataset,
    folder: str,
    seconds: float = SECONDS,
    patience: float = PATIENCE,
) -> Trial:
    """Trains a few steps of the configured network, or reads what that took here before.

    Args:
        config: what is computed.
        dataset: its classes.
        folder: what was measured is kept here, so that the same command is told the same at once.
        seconds: no step begins later.
        patience: seconds more, after which the trial is ended in the middle of a step.
    """
    trainer = TrainerConfig(
        dataset=dataset,
        canvas_size=config.data.canvas_size,
        model=config.model,
        training=config.training,
    ).to_json()
    machine = f"{platform.node()} {os.cpu_count()} {os.environ.get('CUDA_VISIBLE_DEVICES')}"
    digest = hashlib.sha256(f"{machine}\n{trainer}".encode()).hexdigest()[:16]
    kept = paths.join(folder, f"{digest}.json")
    if paths.exists(kept):
        values = json.loads(paths.read_text(kept))
        return Trial(**{**values, "seconds": tuple(values["seconds"])})
    found = _tried(trainer, seconds, patience)
    if len(found.seconds) > 1 and not found.fault:
        paths.make_folder(folder)
        paths.write_text(kept, json.dumps(dataclasses.asdict(found)))
    return found


def _tried(trainer: str, seconds: float, patience: float) -> Trial:
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(_CHECKOUT), os.environ.get("PYTHONPATH", "")]).rstrip(
            os.pathsep
        ),
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.trial", str(seconds)],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=errors,
            env=environment,
            text=True,
        )
        try:
            process.communicate(trainer, timeout=seconds + patience)
            code = process.returncode
        except subprocess.TimeoutExpired:
            code = 0  # It is too slow, not at fault.
        finally:
            process.kill()
            process.wait()
        for file in (said, errors):
            file.seek(0)
        return _read(said.read(), errors.read(), code)


def _read(said: str, errors: str, code: int) -> Trial:
    """What a trial that ended with `code` has said."""
    # Libraries may print, too; a line may be cut where the process was ended.
    lines = [json.loads(line) for line in said.splitlines() if line[:1] + line[-1:] == "{}"]
    steps = [line for line in lines if "seconds" in line]
    fault = ""
    if code < 0:
        fault = "the system ended it, most likely for want of memory"
    elif code:
        fault = next(iter(reversed(errors.strip().splitlines())), f"exit status {code}")
    return Trial(
        device=next((line["device"] for line in lines if "device" in line), ""),
        seconds=tuple(step["seconds"] for step in steps),
        memory=max((step["bytes"] for step in steps), default=0),
        fault=fault,
    )


def sentence(trial: Trial, config: PipelineConfig) -> str:
    """What a trial says of the whole training, in a line."""
    training = config.training
    if trial.fault:
        return f"Training could not be tried: {trial.fault}; {_WAY_OUT}"
    batch = texts.counted(training.batch_size, "picture")
    if not trial.seconds:
        return (
            f"Training could not be measured: the first step of {batch} took longer than "
            f"{SECONDS + PATIENCE} s; {_WAY_OUT}"
        )
    usual = trial.seconds[1:]
    step = median(usual or trial.seconds)
    return (
        f"Training takes {'about' if usual else 'at most'} {duration(step * training.steps)} and "
        f"{trial.memory / 1e9:.1f} GB{' of the GPU' if trial.device == 'GPU' else ''} on this "
        f"machine (measured: {texts.counted(len(usual) or 1, 'step')} of {batch}, {step:.2g} s "
        "each; validation comes on top)"
    )


def duration(seconds: float) -> str:
    """A time as people say it: "50 s", "49 min", "2 h 10 min", "5 days"."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours < 48 else f"{round(hours / 24)} days"
