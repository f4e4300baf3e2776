"""The house's own rules: layers, lint, no leftovers."""

import subprocess
import sys

from tests.conftest import REPOSITORY


def test_layers_point_one_way():
    done = subprocess.run(
        [f"{sys.exec_prefix}/bin/lint-imports", "--no-cache"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_ruff_has_nothing_to_say():
    done = subprocess.run(
        [f"{sys.exec_prefix}/bin/ruff", "check", "--no-cache", "."],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
