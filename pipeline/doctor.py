"""Looks at the machine before a run: what is missing, and what to do about it."""

import dataclasses
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

from components.errors import ConfigError
from components.storage import paths
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
    checks = examine_machine(Path(environment.root), environment.min_free_disk_gb)
    elsewhere = [environment.artifacts, environment.served, environment.training_states]
    elsewhere.append(environment.records)
    if environment.metadata.startswith("sqlite:"):
        elsewhere.append(os.path.dirname(environment.metadata.removeprefix("sqlite:")))
    for folder in dict.fromkeys(elsewhere):
        # A run must not find out after hours that it cannot push.
        if folder and not paths.is_remote(folder) and not _is_below(folder, environment.root):
            checks.append(_writable(Path(folder)))
    return checks


def _is_below(folder: str, root: str) -> bool:
    return Path(folder).resolve().is_relative_to(Path(root).resolve())


def examine_machine(output: Path, min_free_disk_gb: float) -> list[Check]:
    """Checks Python, glibc, TFX's components, memory, disks and GPU, in seconds.

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
        _xla(),
        _temporary(),
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
        components: the module `tfx.components`, imported.

    Raises:
        ConfigError: naming the components.
    """
    needed = ("StatisticsGen", "ExampleValidator", "Trainer", "Evaluator")
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


_SOME_GPUS = re.compile(r"\s*(\d|GPU-|MIG-)")
"""The driver takes numbers and identities up to the first that is none."""


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
            visible = os.environ.get("CUDA_VISIBLE_DEVICES")
            if visible is not None and not _SOME_GPUS.match(visible):
                return Check("GPU", f"none, CUDA_VISIBLE_DEVICES is {visible!r} and hides all")
            return Check("GPU", ", ".join(done.stdout.split("\n")).strip(", "))
    return Check("GPU", f"none; training runs on {os.cpu_count()} CPU cores")


def _xla() -> Check:
    """Flags of XLA that TensorFlow does not know end its process, without an exception.

    Only TensorFlow itself can tell, and takes ten seconds; most machines set none.
    """
    given = {name: os.environ[name] for name in _FLAGS if os.environ.get(name)}
    if not given:
        return Check("XLA", "no flags")
    found = ", ".join(f"{name}={value}" for name, value in given.items())
    done = subprocess.run(
        [sys.executable, "-c", _COMPILE],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if not done.returncode:
        return Check("XLA", found)
    said = [line for line in done.stderr.splitlines() if any(name in line for name in _FLAGS)]
    reason = said[-1].rpartition("] ")[2] if said else f"exit status {done.returncode}"
    return Check(
        "XLA",
        found,
        f"expected flags that TensorFlow takes; got {reason.strip()}; to fix, unset "
        f"{' and '.join(given)}",
    )


_COMPILE = """
import tensorflow as tf
tf.function(lambda x: x + 1, jit_compile=True)(tf.constant(1.0))
"""
_FLAGS = ("XLA_FLAGS", "TF_XLA_FLAGS")


def _temporary() -> Check:
    """Every step unpacks and exports by way of it; Python falls back on others silently."""
    try:
        with tempfile.NamedTemporaryFile() as file:
            file.write(bytes(2**20))
            file.flush()
            folder, asked = os.path.dirname(file.name), os.environ.get("TMPDIR", "")
            unfit = asked and os.path.abspath(asked) != os.path.abspath(folder)
            return Check("Temporary", f"{folder}; TMPDIR={asked} is none" if unfit else folder)
    except OSError as error:
        return Check(
            "Temporary",
            os.environ.get("TMPDIR", "none"),
            f"expected a folder for temporary files with room; got {error.strerror}; to fix, set "
            "TMPDIR to another one",
        )


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
