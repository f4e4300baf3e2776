"""Looks at the machine before a run: what is missing, and what to do about it."""

import dataclasses
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import psutil

from components.errors import ConfigError
from pipeline.environment import Environment


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's findings."""

    name: str
    found: str
    problem: str = ""
    """Empty when all is well; else what to do."""
    fatal: bool = True


def examine(environment: Environment) -> list[Check]:
    """Checks this machine for runs in an environment; see `examine_machine`."""
    return examine_machine(Path(environment.root), environment.min_free_disk_gb)


def examine_machine(output: Path, min_free_disk_gb: float) -> list[Check]:
    """Checks Python, glibc, TFX's components, memory, disk and GPU, in seconds.

    Args:
        output: the root of everything a run writes.
        min_free_disk_gb: a run needs so much free space below it, in GB of 1e9 bytes.
    """
    return [
        _python(),
        _glibc(),
        _tfx(),
        _memory(),
        _gpu(),
        _writable(output),
        _disk(output, min_free_disk_gb),
    ]


def require_healthy(checks: list[Check]) -> None:
    """Raises on the first fatal finding.

    Raises:
        ConfigError: naming what was found and what to do.
    """
    for check in checks:
        if check.problem and check.fatal:
            raise ConfigError(f"{check.name}: {check.found}; {check.problem}")


def require_components(components) -> None:
    """Raises where TFX swallowed an import error and left a component undefined.

    Args:
        components: the module `tfx.v1.components`, imported.

    Raises:
        ConfigError: naming the components.
    """
    needed = ("StatisticsGen", "ExampleValidator", "Transform", "Trainer", "Evaluator")
    broken = [name for name in needed if getattr(components, name, None) is None]
    if broken:
        raise ConfigError(
            f"expected TFX with {', '.join(broken)}; got None, a native part failed to load; "
            "to fix, run make setup again on a supported Python and glibc"
        )


def _python() -> Check:
    version = platform.python_version()
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Check(
        "Python",
        version,
        ""
        if supported
        else "expected Python 3.11, 3.12 or 3.13; to fix, install one of them and "
        "run make setup PYTHON=python3.11",
    )


def _glibc() -> Check:
    name, version = platform.libc_ver()
    needed = (2, 39) if sys.version_info >= (3, 12) else (2, 28)
    found = tuple(int(part) for part in version.split(".")[:2]) if name == "glibc" else ()
    return Check(
        "C library",
        f"{name or 'unknown'} {version}".strip(),
        ""
        if found >= needed
        else f"expected glibc {needed[0]}.{needed[1]} or newer for TFX on this Python; to fix, use "
        "Python 3.11 on this system, or Ubuntu 24.04 or Debian 13",
    )


def _tfx() -> Check:
    """The packages are there; nothing is imported, that takes half a minute."""
    missing, version = [], "not installed"
    for package in ("tfx", "ml-metadata", "tensorflow-data-validation", "tfx-bsl", "tensorflow"):
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            missing.append(package)
    if "tfx" not in missing:
        version = importlib.metadata.version("tfx")
    return Check(
        "TFX",
        version,
        f"expected {', '.join(missing)} to be installed; to fix, run make setup" if missing else "",
    )


def _memory() -> Check:
    available = psutil.virtual_memory().available / 1e9
    return Check(
        "Memory",
        f"{available:.1f} GB available",
        ""
        if available >= 4
        else "expected 4 GB or more; to fix, close other programs or lower training.batch_size",
        fatal=False,
    )


def _gpu() -> Check:
    """Asks the driver: importing TensorFlow takes seconds."""
    if shutil.which("nvidia-smi"):
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0 and done.stdout.strip():
            return Check("GPU", ", ".join(done.stdout.split("\n")).strip(", "))
    return Check("GPU", f"none; training runs on {os.cpu_count()} CPU cores")


def _writable(output: Path) -> Check:
    try:
        output.mkdir(parents=True, exist_ok=True)
        probe = output / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        return Check(
            "Output",
            str(output),
            f"expected a folder that can be written; got {error.strerror}; to fix, choose another "
            "with --output",
        )
    return Check("Output", str(output))


def _disk(output: Path, min_free_disk_gb: float) -> Check:
    existing = output
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free / 1e9
    return Check(
        "Disk",
        f"{free:.1f} GB free",
        ""
        if free >= min_free_disk_gb
        else f"expected {min_free_disk_gb:g} GB free below {output}; to fix, free some space, "
        "choose another --output, or lower min_free_disk_gb of the environment",
    )
