"""Pushed, pushed, rolled back: the next run of either configuration knows what a person decided.

The tests stand in the order of one story and share its output folder.
"""

import io
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from components.metadata import runs
from components.serving import models_config, succession, versions
from components.serving.client import Client
from components.serving.server import launch
from tests.end_to_end.conftest import open_metadata

pytestmark = pytest.mark.slow

CHANGES = (
    "data.train_limit=8",
    "data.val_limit=4",
    "data.canvas_size=97",
    "training.steps_per_epoch=2",
    "training.batch_size=4",
    "model.width_multiplier=0.35",
    "model.aspp_depth=8",
    "model.decoder=false",
    "evaluation.min_mean_iou=0",
    "evaluation.max_mean_iou_drop=1",
    "evaluation.allow_dead_classes=true",
    "push.batch_sizes=[1, 2]",
)
A, B = "training.steps=2", "training.steps=4"


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("rollback") / "output"


@pytest.fixture(scope="module")
def folder(output) -> str:
    return str(output / "serving" / "deeplab")


@pytest.fixture
def run(checkout, output):
    def run(*assignments: str) -> subprocess.CompletedProcess:
        words = (w for change in (*CHANGES, *assignments) for w in ("--set", change))
        return checkout.run(*words, "--output", str(output))

    return run


@pytest.fixture
def verb(checkout, output):
    def verb(name: str, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", name, *words, "--output", str(output)],
            cwd=checkout.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return verb


def test_two_runs_push_two_versions(run, folder):
    for change in (A, B):
        done = run(change)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "blessed, proven to serve and pushed" in done.stdout
    second, first = versions.versions(folder)
    assert versions.content(first) != versions.content(second)
    assert models_config.labels(folder) == {"stable": int(Path(second).name)}
    assert succession.baseline_version(folder, "another") == second


def test_back_to_the_first_while_clients_ask(verb, folder, tmp_path):
    second, first = versions.versions(folder)
    picture = tmp_path / "picture.jpg"
    Image.new("RGB", (120, 80), "green").save(picture)

    def served() -> list[str]:
        """Of which versions the server answers, once a mask has come from it."""
        (answer,) = Client(server.grpc_address, "deeplab").segment([picture.read_bytes()])
        assert not answer.error
        assert Image.open(io.BytesIO(answer.mask)).size == (120, 80)
        states = server.get()["model_version_status"]
        return [each["version"] for each in states if each["state"] == "AVAILABLE"]

    with launch.running(folder, "deeplab", program=None, log=tmp_path / "log") as server:
        server.wait_until_available(120)
        assert served() == [Path(second).name]
        verb("rollback", "--reason", "a test")
        copy = versions.newest_version(folder)
        give_up = time.monotonic() + 120
        while served() != [Path(copy).name]:
            assert time.monotonic() < give_up, server.last_words()
    assert versions.content(copy) == versions.content(first)
    number = Path(second).name
    (line,) = (line for line in verb("history").splitlines() if line.split()[:1] == [number])
    assert line.rstrip().endswith(f"replaced by {Path(copy).name}")


def test_what_is_served_now_is_what_was_judged_to_the_last_pixel(verb, folder):
    said = verb("parity")
    assert "4 pictures" in said and "other pixels   0\nother counts   0\n" in said
    (served, judged, pushed) = (line.split()[-1] for line in said.splitlines()[-3:])
    known = versions.read_provenance(versions.newest_version(folder))
    assert known.republished
    assert served == judged == pushed == f"{known.mean_iou:.6f}"


def test_what_was_replaced_is_not_pushed_again(run, folder):
    before = versions.versions(folder)
    done = run(B)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "Not blessed: expected a candidate that nobody took back" in done.stdout
    assert "Trainer" not in done.stdout and versions.versions(folder) == before


def test_the_run_behind_what_is_served_has_nothing_to_do_and_says_what_serves_it(
    run, folder, output
):
    before = versions.versions(folder)
    done = run(A)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Served {before[0]}, by a rollback" in " ".join(done.stdout.split())
    assert "this very model is pushed already, nothing new" in done.stdout
    assert versions.versions(folder) == before
    steps = runs.latest_run(open_metadata(output))
    assert {steps[name].state for name in ("Baseline", "Trainer", "Evaluator", "Pusher")} == {
        "cached"
    }


def test_a_person_may_go_forward_again(verb, run, folder):
    _copy, second, _first = versions.versions(folder)
    verb("rollback", Path(second).name)
    done = run(B)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing new" in done.stdout
    assert versions.content(versions.newest_version(folder)) == versions.content(second)
