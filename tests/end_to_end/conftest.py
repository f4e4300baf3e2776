"""A copy of the repository, and a way to run its commands as a user does."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from components.metadata import runs, stores
from pipeline import steps
from tests.conftest import REPOSITORY

_PARTS = ("pipeline", "components", "models", "schemas", "local_runner.py", "kubeflow_runner.py")

NODES = set(steps.ALL) - set(steps.OPTIONAL)


def open_metadata(output: Path):
    """ML Metadata of the runs that wrote to an output folder."""
    return stores.opened(f"sqlite:{output / 'metadata.sqlite'}")


@dataclasses.dataclass(frozen=True)
class Checkout:
    """A copy of the source that a test may change, and one output folder."""

    folder: Path
    output: Path

    def command(self, *arguments: str, runner: str = "local_runner.py") -> list[str]:
        """The command line of a runner."""
        output = () if "--output" in arguments else ("--output", str(self.output))
        return [sys.executable, str(self.folder / runner), *arguments, *output]

    def run(self, *arguments: str, runner: str = "local_runner.py") -> subprocess.CompletedProcess:
        """Runs a runner to its end, from another working directory."""
        return subprocess.run(
            self.command(*arguments, runner=runner),
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )

    def run_and_kill(self, *arguments: str, when: str) -> str:
        """Runs and kills with signal 9 as soon as a line of the output holds `when`."""
        process = subprocess.Popen(
            self.command(*arguments), stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        seen = ""
        for line in process.stdout:
            seen += line
            if when in line:
                os.killpg(process.pid, signal.SIGKILL)
                break
        process.wait()
        return seen

    def steps(self) -> dict[str, runs.Step]:
        """The steps of the latest run, from ML Metadata."""
        return runs.latest_run(self.store())

    def store(self):
        """ML Metadata."""
        return open_metadata(self.output)

    def executions(self, node: str) -> list[str]:
        """The states of all executions of a step, in order."""
        return [step.state for step in runs.all_steps(self.store()) if step.node_id == node]

    def pushed(self) -> list[str]:
        """Versions that a server would find."""
        folder = self.output / "serving" / "deeplab"
        return sorted(path.parent.name for path in folder.glob("*/saved_model.pb"))


@pytest.fixture(scope="session")
def checkout(tmp_path_factory) -> Checkout:
    """A fresh copy of the repository's source with an empty output folder."""
    folder = tmp_path_factory.mktemp("checkout")
    for part in _PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / part)
    return Checkout(folder, folder / "output")
