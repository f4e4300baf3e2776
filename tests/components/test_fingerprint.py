"""What a step's cache key sees."""

import shutil
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

MODULES = ("components.report", "components.trainer", "components.dataset.sample")


@pytest.fixture
def source(tmp_path):
    """A copy of the packages, and the fingerprints of `MODULES` in it."""
    for package in ("components", "models", "schemas"):
        shutil.copytree(REPOSITORY / package, tmp_path / package)

    def fingerprints() -> dict[str, str]:
        code = (
            "import sys; from components.fingerprint import source_fingerprint as of; "
            "print(*map(of, sys.argv[1:]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, *MODULES],
            cwd=tmp_path, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return dict(zip(MODULES, done.stdout.split(), strict=True))

    return tmp_path, fingerprints


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("components/report/page.html.jinja", {"components.report"}),
        ("components/pages/page_base.html.jinja", {"components.report"}),
        ("components/dataset/records.py", set(MODULES)),
        ("components/dataset/overview/page.html.jinja", set()),
        ("models/head.py", {"components.trainer"}),
    ],
)
def test_a_changed_file_changes_the_steps_that_use_it(source, file, changed):
    folder, fingerprints = source
    before = fingerprints()
    with (folder / file).open("a") as stream:
        stream.write("\n")
    after = fingerprints()
    assert {name for name in MODULES if after[name] != before[name]} == changed
