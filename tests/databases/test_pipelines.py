"""Whole runs that are recorded on real servers, here and step by step as on a cluster."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.evaluator.results import load_evaluation
from components.metadata import copying, runs, stores
from pipeline import steps
from tests.conftest import REPOSITORY

pytestmark = [pytest.mark.needs_more]

VARIABLE = "METADATA_PASSWORD"
SMALL = (
    *("data.train_limit=24", "data.val_limit=8", "training.steps=4", "report.pictures=2"),
    *("evaluation.min_mean_iou=0", "evaluation.allow_dead_classes=true"),
)
NODES = set(steps.ALL) - set(steps.OPTIONAL)


def environment(folder: Path, uri: str) -> str:
    place = folder / "place.toml"
    folder.mkdir(parents=True, exist_ok=True)
    place.write_text(
        f'root = "{folder}"\nmetadata = "{uri}"\n[secrets]\nmetadata_password = "{VARIABLE}"\n'
    )
    return str(place)


def start(folder: Path, uri: str, *words: str) -> subprocess.Popen:
    settings = [word for value in SMALL for word in ("--set", value)]
    command = [sys.executable, REPOSITORY / "local_runner.py", *settings, *words]
    return subprocess.Popen(
        [*command, "--environment", environment(folder, uri)],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def ended(process: subprocess.Popen) -> str:
    said, _ = process.communicate()
    assert process.returncode == 0, said
    return said


def test_two_runs_at_once_and_their_repetition(server, tmp_path):
    both = [
        start(tmp_path / name, server.uri(), "--set", f"name={name}") for name in ("one", "two")
    ]
    for process in both:
        assert "blessed, proven to serve and pushed" in ended(process)
    store = stores.opened(server.uri(), VARIABLE)
    for name in ("one", "two"):
        found = runs.latest_run(store, f"{name}-sample")
        assert set(found) == NODES
        assert {step.state for step in found.values()} == {"complete"}
        evaluation = load_evaluation(found["Evaluator"].outputs["evaluation"][0].uri)
        assert evaluation.candidate["example_count"] == 8
    again = ended(start(tmp_path / "one", server.uri(), "--set", "name=one"))
    assert "nothing new" in again
    assert {s.state for s in runs.latest_run(store, "one-sample").values()} == {"cached"}
    version = found["Pusher"].outputs["pushed_model"][0].properties["pushed_destination"]
    records = runs.records_behind(store, version)
    assert records == found["ImportExampleGen"].outputs["examples"][0].uri
    here = stores.opened(f"sqlite:{tmp_path / 'copy'}")
    copying.copy(store, here)
    assert runs.records_behind(here, version) == records
    assert copying.identity(here) == copying.identity(store)


def test_steps_of_a_replay_leave_what_a_local_run_leaves(server, tmp_path):
    uri = server.uri(database="other")
    ended(start(tmp_path / "local", uri))
    (data,) = (tmp_path / "local" / "data").glob("sample-*")
    shared = tmp_path / "shared"
    shared.mkdir()
    os.rename(data, shared / "data")
    place = tmp_path / "cluster.toml"
    place.write_text(
        f"""
        root = "minio://bucket/runs"
        served = "/mnt/serving"
        training_states = "/mnt/training"
        image = "deeplab:test"
        allow_tag = true
        metadata = "{uri}"
        [secrets]
        metadata_password = "{VARIABLE}"
        [secret_variables]
        {VARIABLE} = "metadata/password"
        [volumes.shared]
        path = "/mnt"
        claim = "shared"
        """
    )
    settings = [word for value in SMALL for word in ("--set", value)]
    command = [sys.executable, REPOSITORY / "kubeflow_runner.py", *settings]
    done = subprocess.run(
        [*command, "--environment", place, "--output", tmp_path, "--data-dir", "/mnt/data"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert os.environ[VARIABLE] not in (tmp_path / "deeplab.yaml").read_text()
    replay = [sys.executable, "-m", "pipeline", "replay", tmp_path / "deeplab.yaml"]
    replay += ["--store", tmp_path / "store", "--volume", f"shared={shared}"]
    replay += ["--secret", f"metadata/password={VARIABLE}"]
    done = subprocess.run(replay, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for log in (tmp_path / "store" / "logs").rglob("*.txt"):
        assert os.environ[VARIABLE] not in log.read_text()
    store = stores.opened(uri, VARIABLE)
    contexts = [c for c in store.get_contexts_by_type("pipeline_run")]
    local, cluster = (shape(store, context) for context in sorted(contexts, key=lambda c: c.id))
    assert cluster == local
    assert (
        runs.latest_run(store, "deeplab-sample")["Pusher"]
        .outputs["pushed_model"][0]
        .properties["pushed_destination"]
        .startswith("/mnt/serving/deeplab/")
    )


def shape(store, run) -> dict:
    """What a run left, without addresses and numbers: each step's component, inputs, outputs.

    Values of the first step are inputs of later ones here, by TFX; Kubeflow gives them as
    parameters, which both record.
    """
    found = {}
    for execution in store.get_executions_by_context(run.id):
        node = runs.node_of(store, execution)
        events = store.get_events_by_execution_ids([execution.id])
        types = {a.id: a.type for a in store.get_artifacts_by_id([e.artifact_id for e in events])}
        used = sorted(
            (e.type, e.path.steps[0].key, e.path.steps[1].index, types[e.artifact_id])
            for e in events
            if not e.path.steps[0].key.startswith("_")
        )
        names = sorted(execution.custom_properties)
        found[node] = (execution.type, execution.last_known_state, used, json.dumps(names))
    return found
