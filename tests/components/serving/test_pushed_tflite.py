"""Files for phones travel with the version that they were made of, or nothing is pushed."""

import os

import pytest

from components.artifacts import TFLiteModels
from components.serving import versions
from components.storage import paths
from components.tflite.results import PUSHED, TFLiteReport
from tests.components.serving.test_pusher import (  # noqa: F401
    artifact,
    folder,
    inputs,
    push,
    served,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def tflite(artifact, inputs):  # noqa: F811
    """An artifact of one file, given to the step."""
    made = artifact(TFLiteModels, "tflite")
    inputs["tflite"] = made

    def write(content: bytes = b"file", reasons: tuple[str, ...] = ()) -> None:
        paths.write_bytes(f"{made.uri}/float32.tflite", content)
        report = TFLiteReport(pictures=1, threads=1, mean_iou=0.5, kinds=(), reasons=reasons)
        report.write(made.uri)

    write()
    return write


def test_the_files_are_in_the_version_and_its_hash(tflite, push, folder):  # noqa: F811
    version = push()["destination"]
    file = f"{version}/{PUSHED}/float32.tflite"
    assert paths.list_folder(f"{version}/{PUSHED}") == ["float32.tflite"]
    assert paths.read_bytes(file) == b"file" and versions.is_unharmed(version)
    paths.write_bytes(file, b"another")
    assert not versions.is_unharmed(version)


def test_the_same_files_are_not_pushed_twice_and_others_are(tflite, push, inputs):  # noqa: F811
    assert push()["is_new"] == 1
    assert push()["is_new"] == 0
    tflite(b"another")
    assert push()["is_new"] == 1
    del inputs["tflite"]
    without = push()
    assert without["is_new"] == 1
    assert not paths.exists(f"{without['destination']}/{PUSHED}")
    assert push()["is_new"] == 0


def test_refused_files_stop_the_push(tflite, push, folder):  # noqa: F811
    tflite(reasons=("expected the int8 file within 1.1 points; got less",))
    assert push()["pushed"] == 0
    assert not os.path.exists(folder)
