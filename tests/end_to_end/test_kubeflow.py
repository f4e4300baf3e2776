"""The compiled file: the same graph, in the format that Kubeflow Pipelines v2 reads."""

import json

import pytest
import yaml

from components import runtime
from pipeline import steps
from pipeline.kubeflow import check, run_parameters
from tests.end_to_end.conftest import NODES
from tests.pipeline.kubeflow import mutations

pytestmark = pytest.mark.slow

IMAGE = f"registry.example/deeplab@sha256:{'0a' * 32}"


@pytest.fixture(scope="module")
def said(checkout):
    """What the compile command prints."""
    arguments = "--pipeline-root", "gs://bucket/runs", "--image", IMAGE
    done = checkout.run(*arguments, runner="kubeflow_runner.py")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def compiled(checkout, said):
    assert str(checkout.output / "deeplab.yaml") in said
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
        *("--pipeline-root", "gs://bucket/runs", "--image", IMAGE),
        *("--set", "tuner.trials=2", "--set", f"tuner.space={space}", "--output", str(tmp_path)),
        *("--set", 'tflite.kinds=["int8"]'),
        runner="kubeflow_runner.py",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    changed = yaml.safe_load((tmp_path / "deeplab.yaml").read_text())["root"]["dag"]["tasks"]
    plain = yaml.safe_load(compiled)["root"]["dag"]["tasks"]
    assert set(changed) - set(plain) == set(steps.OPTIONAL)
    # What is pushed carries a hash of all that made it, and is compared with what is served by it.
    made_from = {"Sources", "Pusher"}
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
        assert container["image"] == IMAGE and "lifecycle" not in container
        variables = {each["name"]: each["value"] for each in container["env"]}
        assert set(variables) <= {runtime.VARIABLE, run_parameters.VARIABLE}
        place = runtime.Runtime.model_validate_json(variables[runtime.VARIABLE])
        assert place.served == "gs://bucket/runs/serving"
    trainer = executors["Trainer_executor"]["container"]["resources"]
    assert trainer["accelerator"] == {"type": "nvidia.com/gpu", "count": "1"}


def test_steps_that_look_outside_are_never_answered_from_the_cache(compiled):
    tasks = yaml.safe_load(compiled)["root"]["dag"]["tasks"]
    cached = {
        name for name, task in tasks.items() if task.get("cachingOptions", {}).get("enableCache")
    }
    assert NODES - cached == {"Sources"}


def test_nothing_of_the_compiling_machine_is_in_the_file(compiled, checkout):
    assert str(checkout.folder) not in compiled
    assert json.dumps(yaml.safe_load(compiled)).count("source_fingerprint") >= 4


def test_the_file_is_one_document_with_its_root_and_without_aliases(compiled):
    (spec,) = yaml.safe_load_all(compiled)
    assert spec["defaultPipelineRoot"] == "gs://bucket/runs/artifacts"
    anchors = [e for e in yaml.parse(compiled) if getattr(e, "anchor", None) is not None]
    assert not anchors


def test_what_is_compiled_is_fit_and_what_is_changed_is_judged(compiled):
    assert not check.faults(compiled.encode())[0]
    spec = yaml.safe_load(compiled)
    refused = 0
    for seed in range(40):
        changed = yaml.safe_dump(mutations.mutated(spec, seed))
        found, lines = check.faults(changed.encode())
        assert all(fault.text(lines) for fault in found)
        refused += bool(found)
    assert refused > 20


def test_a_renamed_output_of_any_step_is_found_in_all_that_take_it(compiled):
    spec = yaml.safe_load(compiled)
    takers = [
        (taker, source["taskOutputArtifact"])
        for taker, task in spec["root"]["dag"]["tasks"].items()
        for source in task.get("inputs", {}).get("artifacts", {}).values()
    ]
    assert len(takers) > 20
    for component in spec["components"].values():
        made = component.get("outputDefinitions", {}).get("artifacts", {})
        for key in list(made):
            made[f"{key}_renamed"] = made.pop(key)
    found, _ = check.faults(yaml.safe_dump(spec).encode())
    places = [fault.place for fault in found if fault.rule.name == "producer-output"]
    assert sorted(place[3] for place in places) == sorted(taker for taker, _ in takers)


def test_it_says_what_is_to_be_done_next(said):
    following = said.partition("To do next")[2]
    for part in (IMAGE, "gs://bucket/runs/data", "python -m pipeline submit"):
        assert part in following


def test_an_accelerator_that_is_no_resource_is_refused_before_anything_is_written(
    checkout, tmp_path
):
    place = tmp_path / "cluster.toml"
    place.write_text(
        f'root = "gs://bucket/runs"\nimage = "{IMAGE}"\n'
        '[resources.Trainer]\ngpus = 1\ngpu_type = "NVIDIA_TESLA_T4"\n'
    )
    output = tmp_path / "output"
    done = checkout.run(
        "--environment", str(place), "--output", str(output), runner="kubeflow_runner.py"
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "expected resources.Trainer.gpu_type to be the name of a resource" in done.stdout
    assert not list(output.glob("*.yaml"))
