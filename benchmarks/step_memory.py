"""The peak memory of every step in a process of its own, as a cluster runs it.

    python -m benchmarks.step_memory
    python -m benchmarks.step_memory --set data.canvas_size=257 --set training.batch_size=16

Compiles the sample's pipeline, replays the file on this machine, and reads of the system how much
memory each step's processes had at most. `pipeline/kubeflow/needs.py` has what this gives.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

import schemas
from components.dataset.source import find_records
from pipeline import recipes
from pipeline.config import override

_ENVIRONMENT = """
root = "minio://bucket/deeplab"
image = "registry.example/deeplab:1"
allow_tag = true
served = "/mnt/serving"
training_states = "/mnt/training"
records = "/mnt/data"
volumes.shared = { path = "/mnt", claim = "shared" }
"""
_GATES = ("evaluation.min_mean_iou=0", "evaluation.allow_dead_classes=true")


def _peak(process: psutil.Process) -> int:
    """Bytes that a process has had at most; 0 where it has gone."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.M)
    return 1024 * int(found[1]) if found else 0


def _step(process: psutil.Process) -> str | None:
    """The step that a process runs, by its command line."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return None
    return words[words.index("--node") + 1] if "--node" in words else None


def measure(folder: Path, assignments: list[str]) -> dict[str, int]:
    """Compiles, replays and gives the peak of each step's largest process, in bytes."""
    environment = folder / "cluster.toml"
    environment.write_text(_ENVIRONMENT)
    given = [word for each in assignments for word in ("--set", each)]
    compiling = ["compile", "--environment", str(environment), "--output", str(folder), *given]
    subprocess.run([sys.executable, "-m", "pipeline", *compiling], check=True)
    config = override(recipes.sample(), assignments)
    data = config.data
    records = find_records(
        schemas.load("sample"),
        None,
        folder / "records",
        patterns={"train": data.train_pattern, "val": data.val_pattern},
        limits={"train": data.train_limit, "val": data.val_limit},
        window=data.span_window,
    )
    claim = folder / "claim"
    shutil.copytree(records.ready(), claim / "data" / "sample")
    store = ["--store", str(folder / "store"), "--volume", f"shared={claim}"]
    replay = ["replay", str(folder / "deeplab.yaml"), *store]
    peaks: dict[str, int] = {}
    with subprocess.Popen([sys.executable, "-m", "pipeline", *replay]) as process:
        while process.poll() is None:
            running = psutil.Process(process.pid).children(recursive=True)
            for child in running:
                if step := _step(child):
                    peaks[step] = max(peaks.get(step, 0), _peak(child))
            time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"the replay ended with exit code {process.returncode}")
    return peaks


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        peaks = measure(Path(folder), [*_GATES, *arguments.set])
    table = Table("step", "peak MB")
    for step, peak in peaks.items():
        table.add_row(step, f"{peak / 1e6:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
