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

TABLES = ("node_selector", "volumes", "secrets", "labels", "annotations")


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
    """What a file says of a step: its own values, else the default's, tables joined."""
    entries = written["resources"]
    own, default = entries.get(step, {}), entries.get("default", {})
    joined = {field: {**default.get(field, {}), **own.get(field, {})} for field in TABLES}
    return {**default, **own, **{field: table for field, table in joined.items() if table}}


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
    retries = {"pause_s": 30, "factor": 2} | asked.get("retries", {"limit": 0})
    policy = retries["limit"] and {
        "maxRetryCount": retries["limit"],
        "backoffDuration": f"{retries['pause_s']}s",
        "backoffFactor": retries["factor"],
        "backoffMaxDuration": f"{retries['maximum_s']}s",
    }
    assert task.get("retryPolicy", 0) == policy
    assert task["cachingOptions"] == ({"enableCache": True} if asked.get("cache", True) else {})


def _check_settings(found: dict[str, Any], asked: dict[str, Any]) -> None:
    assert found.pop("imagePullPolicy", None) == asked.get("image_pull_policy")
    pulls = [each["secretName"] for each in found.pop("imagePullSecret", [])]
    assert pulls == asked.get("image_pull_secrets", [])
    limit = found.pop("activeDeadlineSeconds", None)
    assert limit == (str(asked["time_limit_s"]) if "time_limit_s" in asked else None)
    assert found.pop("nodeSelector", {"labels": {}})["labels"] == asked.get("node_selector", {})
    tolerations = [
        {k: int(v) if k == "tolerationSeconds" else v for k, v in each.items()}
        for each in found.pop("tolerations", [])
    ]
    assert tolerations == [
        {"operator": "Equal"}
        | {"tolerationSeconds" if k == "seconds" else k: v for k, v in t.items()}
        for t in asked.get("tolerations", [])
    ]
    secrets = {
        pair["envVar"]: {"name": each["secretName"], "key": pair["secretKey"]}
        for each in found.pop("secretAsEnv", [])
        for pair in each["keyToEnv"]
    }
    assert secrets == asked.get("secrets", {})
    metadata = found.pop("podMetadata", {})
    for key in ("labels", "annotations"):
        assert metadata.pop(key, {}) == asked.get(key, {})
    assert not metadata
    _check_volumes(found, asked.get("volumes", {}))


def _check_volumes(found: dict[str, Any], asked: dict[str, Any]) -> None:
    volumes: dict[str, Any] = {}
    names = []
    for each in found.pop("pvcMount", []):
        sub_path = {"sub_path": each["subPath"]} if "subPath" in each else {}
        volumes[each["mountPath"]] = {"claim": each["constant"], **sub_path}
    for each in found.pop("secretAsVolume", []):
        volumes[each["mountPath"]] = {"secret": each["secretName"]}
        assert each["optional"] is False
    for each in found.pop("emptyDirMounts", []):
        memory = {"in_memory": True} if each.get("medium") == "Memory" else {}
        volumes[each["mountPath"]] = {"empty_gb": gigabytes(each["sizeLimit"]), **memory}
        names.append(each["volumeName"])
    for each in found.pop("genericEphemeralVolume", []):
        kind = {"storage_class": each["storageClassName"]} if "storageClassName" in each else {}
        assert each.get("defaultStorageClass", False) is not bool(kind)
        volumes[each["mountPath"]] = {"ephemeral_gb": gigabytes(each["size"]), **kind}
        names.append(each["volumeName"])
    assert not found and len(set(names)) == len(names)
    exact = {
        path: {k: Decimal(str(v)) if k.endswith("_gb") else v for k, v in volume.items()}
        for path, volume in asked.items()
    }
    assert volumes == exact


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
    variables = {v for s in steps.ALL for v in expected(written, s).get("secrets", {})}
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
        assert all(path in lines[step] for path in asked.get("volumes", {}))
        assert (f" {asked['time_limit_s']} s " in lines[step]) if "time_limit_s" in asked else True
        assert ("off" in lines[step]) is not asked.get("cache", True)
