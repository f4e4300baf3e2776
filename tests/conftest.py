"""Fixtures of all tests."""

import contextlib
import os
import signal
import urllib.request
from pathlib import Path

import pytest

import components  # noqa: F401 - before any test imports Keras, see components/settings.py
from tests.file_server import serving

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_configure():
    """Lets Ctrl-C through to the commands that tests start and end by it.

    A shell that starts the tests in the background has it ignored, and children inherit that.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.fixture
def serve():
    """Puts files on a server of their own: `serve(name=Remote(…))` gives an address for each."""
    with contextlib.ExitStack() as stack:
        yield lambda **files: stack.enter_context(serving(files))


@pytest.fixture
def s3_bucket(monkeypatch):
    """An empty bucket of a server that speaks S3, which boto3 finds."""
    # Imported here: most tests need neither.
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    # What it holds is the process', not the server's.
    urllib.request.urlopen(f"http://{host}:{port}/moto-api/reset", data=b"").close()
    boto3.client("s3").create_bucket(Bucket="bucket")
    yield "bucket"
    server.stop()
