"""The compiled file: the same graph, in the format that Kubeflow Pipelines v2 reads."""

import json

import pytest
import yaml

from components import runtime
from pipeline import steps
from tests.end_to_end.conftest import NODES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def compiled(checkout):
    arguments = "--pipeline-root", "gs://bucket/runs", "--image", "registry.example/deeplab:1"
    done = checkout.run(*arguments, runner="kubeflow_runner.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(checkout.output / "deeplab.yaml") in done.stdout
    return (checkout.output / "deeplab.yaml").read_text()


@pytest.fixture(scope="module")
def planned(checkout):
    """The steps that a dry run of the local runner prints, and what each comes after."""
    # Apart from what other tests have pushed, which may be of other classes.
    done = checkout.run("--dry-run", "--output", str(checkout.output.with_name("planned")))
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.partition("configuration")[0].splitlines()
    after = {}
    for line in lines:
        if line.startswith("  "):
            node, _, upstream = line.strip().partition(" after ")
            after[node.strip()] = set(filter(None, upstream.strip().split(", ")))
    return after


def test_all_nodes_and_arrows_are_those_of_the_local_graph(compiled, planned):
    spec = yaml.safe_load(compiled)
    assert spec["schemaVersion"] == "2.1.0"
    tasks = spec["root"]["dag"]["tasks"]
    assert set(tasks) == set(planned) == NODES
    for name, task in tasks.items():
        assert set(task.get("dependentTasks", ())) == planned[name], name


def test_optional_steps_change_no_others_but_those_they_feed(compiled, checkout, tmp_path):
    space = json.dumps({"training.learning_rate": {"min": 1e-3, "max": 1e-2}})
    done = checkout.run(
        *("--pipeline-root", "gs://bucket/runs", "--image", "registry.example/deeplab:1"),
        *("--set", "tuner.trials=2", "--set", f"tuner.space={space}", "--output", str(tmp_path)),
        *("--set", 'tflite.kinds=["int8"]'),
        runner="kubeflow_runner.py",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    changed = yaml.safe_load((tmp_path / "deeplab.yaml").read_text())["root"]["dag"]["tasks"]
    plain = yaml.safe_load(compiled)["root"]["dag"]["tasks"]
    assert set(changed) - set(plain) == set(steps.OPTIONAL)
    # What is pushed carries a hash of all that made it, and is compared with what is served by it.
    made_from = {"Baseline", "Pusher"}
    fed = {name for name in plain if plain[name] != changed[name]} - made_from
    assert fed == {"Trainer", "Report"}
    assert "Tuner" in changed["Trainer"]["dependentTasks"]
    assert all("TFLite" in changed[name]["dependentTasks"] for name in ("Report", "Pusher"))


def test_every_step_is_a_container_that_knows_its_place(compiled):
    spec = yaml.safe_load(compiled)
    executors = spec["deploymentSpec"]["executors"]
    assert len(executors) == len(NODES)
    for executor in executors.values():
        assert set(executor) == {"container"}
        container = executor["container"]
        assert container["image"] == "registry.example/deeplab:1" and "lifecycle" not in container
        (variable,) = container["env"]
        assert variable["name"] == runtime.VARIABLE
        place = runtime.Runtime.model_validate_json(variable["value"])
        assert place.served == "gs://bucket/runs/serving"
    trainer = executors["Trainer_executor"]["container"]["resources"]
    assert trainer["accelerator"] == {"type": "nvidia.com/gpu", "count": "1"}


def test_steps_that_look_outside_are_never_answered_from_the_cache(compiled):
    tasks = yaml.safe_load(compiled)["root"]["dag"]["tasks"]
    cached = {
        name for name, task in tasks.items() if task.get("cachingOptions", {}).get("enableCache")
    }
    assert NODES - cached == {"Baseline", "InitialWeights", "ImportExampleGen"}


def test_nothing_of_the_compiling_machine_is_in_the_file(compiled, checkout):
    assert str(checkout.folder) not in compiled
    assert json.dumps(yaml.safe_load(compiled)).count("source_fingerprint") >= 4
