"""`observe` as a person types it: verdicts, exit codes, tables, files, and what is refused."""

import io
import json
import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from components.data_gate.report import Report, Source
from components.dataset.examination.measures import NOTHING, measure
from components.errors import ConfigError, DataError
from components.serving import versions
from components.serving.server import launch
from pipeline import commands
from tests.components.observation.pictures import line, write_lines
from tests.components.serving.conftest import CLASSES
from tests.components.serving.small_model import Right, save
from tests.conftest import REPOSITORY


def run(*words) -> str:
    """What a command prints; it must not fail."""
    file = io.StringIO()
    arguments = commands.parser().parse_args([str(word) for word in words])
    commands._module(arguments.verb).main(arguments, Console(file=file, width=200))
    return file.getvalue()


def pixels_of(seed: int, count: int = 200) -> list[np.ndarray]:
    """Pictures of 40 to 59 pixels, most of them dark in their red, of which the class is made."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        height, width = random.integers(40, 60, 2)
        pixels = random.integers(90, 140, (height, width, 3), np.uint8)
        pixels[..., 0] = random.choice([70, 71, 77], p=[0.6, 0.3, 0.1])
        found.append(pixels)
    return found


def describe(version, pictures: list[np.ndarray]) -> None:
    """Puts into a version what a push puts there of the data behind it."""
    train = sum((measure(p, p[..., 0] % CLASSES) for p in pictures), NOTHING)
    source = Source(span=None, digest="ab", splits={"train": train, "val": train})
    extra = version / versions.EXTRA
    extra.mkdir(parents=True, exist_ok=True)
    (extra / versions.DATA_REPORT).write_text(Report(sources=(source,)).to_json())
    names = [f"class {label}" for label in range(CLASSES)]
    (extra / versions.MODEL_DESCRIPTION).write_text(
        json.dumps({"classes": names, "ignore_label": 255, "identity": "x"})
    )
    (version / "saved_model.pb").touch()


@pytest.fixture
def output(tmp_path):
    version = tmp_path / "output" / "serving" / "deeplab" / "3"
    describe(version, pixels_of(0))
    return tmp_path / "output"


def lines_of(pictures: list[np.ndarray], **changed) -> list[dict]:
    return [
        line(
            width=p.shape[1],
            height=p.shape[0],
            brightness=float(p.mean()),
            class_pixels={str(c): int((p[..., 0] % CLASSES == c).sum()) for c in (0, 1)},
            **changed,
        )
        for p in pictures
    ]


def test_requests_like_the_data_are_fine(output, tmp_path):
    log = write_lines(tmp_path / "log", lines_of(pixels_of(1)))
    said = run("observe", log, "--output", output)
    assert re.search(r"class +0\.0\d+ +0\.1 +200 +\d+ +fine", said)
    assert "Nothing that can be judged has drifted." in said
    assert "half within" in said and "90.0 % on average" in said and "7: 200" in said


def test_drift_is_bad_data_and_names_what_and_when(output, tmp_path):
    dark = [p // 3 for p in pixels_of(1)]
    lines = lines_of(pixels_of(2), time="2026-03-01T00:00:00Z")
    lines += [one | {"class_pixels": None} for one in lines_of(dark, time="2026-03-02T00:00:00Z")]
    log, figures = write_lines(tmp_path / "log", lines), tmp_path / "figures.json"
    with pytest.raises(DataError) as caught:
        run("observe", log, "--output", output, "--by", "day", "--json", figures)
    (fault,) = str(caught.value).split("\n")[1:-1]
    assert "brightness distance" in fault and "over 400 pictures, at most 0.2" in fault
    assert "to fix, collect such pictures, label them, and train with them" in str(caught.value)
    found = json.loads(figures.read_text())
    verdicts = {
        day: window["distances"]["brightness"]["verdict"]
        for day, window in found["windows"].items()
    }
    assert verdicts == {"2026-03-01": "fine", "2026-03-02": "drifted"}
    assert found["total"]["pictures"] == 400 and found["total"]["masks"] == 200


def test_limits_decide(output, tmp_path):
    log = write_lines(tmp_path / "log", lines_of([p // 3 for p in pixels_of(1)]))
    limits = [f"gate.max_{name}_distance=1" for name in ("class", "size", "brightness")]
    words = [word for limit in limits for word in ("--set", limit)]
    assert "drifted" not in run("observe", log, "--output", output, *words).replace(
        "has drifted", ""
    )


def test_class_areas_are_compared_with_what_the_model_itself_found(output, tmp_path):
    log = write_lines(tmp_path / "log", lines_of(pixels_of(1)))
    assert "its class areas are the labels'" in run("observe", log, "--output", output)
    extra = output / "serving/deeplab/3" / versions.EXTRA
    predicted = {f"class {label}": 0 for label in range(CLASSES)} | {"class 6": 10}
    (extra / versions.PREDICTED).write_text(json.dumps(predicted))
    with pytest.raises(DataError, match=r"class 6 has 0.0 % of the pixels, 100.0 % before"):
        run("observe", log, "--output", output)
    (extra / versions.PREDICTED).write_text(json.dumps({"class 0": 62, "class 1": 38}))
    with pytest.raises(ConfigError, match=r"got none that can be read \(KeyError\('class 2'\)\)"):
        run("observe", log, "--output", output)


def test_too_few_are_said(output, tmp_path):
    log = write_lines(tmp_path / "log", lines_of([p // 3 for p in pixels_of(1, 5)]))
    said = run("observe", log, "--output", output, "--model", output / "serving/deeplab/3")
    assert "Too few pictures to judge class, size, brightness" in said
    assert "Nothing that can be judged" not in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "expected a log of requests at nowhere; got no such file; to fix"),
        (["{log}", "--set", "gate.max_size_distance=2"], "expected gate.max_size_distance to be a"),
        (["{log}", "--set", "gate.max_size_distance=0"], "above 0; got 0"),
        (["{log}", "--set", "training.steps=3"], "expected --set with gate.max_class_distance"),
        (["{log}", "--model", "/nowhere"], "in /nowhere/assets.extra; got none that can be read"),
        (["{log}", "--output", "/nowhere"], "expected versions in /nowhere/serving/deeplab"),
        (["{log}", "--json", "/nowhere/f"], "expected to write figures to /nowhere/f; got"),
    ],
)
def test_bad_input_is_refused_without_tensorflow(output, tmp_path, words, message):
    log = write_lines(tmp_path / "log", lines_of(pixels_of(1)))
    words = [word.format(log=log) for word in words]
    if not {"--output", "--model"} & set(words):
        words += ["--output", str(output)]
    command = [sys.executable, "-X", "importtime", "-m", "pipeline", "observe", *words]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and message in done.stdout and "Traceback" not in done.stderr
    assert not re.search(r"\| +(tensorflow|keras|tfx)$", done.stderr, re.M)


@pytest.mark.parametrize(
    "damage", [b"", b"{}", b'{"sources": []}', b'{"sources": [{}], "drift": []}', b"[]", b"\xff"]
)
def test_a_version_that_does_not_say_its_data_is_refused(output, tmp_path, damage):
    log = write_lines(tmp_path / "log", lines_of(pixels_of(1)))
    version = output / "serving/deeplab/3"
    (version / versions.EXTRA / versions.DATA_REPORT).write_bytes(damage)
    with pytest.raises(ConfigError, match=r"expected .*data_report.json in .*; to fix, give"):
        run("observe", log, "--model", version)


# === A real server and a real client ===


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server that logs, of a model of the pictures of `pixels_of(0)`: it, and its log."""
    folder = tmp_path_factory.mktemp("served")
    save(Right(), folder / "deeplab" / "3")
    describe(folder / "deeplab" / "3", pixels_of(0))
    log = folder / "server.log"
    with launch.running(
        *(str(folder / "deeplab"), "deeplab"),
        program=None,
        log=folder / "log.txt",
        request_log=str(log),
    ) as server:
        server.wait_until_available(120)
        yield server, log


