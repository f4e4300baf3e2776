"""Settings of the machine that people met, each in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.components.dataset.building import corpus
from tests.corpus import other_cases

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
DESCRIPTION = """\
title = "Own"
licence = "Ours."
ignore_label = 255
classes = [
  { id = 0, color = "#000000", name = "background" },
  { id = 1, color = "#800000", name = "left" },
  { id = 2, color = "#008000", name = "right" },
]
[source]
masks = "ids"
[source.splits.train]
images = "images/train/*"
masks = "masks/train/*"
[source.splits.val]
images = "images/val/*"
masks = "masks/val/*"
"""


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        timeout=300,
        check=False,
    )


def test_findings_reach_an_ascii_terminal(tmp_path):
    assert other_cases.ASCII.name.endswith("[yadayada/acd_cli#168]")
    corpus.write_good(tmp_path / "data", "folders")
    corpus.write(tmp_path / "data", "images/train/odd.jpg", b"no picture")
    (tmp_path / "data/images/train/odd.jpg").rename(tmp_path / "data/images/train/ö日.jpg")
    (tmp_path / "data/masks/train/odd.png").rename(tmp_path / "data/masks/train/ö日.png")
    corpus.write(tmp_path, "own/own/dataset.toml", DESCRIPTION.encode())
    schema = REPOSITORY / "schemas/sample/schema.pbtxt"
    corpus.write(tmp_path, "own/own/schema.pbtxt", schema.read_bytes())
    done = run(
        *("-m", "components.dataset", "build", "own", "--schemas", str(tmp_path / "own")),
        *("--source", str(tmp_path / "data"), "--output", str(tmp_path / "out")),
        PYTHONIOENCODING="ascii",
        LC_ALL="C",
    )
    said = (done.stdout + done.stderr).decode("ascii")
    assert done.returncode == 3, said
    assert "corrupt picture" in said and "Traceback" not in said


def test_the_network_is_the_same_whatever_keras_is_set_to(tmp_path):
    assert other_cases.KERAS_JSON.name.endswith("[perslev/U-Time#9]")
    settings = {"floatx": "float32", "backend": "tensorflow", "image_data_format": "channels_first"}
    corpus.write(tmp_path, ".keras/keras.json", json.dumps(settings).encode())
    done = run(
        "-c",
        "import components; from models import DeepLabV3Plus\n"
        "model = DeepLabV3Plus(backbone='mobilenet_v2', num_classes=3, input_shape=(65, 65, 3))\n"
        "print('shape', model.output_shape)",
        HOME=str(tmp_path),
    )
    said = (done.stdout + done.stderr).decode()
    assert "shape (None, 65, 65, 3)" in said, said
