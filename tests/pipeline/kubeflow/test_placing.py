"""What is compiled has exactly what the environment says for each step, and is fit."""

import copy
import io
from decimal import Decimal
from typing import Any

import pytest
import yaml
from rich.console import Console

from pipeline import environment, steps
from pipeline.kubeflow import check, placing, yaml_writing
from pipeline.kubeflow.check.resources import quantity
from pipeline.placement.resources import Resources
from tests.pipeline.kubeflow import environments


def load(tmp_path, seed: int) -> tuple[dict[str, Any], environment.Environment]:
    """A random environment: as it is written, and as it is read."""
    written = environments.drawn(seed)
    path = tmp_path / "mine.toml"
    path.write_text(environments.toml(written), encoding="utf-8")
    return written, environment.load(str(path))


def graph() -> dict[str, Any]:
    """A specification with a container for every step, one after the other."""
    tasks, components, executors = {}, {}, {}
    for step, before in zip(steps.ALL, (None, *steps.ALL), strict=False):
        tasks[step] = {
            "taskInfo": {"name": step},
            "componentRef": {"name": f"comp-{step}"},
            "cachingOptions": {"enableCache": True},
            "dependentTasks": [before] if before else [],
        }
        components[f"comp-{step}"] = {"executorLabel": f"exec-{step}"}
        executors[f"exec-{step}"] = {
            "container": {"image": "x", "command": ["python", "-m", "pipeline.kubeflow.step"]}
        }
    return {
        "schemaVersion": "2.1.0",
        "pipelineInfo": {"name": "deeplab"},
        "root": {"dag": {"tasks": tasks}},
        "components": components,
        "deploymentSpec": {"executors": executors},
    }


def compiled(place: environment.Environment) -> tuple[str, list[dict[str, Any]]]:
    """The file's text and documents."""
    spec = graph()
    platform = placing.place(spec, place)
    text = yaml_writing.text([spec, *([platform] if platform else [])])
    return text, list(yaml.safe_load_all(text))


def expected(written: dict[str, Any], step: str) -> dict[str, Any]:
    """What a file says of a step: its own values, else the default's, and what all or it see."""
    entries = written["resources"]
    secrets = {
        variable: each if isinstance(each, dict) else {"key": each}
        for variable, each in written["secret_variables"].items()
    }
    return {
        **entries.get("default", {}),
        **entries.get(step, {}),
        "secrets": {v: e["key"] for v, e in secrets.items() if step in e.get("steps", steps.ALL)},
        "volumes": {
            name: {key: value for key, value in volume.items() if key != "steps"}
            for name, volume in written["volumes"].items()
            if step in volume.get("steps", steps.ALL)
        },
        "pull": (written.get("image_pull_policy"), written["image_pull_secrets"]),
    }


def gigabytes(text: str) -> Decimal:
    amount = quantity(text)
    assert amount is not None
    return amount / 10**9


@pytest.mark.parametrize("seed", range(60))
def test_every_step_gets_what_is_written_and_nothing_else(tmp_path, seed):
    written, made = load(tmp_path, seed)
    text, documents = compiled(made)
    assert not check.faults(text.encode())[0]
    spec = documents[0]
    kubernetes = documents[1]["platforms"]["kubernetes"] if len(documents) == 2 else {}
    settings = kubernetes.get("deploymentSpec", {}).get("executors", {})
    assert all(settings.values())
    for step in steps.ALL:
        asked = expected(written, step)
        container = dict(spec["deploymentSpec"]["executors"][f"exec-{step}"]["container"])
        assert container.pop("image") == asked.get("image", written["image"])
        assert container.pop("command") == ["python", "-m", "pipeline.kubeflow.step"]
        _check_amounts(container.pop("resources", {}), asked)
        assert not container
        _check_task(spec["root"]["dag"]["tasks"][step], asked)
        _check_settings(dict(settings.get(f"exec-{step}", {})), asked)


def _check_amounts(found: dict[str, Any], asked: dict[str, Any]) -> None:
    fields = {
        "cpuLimit": "cpu",
        "cpuRequest": "cpu_request",
        "memoryLimit": "memory_gb",
        "memoryRequest": "memory_request_gb",
    }
    amounts = {key: asked[field] for key, field in fields.items() if field in asked}
    if asked.get("gpus"):
        kind = asked.get("gpu_type", "nvidia.com/gpu")
        amounts["accelerator"] = {"type": kind, "count": str(asked["gpus"])}
    assert found == amounts


def _check_task(task: dict[str, Any], asked: dict[str, Any]) -> None:
    policy = None
    if "retries" in asked:
        retries = {"seconds": 30, "factor": 2} | asked["retries"]
        policy = {
            "maxRetryCount": retries["limit"],
            "backoffDuration": f"{retries['seconds']}s",
            "backoffFactor": retries["factor"],
            "backoffMaxDuration": f"{retries['max_seconds']}s",
        }
    assert task.get("retryPolicy") == policy
    assert task["cachingOptions"] == ({"enableCache": True} if asked.get("cache", True) else {})


