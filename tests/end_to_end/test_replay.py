"""The compiled file, walked as Kubeflow would, makes and pushes what the local run does.

The tests stand in the order of one story and share its store and its volume.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from components.evaluator.results import load_evaluation
from components.serving import versions
from tests.end_to_end.conftest import NODES

pytestmark = pytest.mark.slow

CHANGES = {
    "data.train_limit": 8,
    "data.val_limit": 4,
    "data.canvas_size": 97,
    "training.steps": 2,
    "training.steps_per_epoch": 2,
    "training.batch_size": 4,
    "model.width_multiplier": 0.35,
    "model.aspp_depth": 8,
    "model.decoder": "false",
    "evaluation.min_mean_iou": 0,
    "evaluation.max_mean_iou_drop": 1,
    "evaluation.allow_dead_classes": "true",
    "push.batch_sizes": "[1, 2]",
}
WORDS = [word for path, value in CHANGES.items() for word in ("--set", f"{path}={value}")]
CLUSTER = f"""
root = "minio://mlpipeline/deeplab"
served = "/mnt/deeplab/serving"
training_states = "/mnt/deeplab/training"
records = "/mnt/deeplab/data"
image = "registry.example/deeplab@sha256:{"0" * 64}"

[volumes.deeplab]
claim = "deeplab"
path = "/mnt/deeplab"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Of the local run's output, the compiled file, the store and the volume."""
    return tmp_path_factory.mktemp("replay")


@pytest.fixture(scope="module")
def local(checkout, folder):
    """What the local runner has printed."""
    done = checkout.run(*WORDS, "--output", str(folder / "local"))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def replay(checkout, folder, local):
    """Replays the file with parameters; the volume has the records of the local run."""
    (folder / "cluster.toml").write_text(CLUSTER)
    arguments = "--environment", str(folder / "cluster.toml"), "--output", str(folder / "compiled")
    done = checkout.run(*WORDS, *arguments, runner="kubeflow_runner.py")
    assert done.returncode == 0, done.stdout + done.stderr
    (records,) = (folder / "local" / "data").glob("sample*")
    shutil.copytree(records, folder / "volume" / "data" / "sample")
    words = [
        *(sys.executable, "-m", "pipeline", "replay", str(folder / "compiled" / "deeplab.yaml")),
        *("--store", str(folder / "store"), "--volume", f"deeplab={folder / 'volume'}"),
    ]

    def replay(**parameters) -> subprocess.CompletedProcess:
        given = [f"--parameter={name}={value}" for name, value in parameters.items()]
        return subprocess.run(
            [*words, *given], cwd=checkout.folder, capture_output=True, text=True, check=False
        )

    return replay


def states(printed: str) -> dict[str, str]:
    """How each step ended, from the lines of a replay."""
    lines = re.findall(r"^\[\d+/\d+\] (\S+) +(done|cached|failed) ", printed, re.MULTILINE)
    return dict(lines)


def evaluations(store: Path) -> list[Path]:
    found = (store / "minio").glob("**/Evaluator/*/evaluation")
    return sorted(found, key=lambda path: path.stat().st_mtime)


def table(printed: str) -> list[list[str]]:
    """The scores that a run prints at its end."""
    rows = printed.rpartition(" candidate ")[2].partition(" step ")[0].splitlines()[1:]
    return [row.split() for row in rows if row.strip()]


def test_a_replay_pushes_a_model_with_the_figures_of_the_local_run(replay, local, folder):
    done = replay()
    assert done.returncode == 0, done.stdout + done.stderr
    assert states(done.stdout) == dict.fromkeys(NODES, "done")
    verdict = "Verdict      blessed, proven to serve and pushed"
    assert verdict in done.stdout and verdict in local
    assert table(done.stdout) == table(local) != []
    (seen,) = evaluations(folder / "store")
    (of_local,) = (folder / "local" / "artifacts").glob("Evaluator/evaluation/*")
    found, expected = load_evaluation(str(seen)), load_evaluation(str(of_local))
    assert found.candidate == pytest.approx(expected.candidate, abs=1e-6, nan_ok=True)
    pushed = versions.versions(str(folder / "volume/serving/deeplab"))
    of_local = versions.versions(str(folder / "local/serving/deeplab"))
    assert len(pushed) == len(of_local) == 1 and pushed[0] in done.stdout
    descriptions = [
        json.loads(Path(version, versions.EXTRA, "model.json").read_text())
        for version in (*pushed, *of_local)
    ]
    assert descriptions[0]["classes"] == descriptions[1]["classes"]


def test_no_path_of_a_step_or_of_this_machine_is_in_what_was_pushed(folder):
    """The launcher's paths, which mean nothing after the step, and those of the store."""
    (version,) = versions.versions(str(folder / "volume/serving/deeplab"))
    for path in (path for path in Path(version).rglob("*") if path.is_file()):
        content = path.read_bytes()
        assert b"/minio/" not in content and str(folder).encode() not in content, path


def test_a_second_replay_is_answered_from_the_cache(replay):
    done = replay()
    assert done.returncode == 0, done.stdout + done.stderr
    assert states(done.stdout) == {**dict.fromkeys(NODES, "cached"), "Sources": "done"}
    assert "this very model is pushed already" in done.stdout


def test_a_wrong_parameter_ends_with_the_sentence_of_the_command_line(replay, checkout, folder):
    done = replay(training_steps=-1)
    assert done.returncode == 2, done.stdout + done.stderr
    assert states(done.stdout) == {"Sources": "failed"}
    door = checkout.run("--set", "training.steps=-1", "--output", str(folder / "refused"))
    (sentence,) = re.findall(r"expected training\.steps .*", " ".join(door.stdout.split()))
    assert sentence in " ".join(done.stdout.split())


def test_a_refusal_by_the_gate_ends_with_its_exit_code_and_voids_few_steps(replay, folder):
    done = replay(evaluation_min_mean_iou=0.99)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "Not blessed: " in done.stdout and "nothing was pushed" in done.stdout
    ran = {step for step, state in states(done.stdout).items() if state == "done"}
    assert ran == {"Sources", "Evaluator", "Report", "Pusher"}
    assert len(versions.versions(str(folder / "volume/serving/deeplab"))) == 1


def test_a_longer_training_repeats_what_it_changes_and_is_only_judged(replay, folder):
    done = replay(training_steps=4, push_enabled="false")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not pushed, for push.enabled is false" in done.stdout
    ran = {step for step, state in states(done.stdout).items() if state == "done"}
    judged = {"Evaluator", "Report", "ServingCheck", "Pusher"}
    # It is measured up to the model that is served now. InitialWeights only asks whether there are
    # any steps.
    assert ran == {"Sources", "Baseline", "DriftGate", "Trainer", *judged}
    assert len(versions.versions(str(folder / "volume/serving/deeplab"))) == 1
