"""Says in one line what to do where the Python at hand is too old or lacks the packages.

Called before anything else is imported. The standard library only, and nothing that Python 3.8
cannot read: whoever types `python3` in a fresh shell must get this line and no stack trace.
"""

import importlib.util
import sys
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)
"""Versions of Python that the lock serves."""

PACKAGES = (
    "PIL",
    "absl",
    "annotated_types",
    "apache_beam",
    "boto3",
    "botocore",
    "cryptography",
    "cyclonedx",
    "google.protobuf",
    "google_crc32c",
    "grimp",
    "grpc",
    "h5py",
    "in_toto_attestation",
    "jinja2",
    "keras",
    "keras_tuner",
    "kfp",
    "kfp_server_api",
    "ml_metadata",
    "model_signing",
    "numpy",
    "packageurl",
    "psutil",
    "pydantic",
    "pyvips",
    "rich",
    "scipy",
    "simplejpeg",
    "tensorboard",
    "tensorflow",
    "tensorflow_metadata",
    "tensorflow_model_analysis",
    "tensorflow_serving",
    "tensorflow_transform",
    "tfx",
    "urllib3",
    "yaml",
)
"""All that the code imports beyond the standard library and itself."""

_ROOT = Path(__file__).resolve().parent.parent

_OWN = ("components", "models", "pipeline", "schemas")
"""Packages of the project. Their names are common: others may come first on Python's path."""


def require() -> None:
    """Ends the process with exit code 2 and one line on stderr unless all is installed."""
    fault = find_fault(sys.version_info[:2])
    if fault:
        sys.stderr.write(fault + "\n")
        sys.exit(2)


def find_fault(version):
    """What is wrong with this Python, as one sentence; None where nothing is.

    Args:
        version: of Python, as (major, minor).
    """
    got = "Python {}.{} ({})".format(*version, sys.executable)
    if not OLDEST <= version <= NEWEST:
        expected = "Python {}.{} to {}.{}".format(*OLDEST, *NEWEST)
    else:
        missing = [name for name in PACKAGES if not _is_found(name)]
        if not missing:
            return _fault_of_path() or _fault_of_flags()
        expected = "the packages of requirements.lock"
        more = f" and {len(missing) - 1} more" if missing[1:] else ""
        got += f" without {missing[0]}{more}"
    return f"expected {expected}; got {got}; to fix, {_fix()}"


def _fault_of_path():
    for name in _OWN:
        spec = importlib.util.find_spec(name)
        place = spec and (spec.origin or next(iter(spec.submodule_search_locations or ()), None))
        if place is None or _ROOT not in Path(place).resolve().parents:
            return (
                f"expected the package {name} of {_ROOT}; got {place or 'none'}, which Python "
                "finds first; to fix, take its folder out of PYTHONPATH, or start from another "
                "folder"
            )
    return None


def _fault_of_flags():
    if sys.flags.optimize < 2:
        return None
    return (
        "expected Python with docstrings, which TensorFlow reads when it is imported; got -OO or "
        "PYTHONOPTIMIZE=2; to fix, unset it"
    )


def _is_found(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # of the package around it
        return False


def _fix():
    if not (_ROOT / "Makefile").exists():
        return "install the packages of the project's lock file"
    spec = sys.modules["__main__"].__spec__
    command = Path(sys.argv[0]).name
    if spec is not None:  # started with -m
        command = "-m " + (spec.parent or spec.name)
    return (
        f"run make setup in {_ROOT}, and then .venv/bin/python {command} "
        "(or source .venv/bin/activate)"
    )
