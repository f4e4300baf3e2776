"""The project as an image has it: installed, and not as the checkout that a command runs from."""

import shutil
import subprocess
import sys
from pathlib import Path

import pipeline
from components.errors import ConfigError

_ROOT = Path(pipeline.__file__).resolve().parents[1]
_FILES = ("setup.py", "pyproject.toml", "kubeflow_runner.py", "local_runner.py")
_PACKAGES = ("components", "models", "pipeline", "schemas")


def install(folder: Path) -> None:
    """Installs the project that this command runs from into a folder, without its dependencies.

    Where it is installed already, its files are copied.

    Args:
        folder: is made.

    Raises:
        ConfigError: pip cannot install it.
    """
    if not (_ROOT / "setup.py").exists():
        for name in _PACKAGES:
            shutil.copytree(_ROOT / name, folder / name)
        return
    sources = folder.with_name("sources")  # A build writes beside its sources.
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
