"""Real servers of ML Metadata for the tests here."""

import os
import tempfile
from pathlib import Path

import pytest

from tests.databases import servers


@pytest.fixture(scope="session")
def place():
    """A folder that other users may enter, as pytest's are not: servers refuse to run as root."""
    with tempfile.TemporaryDirectory(prefix="servers-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def unpacked(place):
    """The folder with the servers' programs."""
    return servers.unpack(place / "packages")


@pytest.fixture(scope="module", params=sorted(servers.MAKERS))
def server(request, unpacked, place):
    """A running server of each kind, whose users have no tables yet."""
    folder = place / f"{request.param}-{request.node.name.partition('.')[0]}"
    with servers.running(unpacked, request.param, folder) as running:
        yield running


@pytest.fixture(autouse=True)
def password(monkeypatch):
    """The password of the users, as an environment hands it on."""
    monkeypatch.setenv("METADATA_PASSWORD", servers.PASSWORD)
