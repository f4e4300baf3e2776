"""Fixtures of all tests."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items):
    """Marks the tests that need the real pictures, so that `make test` can leave them out."""
    for item in items:
        if "shared_data" in item.fixturenames:
            item.add_marker("real_data")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real pictures and checkpoints, from the environment."""
    folder = os.environ.get("DEEPLAB_TEST_DATA")
    if not folder:
        pytest.fail(
            "expected DEEPLAB_TEST_DATA to name the folder with VOCdevkit, ADEChallengeData2016 "
            "and checkpoints; got nothing; to fix, set it"
        )
    return Path(folder)
