"""The compiled file: the same graph, in the format that Kubeflow Pipelines v2 reads."""

import json

import pytest
import yaml

from tests.end_to_end.conftest import NODES


@pytest.mark.slow
def test_kubeflow_compiles_the_same_graph(checkout):
    done = checkout.run("--pipeline-root", "gs://bucket/runs", runner="kubeflow_runner.py")
    assert done.returncode == 0, done.stdout + done.stderr
    compiled = checkout.output / "deeplab.yaml"
    assert str(compiled) in done.stdout
    spec = yaml.safe_load(compiled.read_text())
    assert spec["schemaVersion"] == "2.1.0"
    tasks = set(spec["root"]["dag"]["tasks"])
    assert {node.lower() for node in NODES - {"Baseline", "BlessedData"}} <= {
        task.lower() for task in tasks
    }
    assert "DataGate" in spec["root"]["dag"]["tasks"]["Transform"]["dependentTasks"]
    assert json.dumps(spec).count("source_fingerprint") >= 4
    # What the compiling machine has need not be where the steps run.
    assert str(checkout.folder) not in compiled.read_text()