CHANGES = {
    "": lambda p: p,
    "brightness": lambda p: np.concatenate([p[..., :1], p[..., 1:] // 3], axis=2),
    "size": lambda p: p[:14, :14],
    "class": lambda p: np.concatenate([np.full_like(p[..., :1], 75), p[..., 1:]], axis=2),
}


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["http", "grpc"])
@pytest.mark.parametrize("changed", CHANGES)
def test_what_was_asked_is_logged_by_both_and_judged(served, tmp_path, scheme, changed):
    server, server_log = served
    (tmp_path / "pictures").mkdir()
    for index, pixels in enumerate(pixels_of(3, 50)):
        image = Image.fromarray(CHANGES[changed](pixels))
        image.save(tmp_path / "pictures" / f"{index}.png")
    address = {"http": server.rest_address, "grpc": server.grpc_address}[scheme]
    start = server_log.stat().st_size
    client_log = tmp_path / "client.log"
    run("ask", address, tmp_path / "pictures", "--to", tmp_path / "masks", "--log", client_log)
    by_client = [json.loads(text) for text in client_log.read_text().splitlines()]
    assert len(by_client) == 50
    by_server = _lines_after(server_log, start, 50)
    same = ("width", "height", "brightness", "class_pixels", "error", "asked", "model")
    assert [[one[k] for k in same] for one in by_client] == [
        [one[k] for k in same] for one in by_server
    ]
    assert {one["version"] for one in by_server} == {3}
    model = os.path.join(os.path.dirname(server_log), "deeplab", "3")
    for log in (client_log, tmp_path / "server.log"):
        if log.name == "server.log":
            write_lines(log, by_server)
        if not changed:
            assert "Nothing that can be judged has drifted" in run("observe", log, "--model", model)
            continue
        with pytest.raises(DataError) as caught:
            run("observe", log, "--model", model)
        (fault,) = str(caught.value).split("\n")[1:-1]
        assert fault.startswith(f"  {changed} distance ")


def _lines_after(path, start: int, count: int) -> list[dict]:
    """So many lines that were written after a place; the server writes them after it answered."""
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        lines = path.read_bytes()[start:].splitlines(keepends=True)
        if len(lines) >= count and lines[-1].endswith(b"\n"):
            break
        time.sleep(0.05)
    return [json.loads(text) for text in lines]