def _check_settings(found: dict[str, Any], asked: dict[str, Any]) -> None:
    pulls = [each["secretName"] for each in found.pop("imagePullSecret", [])]
    assert (found.pop("imagePullPolicy", None), pulls) == asked["pull"]
    limit = found.pop("activeDeadlineSeconds", None)
    assert limit == (str(60 * asked["max_minutes"]) if "max_minutes" in asked else None)
    assert found.pop("nodeSelector", {"labels": {}})["labels"] == asked.get("node_selector", {})
    tolerations = [
        {k: int(v) if k == "tolerationSeconds" else v for k, v in each.items()}
        for each in found.pop("tolerations", [])
    ]
    names = {"seconds": "tolerationSeconds"}
    assert tolerations == [
        {"operator": "Exists"} | {names.get(key, key): value for key, value in each.items()}
        for each in asked.get("tolerations", [])
    ]
    secrets = {
        pair["envVar"]: f"{each['secretName']}/{pair['secretKey']}"
        for each in found.pop("secretAsEnv", [])
        for pair in each["keyToEnv"]
    }
    assert secrets == asked["secrets"]
    metadata = found.pop("podMetadata", {})
    for key in ("labels", "annotations"):
        assert metadata.pop(key, {}) == asked.get(key, {})
    assert not metadata
    _check_volumes(found, asked["volumes"])


def _check_volumes(found: dict[str, Any], asked: dict[str, Any]) -> None:
    volumes = []
    for each in found.pop("pvcMount", []):
        sub_path = {"sub_path": each["subPath"]} if "subPath" in each else {}
        volumes.append({"path": each["mountPath"], "claim": each["constant"], **sub_path})
    for each in found.pop("secretAsVolume", []):
        volumes.append({"path": each["mountPath"], "secret": each["secretName"]})
        assert each["optional"] is False
    for each in found.pop("emptyDirMounts", []):
        assert asked[each["volumeName"]]["path"] == each["mountPath"]
        memory = {"in_memory": True} if each.get("medium") == "Memory" else {}
        size = gigabytes(each["sizeLimit"])
        volumes.append({"path": each["mountPath"], "empty_gb": size, **memory})
    for each in found.pop("genericEphemeralVolume", []):
        assert asked[each["volumeName"]]["path"] == each["mountPath"]
        kind = {"storage_class": each["storageClassName"]} if "storageClassName" in each else {}
        assert each.get("defaultStorageClass", False) is not bool(kind)
        size = gigabytes(each["size"])
        volumes.append({"path": each["mountPath"], "ephemeral_gb": size, **kind})
    assert not found
    exact = [
        {k: Decimal(str(v)) if k.endswith("_gb") else v for k, v in volume.items()}
        for volume in asked.values()
    ]
    assert sorted(volumes, key=lambda v: v["path"]) == sorted(exact, key=lambda v: v["path"])


def test_what_is_drawn_has_every_field_often():
    drawn = [environments.drawn(seed)["resources"] for seed in range(60)]
    fields = [field for each in drawn for entry in each.values() for field in entry]
    assert all(fields.count(field) > 20 for field in Resources.model_fields)


def test_an_environment_that_asks_for_nothing_needs_no_platform_document(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(f"root = 'gs://b'\nimage = '{environments.IMAGE}'")
    spec = graph()
    plain = copy.deepcopy(spec)
    assert placing.place(spec, environment.load(str(path))) == {}
    for executor in plain["deploymentSpec"]["executors"].values():
        executor["container"]["image"] = environments.IMAGE
    assert spec == plain


def test_a_change_of_place_changes_no_cache_key_but_image_and_claims(tmp_path):
    """Kubeflow's key: image, command, inputs and the names of claims (`driver/cache.go`)."""
    for seed in range(20):
        _, made = load(tmp_path, seed)
        spec = graph()
        placing.place(spec, made)
        for step in steps.ALL:
            container = spec["deploymentSpec"]["executors"][f"exec-{step}"]["container"]
            assert container.keys() <= {"image", "command", "resources"}
            assert spec["components"][f"comp-{step}"] == {"executorLabel": f"exec-{step}"}


@pytest.mark.parametrize("seed", range(8))
def test_the_value_of_a_secret_is_nowhere(tmp_path, seed, monkeypatch):
    written, made = load(tmp_path, seed)
    variables = {variable for step in steps.ALL for variable in expected(written, step)["secrets"]}
    for number, variable in enumerate(sorted(variables)):
        monkeypatch.setenv(variable, f"hunter2-{number}")
    said = io.StringIO()
    console = Console(file=said, width=400)
    console.print(placing.table(made, steps.ALL))
    text, _ = compiled(made)
    assert "hunter2" not in said.getvalue() + text + made.model_dump_json() + repr(made)
    assert all(variable in said.getvalue() and variable in text for variable in variables)


@pytest.mark.parametrize("seed", range(4))
def test_the_table_says_what_each_step_gets(tmp_path, seed):
    written, made = load(tmp_path, seed)
    said = io.StringIO()
    Console(file=said, width=400).print(placing.table(made, steps.ALL))
    lines = {line.split()[1]: line for line in said.getvalue().splitlines() if "│" in line}
    for step in steps.ALL:
        asked = expected(written, step)
        for field in ("cpu", "memory_gb", "cpu_request", "memory_request_gb"):
            assert field not in asked or f"{asked[field]:g}" in lines[step]
        assert all(volume["path"] in lines[step] for volume in asked["volumes"].values())
        assert "max_minutes" not in asked or f" {asked['max_minutes']} " in lines[step]
        assert ("off" in lines[step]) is not asked.get("cache", True)
