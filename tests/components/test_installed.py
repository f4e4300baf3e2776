"""A Python without the packages, or of another version, says so in one line."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from components import installed
from tests.conftest import REPOSITORY

ENTRIES = {
    "-m components.dataset": ["components/dataset/__init__.py", "components/dataset/__main__.py"],
    "-m pipeline": ["pipeline/__init__.py", "pipeline/__main__.py"],
    "local_runner.py": ["local_runner.py"],
    "kubeflow_runner.py": ["kubeflow_runner.py"],
}
"""What a person types after `python3`, and the files that are read before the check."""


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Path:
    """A Python that has none of the packages."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder / "bin" / "python"


def run(python: Path, *words: str) -> subprocess.CompletedProcess:
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [python, "-B", *words],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("entry", ENTRIES)
def test_without_packages(bare, entry):
    done = run(bare, *entry.split(), "--help")
    version = "{}.{}".format(*sys.version_info)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"expected the packages of requirements.lock; got Python {version} ({bare}) without PIL "
        f"and {len(installed.PACKAGES) - 1} more; to fix, run make setup in {REPOSITORY}, and "
        f"then .venv/bin/python {entry} (or source .venv/bin/activate)\n"
    )


AS_IF_OLDER = """
import runpy, sys
sys.version_info = (3, 9, 18, "final", 0)
words = sys.argv[1:]
sys.argv = words[words[0] == "-m" :]
if words[0] == "-m":
    runpy.run_module(words[1], run_name="__main__", alter_sys=True)
else:
    runpy.run_path(words[0], run_name="__main__")
"""


@pytest.mark.parametrize("entry", ENTRIES)
def test_too_old_a_python(bare, entry):
    done = run(bare, "-c", AS_IF_OLDER, *entry.split())
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"expected Python 3.11 to 3.13; got Python 3.9 ({bare}); to fix, run ")


@pytest.mark.parametrize("entry", ENTRIES)
def test_older_pythons_can_read_what_comes_before_the_check(entry):
    first = ("__init__", "entry", "installed", "settings")
    for file in (*(f"components/{name}.py" for name in first), *ENTRIES[entry]):
        ast.parse((REPOSITORY / file).read_text(), feature_version=(3, 8))


def test_here_all_is_installed():
    assert installed.find_fault(sys.version_info[:2]) is None


@pytest.mark.parametrize("version", [(3, 10), (3, 14), (4, 0), (2, 7)])
def test_versions_that_the_lock_does_not_serve(version):
    assert installed.find_fault(version).startswith("expected Python 3.11 to 3.13; got Python ")


def test_a_copy_without_a_makefile_is_sent_to_the_lock(bare, tmp_path):
    shutil.copytree(REPOSITORY / "components", tmp_path / "components")
    done = subprocess.run(
        [bare, "-m", "components.dataset"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.endswith("; to fix, install the packages of the project's lock file\n")


def test_a_package_of_the_same_name_before_ours_is_named(tmp_path):
    other = tmp_path / "other" / "models"
    other.mkdir(parents=True)
    (other / "__init__.py").touch()
    path = os.pathsep.join([str(other.parent), str(REPOSITORY)])
    for words in (["doctor"], ["run", "--dry-run"]):
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", *words],
            cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"expected the package models of {REPOSITORY}; got {other}")


def test_python_without_docstrings_is_refused():
    done = subprocess.run(
        [sys.executable, "local_runner.py", "--dry-run"],
        cwd=REPOSITORY, env=os.environ | {"PYTHONOPTIMIZE": "2"}, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.endswith("got -OO or PYTHONOPTIMIZE=2; to fix, unset it")
