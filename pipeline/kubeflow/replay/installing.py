"""The project as an image has it: installed, and not as the checkout that a command runs from."""

import atexit
import functools
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pipeline
from components.errors import ConfigError

_ROOT = Path(pipeline.__file__).resolve().parents[1]
_FILES = ("setup.py", "pyproject.toml", "kubeflow_runner.py", "local_runner.py")
_PACKAGES = ("components", "models", "pipeline", "schemas")


@functools.cache
def installed() -> Path:
    """A folder with the project that this command runs from, installed without its dependencies.

    It is there until the process ends. Where the project is installed, its files are copied.

    Raises:
        ConfigError: pip cannot install it.
    """
    made = tempfile.TemporaryDirectory(prefix="replay-")
    atexit.register(made.cleanup)
    _install(Path(made.name, "package"), Path(made.name, "sources"))
    return Path(made.name, "package")


def _install(folder: Path, sources: Path) -> None:
    if not (_ROOT / "setup.py").exists():
        for name in _PACKAGES:
            shutil.copytree(_ROOT / name, folder / name)
        return
    # A build writes beside its sources.
    for name in _PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(_ROOT / name, sources / name, ignore=ignored)
    for name in _FILES:
        shutil.copy(_ROOT / name, sources / name)
    options = "--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target"
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, folder, sources],
        capture_output=True,
        text=True,
    )
    shutil.rmtree(sources)
    if done.returncode:
        raise ConfigError(
            f"expected that pip installs the project from {_ROOT}; got {done.stderr.strip()}; to "
            "fix, set the environment up anew, with setuptools in it"
        )
