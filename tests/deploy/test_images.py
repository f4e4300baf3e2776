"""The images: what can be said of them without an engine, and their commands, run as they are."""

import fnmatch
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.kubeflow.replay.sandbox import Sandbox
from tests.conftest import REPOSITORY

IMAGES = REPOSITORY / "deploy" / "images"
DOCKERFILE = IMAGES / "Dockerfile"
NETWORK = re.compile(r"(PIP|UV|SSL|REQUESTS)_|https?_proxy$|no_proxy$", re.IGNORECASE)
PACKAGES = ("components", "models", "pipeline", "schemas")


def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage, by its name: what they are, and what they say."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    text = re.sub(r"\\\n\s*", "", text)
    found: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        kind, _, rest = line.partition(" ")
        if kind == "FROM":
            name = rest.split()[-1]
            found[name] = []
        found.setdefault(name, []).append((kind, rest))
    return found


def copied(stage: str) -> list[str]:
    """What a stage takes from the repository."""
    words = [shlex.split(rest) for kind, rest in stages()[stage] if kind == "COPY"]
    return [word for line in words if not line[0].startswith("--") for word in line[:-1]]


def test_hadolint_has_nothing_to_say():
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, "--no-color", DOCKERFILE], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_base_is_one_and_by_its_digest():
    (base,) = (rest for kind, rest in stages()[""] if kind == "ARG")
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.11[\w.-]*@sha256:[0-9a-f]{64}", base)
    begun = {rest.split()[0] for s in stages().values() for kind, rest in s if kind == "FROM"}
    assert begun - stages().keys() == {"${PYTHON_IMAGE}"}


def test_what_runs_is_not_root_and_has_no_compiler():
    for name in ("cpu", "gpu"):
        (begun,) = (rest for kind, rest in stages()[name] if kind == "FROM")
        assert begun.split()[0] == "base"
    said = stages()["base"]
    assert ("USER", "1000") in said
    assert not any("apt-get" in rest for kind, rest in said if kind == "RUN")


def test_all_that_is_installed_is_copied_and_nothing_copied_is_ignored():
    taken = copied("environment")
    assert set(PACKAGES) <= set(taken)
    # What setup.py names beside the packages.
    assert {"setup.py", "kubeflow_runner.py", "local_runner.py"} <= set(taken)
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    for name in [*taken, *copied("environment-gpu")]:
        assert (REPOSITORY / name).exists(), name
        assert any(fnmatch.fnmatch(name, pattern) for pattern in allowed), name


def test_the_gpu_image_has_the_versions_of_the_lock():
    def versions(path: Path) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for name, version in re.findall(r"^([\w.-]+)==([\w.]+)", path.read_text(), re.MULTILINE):
            found.setdefault(name, set()).add(version)
        return found

    lock, gpu = versions(REPOSITORY / "requirements.lock"), versions(IMAGES / "gpu.lock")
    assert any(name.startswith("nvidia-cudnn") for name in gpu)
    for name in gpu.keys() & lock.keys():
        assert gpu[name] <= lock[name], name
    # Beyond the lock there is only what CUDA needs, and what TensorFlow names and never imports.
    beyond = {name for name in gpu.keys() - lock.keys() if not name.startswith("nvidia-")}
    assert beyond <= {"wheel"}


@pytest.mark.needs_more
def test_the_commands_of_the_environment_make_one_that_runs(tmp_path):
    """In an empty folder and an empty environment; apt-get's alone is left to a real build."""
    places = {"/build": tmp_path / "build", "/opt": tmp_path / "opt"}
    # How the machine reaches its registry.
    settings = {name: value for name, value in os.environ.items() if NETWORK.match(name)}
    own = Path.home() / ".config"  # Where the machine says what registry it uses.
    mounts = places | ({str(own): own} if own.is_dir() else {})
    for folder in (*places.values(), tmp_path / "package"):
        folder.mkdir()
    for name in copied("environment"):
        subprocess.run(["cp", "-r", REPOSITORY / name, places["/build"]], check=True)

    def run(*command: str) -> str:
        root = tmp_path / f"root-{len(list(tmp_path.iterdir()))}"
        root.mkdir()
        sandbox = Sandbox(root=root, package=tmp_path / "package", mounts=mounts)
        environment = {**settings, "HOME": str(Path.home())}
        with (tmp_path / "log.txt").open("w+b") as log:
            code = sandbox.run(list(command), environment, None, log)
        said = (tmp_path / "log.txt").read_text()
        assert code == 0, said[-3000:]
        return said

    commands = [rest for kind, rest in stages()["environment"] if kind == "RUN"]
    assert len(commands) == 3 and commands[0].startswith("apt-get")
    for command in commands[1:]:
        run("/bin/bash", "-euo", "pipefail", "-c", f"cd /build && {command}")
    python = "/opt/deeplab/bin/python"
    said = run(python, "-c", "import pipeline, sys; print(pipeline.__file__, sys.prefix)")
    assert "/opt/deeplab/lib/python3.11/site-packages/pipeline/__init__.py /opt/deeplab" in said
    assert "usage: python -m pipeline" in run(python, "-m", "pipeline", "--help")
    run(python, "-m", "pipeline.kubeflow.step", "--help")
    shutil.rmtree(tmp_path)  # Four GB.
