"""What is wrong with a machine is said before a run, not after hours of it."""

import json
import os
import resource
import subprocess
import sys

import pytest

from components.errors import ConfigError
from pipeline import doctor, environment
from tests.conftest import REPOSITORY


def check_of(name: str, checks: list[doctor.Check]) -> doctor.Check:
    (check,) = (check for check in checks if check.name == name)
    return check


def test_every_folder_that_a_run_writes_to_is_tried(tmp_path):
    place = environment.load("local", root=str(tmp_path / "output")).made_absolute()
    doctor.require_healthy(doctor.examine(place))
    for field, value in (
        ("served", "/proc/served"),
        ("artifacts", "/proc/artifacts"),
        ("training_states", "/proc/states"),
        ("records", "/proc/records"),
        ("metadata", "sqlite:/proc/metadata/db"),
    ):
        odd = place.model_copy(update={field: value})
        with pytest.raises(ConfigError, match="expected a folder that can be written; got"):
            doctor.require_healthy(doctor.examine(odd))


SCRIPT = """
import dataclasses, json, pathlib, sys
from pipeline import doctor
checks = doctor.examine_machine(pathlib.Path(sys.argv[1]), 0.0)
print(json.dumps([dataclasses.asdict(check) for check in checks]))
"""


def examined(folder, preexec=None, **variables: str) -> list[doctor.Check]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)],
        cwd=REPOSITORY, env=os.environ | variables, capture_output=True, text=True,
        check=True, preexec_fn=preexec,
    )  # fmt: skip
    return [doctor.Check(**check) for check in json.loads(done.stdout)]


def test_a_temporary_folder_without_room(tmp_path):
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    check = check_of("Temporary", examined(tmp_path, limited))
    assert check.fatal and "got File too large; to fix, set TMPDIR" in check.problem


def test_a_temporary_folder_that_is_none_is_said(tmp_path):
    nowhere = str(tmp_path / "nowhere")
    check = check_of("Temporary", examined(tmp_path, TMPDIR=nowhere))
    assert check.found.endswith(f"; TMPDIR={nowhere} is none") and not check.problem
    check = check_of("Temporary", examined(tmp_path, TMPDIR=str(tmp_path)))
    assert check.found == str(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["XLA_FLAGS", "TF_XLA_FLAGS"])
@pytest.mark.parametrize("value", ["--no_such_flag", "no_such_file"])
def test_flags_that_would_end_tensorflow_are_named(tmp_path, name, value):
    """TensorFlow aborts the process that meets them, in the middle of a run."""
    check = check_of("XLA", examined(tmp_path, **{name: value}))
    assert check.fatal and value in check.problem and check.problem.endswith(f"unset {name}")


@pytest.mark.slow
def test_good_flags_are_left_alone(tmp_path):
    good = "--xla_cpu_enable_fast_math=false"
    assert not check_of("XLA", examined(tmp_path, XLA_FLAGS=good)).problem
