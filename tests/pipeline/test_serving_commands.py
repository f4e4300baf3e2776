"""`serve` and `ask` as a person types them, and every command of docs/serving.md, over sockets."""

import contextlib
import os
import re
import signal
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.components.serving.small_model import Right, classes, save
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow

PAGE = (REPOSITORY / "docs" / "serving.md").read_text()
ENVIRONMENT = os.environ | {"PYTHONPATH": str(REPOSITORY)}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)


def run(*words, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *map(str, words)],
        cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True,
    )  # fmt: skip


@contextlib.contextmanager
def serving(*words, environment=None):
    """What `serve` prints until it serves, by name, on ports that are free."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "serve", *map(str, words), "--port", "0",
         "--rest-port", "0"],
        cwd=REPOSITORY, env=ENVIRONMENT | (environment or {}), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    said = ""
    try:
        while "Ctrl-C ends it" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        yield process, said
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        process.stdout.close()
    assert process.returncode == 130


def address_of(said: str) -> str:
    return re.search(r"REST: (http://\S+)/v1", said)[1]


def grpc_of(said: str) -> str:
    return re.search(r"gRPC: (\S+)", said)[1]


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("output")
    save(Right(), folder / "serving" / "deeplab" / "12")
    return folder


@pytest.fixture(scope="module")
def served(output):
    with serving("--output", output) as (_, said):
        yield said


@pytest.fixture
def here(tmp_path) -> Path:
    """A folder with a picture, in which what a page says is done."""
    pixels = np.random.default_rng(3).integers(0, 256, (30, 40, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.jpg")
    return tmp_path


def require_mask(folder: Path, name: str = "mask.png") -> None:
    expected = classes((folder / "picture.jpg").read_bytes()).numpy()[..., 0]
    np.testing.assert_array_equal(np.asarray(Image.open(folder / name)), expected)


# === The page ===


def in_folder(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def of_server(text: str, said: str) -> str:
    text = text.replace("grpc://localhost:8500", f"grpc://{grpc_of(said)}")
    return text.replace("http://localhost:8501", address_of(said))


def test_the_curl_commands(served, here):
    (block,) = blocks("bash")
    printed = in_folder(["bash", "-ec", of_server(block, served)], here)
    require_mask(here)
    assert '"AVAILABLE"' in printed and '"mask_bytes"' in printed


@pytest.mark.parametrize("index", [0, 1])
def test_the_python_programs(index, served, here):
    programs = blocks("python")
    assert len(programs) == 3  # The last is for phones, see tests/components/tflite.
    printed = in_folder([sys.executable, "-c", of_server(programs[index], served)], here)
    if index:
        assert re.fullmatch(r"a mask of \d+ bytes\n", printed)
    else:
        require_mask(here)


@pytest.mark.needs_more
def test_the_javascript_program(served, here):
    (block,) = blocks("javascript")
    in_folder(["node", "-e", of_server(block, served)], here)
    require_mask(here)


def test_the_line_that_serve_prints(served, here):
    (line,) = [line for line in served.splitlines() if "curl" in line]
    in_folder(["bash", "-ec", line], here)
    require_mask(here)
    (asking,) = re.findall(r"`python -m (pipeline ask.*?)`", served)
    in_folder([sys.executable, "-m", *asking.split()], here)
    require_mask(here)


# === ask ===


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_a_picture_and_a_folder_of_them(kind, served, here):
    address = {"http": address_of(served), "grpc": f"grpc://{grpc_of(served)}"}[kind]
    assert run("ask", address, here / "picture.jpg", "--to", here / "new" / "m.png").returncode == 0
    require_mask(here, "new/m.png")
    many = here / "many"
    many.mkdir()
    for name in ("a.jpg", "b.jpg", "b.png"):
        (many / name).write_bytes((here / "picture.jpg").read_bytes())
    (many / "c.txt").write_text("this is no picture")
    done = run("ask", address, many, "--to", here / "masks")
    assert done.returncode == 3
    assert "3 masks written" in done.stdout and "c.txt: expected a picture" in done.stdout
    found = sorted(path.name for path in (here / "masks").iterdir())
    assert found == ["a.png", "b.jpg.png", "b.png.png"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["http://localhost:1", "picture.jpg", "--to", "m.png"], 5, "to fix, start one with"),
        (["localhost:1", "picture.jpg", "--to", "m.png"], 2, "expected an address as http://"),
        (["{rest}", "gone.jpg", "--to", "m.png"], 2, "expected a picture at gone.jpg; got No such"),
        (["{rest}", "empty", "--to", "m"], 2, "expected pictures in empty; got an empty folder"),
        (["{rest}", "picture.jpg", "--to", "picture.jpg/m"], 2, "expected to write a mask to"),
        (["{rest}", "picture.jpg", "--to", "m", "--model", "x"], 5, "Servable not found"),
        (["{rest}", "picture.jpg", "--to", "m", "--model-version", "9"], 5, "Specific(deeplab, 9)"),
        (["{rest}", "picture.jpg", "--to", "m", "--model-version", "new"], 5, "version label: new"),
    ],
)
def test_what_cannot_be_asked_is_said(words, code, message, served, here):
    (here / "empty").mkdir()
    done = run("ask", *(word.format(rest=address_of(served)) for word in words), cwd=here)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert message in done.stdout


# === serve ===


def test_it_says_that_the_stand_in_is_one(served, output):
    assert f"a stand-in for TensorFlow Serving serves {output}/serving/deeplab. It is for" in served
    assert "not for production" in served


@pytest.mark.parametrize("where", ["serving/deeplab", "serving/deeplab/12"])
def test_a_folder_of_versions_and_a_version(where, output):
    with serving(output / where) as (_, said):
        with urllib.request.urlopen(f"{address_of(said)}/v1/models/deeplab") as answer:
            assert b'"version": "12"' in answer.read()


def test_nothing_is_left_when_it_is_ended(output):
    with serving("--output", output, "--name", "deeplab") as (process, said):
        process.terminate()
        assert process.wait() == 143
        with pytest.raises(OSError):
            urllib.request.urlopen(address_of(said))
        process.returncode = 130  # As the context expects of Ctrl-C.


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["{here}"], 2, "expected versions of a model in {here}; got none; to fix"),
        (["gs://bucket/model"], 2, "expected a model in a folder of this machine"),
        (["--output", "{here}"], 2, "expected versions of a model in {here}/serving/deeplab"),
        (["--output", "{output}", "--host", "nowhere.invalid"], 2, "expected to listen at nowhere"),
        (["--output", "{output}", "--port", "99999"], 2, "expected to listen at localhost:99999"),
        (["--output", "{output}", "--environment", "{toml}"], 2, "model_server, which is none; to"),
        (["{broken}"], 5, "to load; got "),
    ],
)
def test_what_cannot_be_served_is_said(words, code, message, output, here):
    (here / "mine.toml").write_text('root = "r"\nserving_program = "/no/model_server"\n')
    (here / "broken" / "1").mkdir(parents=True)
    (here / "broken" / "1" / "saved_model.pb").write_bytes(b"\xff")
    known = {"here": here, "output": output, "toml": here / "mine.toml", "broken": here / "broken"}
    words = [word.format(**known) for word in words]
    done = run("serve", "--port", "0", "--rest-port", "0", *words)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stdout
    assert message.format(**known) in done.stdout


def test_a_port_that_is_taken_is_said(served, output):
    port = address_of(served).rpartition(":")[2]
    done = run("serve", "--output", output, "--port", "0", "--rest-port", port)
    assert done.returncode == 2 and f"expected to listen at localhost:{port}; got" in done.stdout


def test_tensorflow_serving_is_started_where_there_is_one(output, tmp_path):
    """A program of that name on the path, which hands its flags to the stand-in."""
    program = tmp_path / "tensorflow_model_server"
    program.write_text(
        f"#!/bin/sh\nexport PYTHONPATH={REPOSITORY}\n"
        f'exec {sys.executable} -m components.serving.server "$@"\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    with serving("--output", output, environment={"PATH": path}) as (_, said):
        assert f"TensorFlow Serving, {program}, serves {output}" in said
        assert "stand-in" not in said
