"""The project as a package: its dependencies, its files, and how it runs from elsewhere."""

import ast
import hashlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from components import installed
from tests.conftest import REPOSITORY

PACKAGES = ("components", "models", "pipeline", "schemas")
RUNNERS = ("kubeflow_runner", "local_runner")
IMPORTED_BY_OTHERS = {"kfp-pipeline-spec"}
"""By kfp, whose range is wider."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The repository's code: a build writes beside its sources."""
    folder = tmp_path_factory.mktemp("copy") / "repository"
    for name in (*PACKAGES, "benchmarks", "tests"):
        shutil.copytree(
            REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", "setup.py", *(f"{runner}.py" for runner in RUNNERS)):
        shutil.copy(REPOSITORY / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(copy) -> zipfile.ZipFile:
    options = ("--no-deps", "--no-build-isolation", "--no-index", "-q", "-w", copy / "wheels")
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, copy], check=True)
    (path,) = (copy / "wheels").iterdir()
    return zipfile.ZipFile(path)


def sources() -> Iterator[Path]:
    """All files that a run may need, relative to the repository."""
    for package in PACKAGES:
        for path in (REPOSITORY / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(REPOSITORY)
    for runner in RUNNERS:
        yield Path(f"{runner}.py")


def imported() -> set[str]:
    """Packages that the sources import, without the standard library and their own."""
    found = set()
    for path in sources():
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse((REPOSITORY / path).read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    # Google's packages share their first name.
    found = {".".join(name.split(".")[: 2 if name.startswith("google.") else 1]) for name in found}
    return found - set(sys.stdlib_module_names) - {*PACKAGES, *RUNNERS}


def metadata(wheel) -> str:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return wheel.read(name).decode()


def requirements(wheel) -> dict[str, Requirement]:
    lines = re.findall("^Requires-Dist: (.*)$", metadata(wheel), re.MULTILINE)
    return {requirement.name: requirement for requirement in map(Requirement, lines)}


def test_the_check_at_the_start_knows_every_import():
    assert sorted(imported()) == sorted(installed.PACKAGES)


def test_install_requires_names_what_is_imported_and_nothing_else(wheel):
    folders = {name.replace(".", "/") for name in imported()}
    owned = {
        canonicalize_name(distribution.name): {
            folder for folder in folders if any(file.is_relative_to(folder) for file in files)
        }
        for distribution in importlib.metadata.distributions()
        if (files := distribution.files)
    }
    required = set(requirements(wheel)) - IMPORTED_BY_OTHERS
    assert {name for name in required if not owned[name]} == set()
    assert folders - set().union(*(owned[name] for name in required)) == set()


def test_the_lock_is_made_from_install_requires_and_serves_it(wheel):
    named = re.findall(r"^[a-z0-9-]+", (REPOSITORY / "requirements.in").read_text(), re.MULTILINE)
    lock = re.findall(
        r"^([a-z0-9-]+)==([^ ;\\]+)", (REPOSITORY / "requirements.lock").read_text(), re.MULTILINE
    )
    assert set(named) <= {name for name, _ in lock}
    for name, requirement in requirements(wheel).items():
        assert name in named
        versions = [version for locked, version in lock if locked == name]
        assert versions and all(requirement.specifier.contains(version) for version in versions)


def test_python_versions_are_the_same_everywhere(wheel):
    (requires,) = re.findall("^Requires-Python: (.*)$", metadata(wheel), re.MULTILINE)
    minors = [minor for minor in range(20) if SpecifierSet(requires).contains(f"3.{minor}.1")]
    assert ((3, minors[0]), (3, minors[-1])) == (installed.OLDEST, installed.NEWEST)
    makefile = (REPOSITORY / "Makefile").read_text()
    assert f"{installed.OLDEST} <= sys.version_info[:2] <= {installed.NEWEST}" in makefile


def test_the_wheel_has_all_sources_and_nothing_else(wheel):
    files = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert files == {str(path) for path in sources()}
    for name in files:
        assert wheel.read(name) == (REPOSITORY / name).read_bytes(), name


def test_the_wheel_has_the_command(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith("/entry_points.txt"))
    assert "deeplab-pipeline = pipeline.__main__:main" in wheel.read(name).decode()


# === Installed, and run from an empty folder ===

COMMANDS = [
    ["-m", "local_runner", "--dry-run"],
    ["-m", "pipeline", "doctor"],
    ["-m", "kubeflow_runner", "--dry-run", "--image", "deeplab:1", "--allow-tag"],
    ["-m", "components.dataset", "build", "--help"],
]
"""After `python`; each ends well and writes nothing outside the current folder."""


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def python(copy, tmp_path_factory) -> Path:
    """A Python in which the project is installed; it sees the packages of this one."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (locked,) = (path for path in sys.path if path.endswith("site-packages"))
    (site / "locked.pth").write_text(locked)
    python = folder / "bin" / "python"
    options = ("--no-deps", "--no-build-isolation", "--no-index", "-q")
    subprocess.run([python, "-m", "pip", "install", *options, copy], check=True)
    assert {path.name for path in site.iterdir()} >= {*PACKAGES, "local_runner.py"}
    return python


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_installed_it_runs_from_an_empty_folder_and_writes_only_there(python, words, tmp_path):
    (site,) = python.parent.parent.glob("lib/python*/site-packages")
    before = contents(site)
    done = subprocess.run(
        [python, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert contents(site) == before
    assert {path.name for path in tmp_path.iterdir()} <= {"output", "data"}
