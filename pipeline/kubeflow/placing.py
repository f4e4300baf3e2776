"""Writes what each step gets from the cluster into a compiled file.

What Kubeflow's driver reads of the pipeline's specification stands there
(`backend/src/v2/driver/driver.go`); the rest, which only Kubernetes knows, in a second document
(`kubernetes_platform/proto/kubernetes_executor_config.proto`).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table

from pipeline.environment import Environment
from pipeline.placement.kubernetes import MADE
from pipeline.placement.resources import Resources, Toleration, Volume


def place(spec: dict[str, Any], environment: Environment) -> dict[str, Any]:
    """Writes image, resources, retries and cache of every step into a specification.

    Args:
        spec: as TFX compiles it, with a container for every step; it is changed.
        environment: what each step gets.

    Returns:
        The platform document with the rest; empty where there is nothing for it.
    """
    executors = spec["deploymentSpec"]["executors"]
    settings = {}
    for step, task in spec["root"]["dag"]["tasks"].items():
        asked = environment.resources_of(step)
        label = spec["components"][task["componentRef"]["name"]]["executorLabel"]
        container = executors[label]["container"]
        container["image"] = environment.image_of(step)
        if amounts := _amounts(asked):
            container["resources"] = amounts
        if asked.retries.limit:
            task["retryPolicy"] = {
                "maxRetryCount": asked.retries.limit,
                "backoffDuration": f"{asked.retries.pause_s}s",
                "backoffFactor": asked.retries.factor,
                "backoffMaxDuration": f"{asked.retries.maximum_s}s",
            }
        if not asked.cache:
            task["cachingOptions"] = {}
        if found := _settings(asked):
            settings[label] = found
    if not settings:
        return {}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": settings}}}}


def _amounts(asked: Resources) -> dict[str, Any]:
    """Cores, memory in GB, accelerators.

    The fields with numbers, not the newer ones with texts: all servers since 2.0 read them.
    """
    amounts = {
        "cpuLimit": asked.cpu,
        "cpuRequest": asked.cpu_request,
        "memoryLimit": asked.memory_gb,
        "memoryRequest": asked.memory_request_gb,
    }
    found: dict[str, Any] = {key: amount for key, amount in amounts.items() if amount is not None}
    if asked.gpus:
        found["accelerator"] = {"type": asked.gpu_type, "count": str(asked.gpus)}
    return found


def _settings(asked: Resources) -> dict[str, Any]:
    """What the platform document says of a step; without what it does not ask for."""
    found = {
        "imagePullPolicy": asked.image_pull_policy,
        "imagePullSecret": [{"secretName": name} for name in asked.image_pull_secrets],
        # A number of 64 bits is a text in a message's JSON.
        "activeDeadlineSeconds": str(asked.time_limit_s) if asked.time_limit_s else None,
        "nodeSelector": {"labels": dict(asked.node_selector)} if asked.node_selector else None,
        "tolerations": [_toleration(each) for each in asked.tolerations],
        "secretAsEnv": [
            {
                "secretName": secret.name,
                "keyToEnv": [{"secretKey": secret.key, "envVar": variable}],
            }
            for variable, secret in sorted(asked.secrets.items())
        ],
        "podMetadata": {
            key: dict(given)
            for key, given in (("labels", asked.labels), ("annotations", asked.annotations))
            if given
        },
        **_volumes(asked.volumes),
    }
    return {key: value for key, value in found.items() if value}


def _toleration(each: Toleration) -> dict[str, Any]:
    found = {
        "key": each.key,
        "operator": each.operator,
        "value": each.value,
        "effect": each.effect,
        "tolerationSeconds": None if each.seconds is None else str(each.seconds),
    }
    return {key: value for key, value in found.items() if value}


def _volumes(volumes: Mapping[str, Volume]) -> dict[str, list[dict[str, Any]]]:
    """Mounts by their kind, in the order of their paths."""
    found: dict[str, list[dict[str, Any]]] = {}
    for number, (path, volume) in enumerate(sorted(volumes.items())):
        mount: dict[str, Any] = {"mountPath": path}
        if volume.claim:
            kind = "pvcMount"
            mount |= {"constant": volume.claim}
            mount |= {"subPath": volume.sub_path} if volume.sub_path else {}
        elif volume.secret:
            kind = "secretAsVolume"
            mount |= {"secretName": volume.secret, "optional": False}
        elif volume.empty_gb is not None:
            kind = "emptyDirMounts"
            mount |= {"volumeName": f"{MADE}{number}", "sizeLimit": _quantity(volume.empty_gb)}
            mount |= {"medium": "Memory"} if volume.in_memory else {}
        else:
            kind = "genericEphemeralVolume"
            mount |= {
                "volumeName": f"{MADE}{number}",
                "accessModes": ["ReadWriteOnce"],
                "size": _quantity(volume.ephemeral_gb),
            }
            mount |= (
                {"storageClassName": volume.storage_class}
                if volume.storage_class
                else {"defaultStorageClass": True}
            )
        found.setdefault(kind, []).append(mount)
    return found


def _quantity(gigabytes: float) -> str:
    """As Kubernetes writes it, exactly: an environment counts in thousandths of a GB."""
    return f"{round(gigabytes * 1000)}M"


def table(environment: Environment, steps: Iterable[str]) -> Table:
    """What each step gets, for people; of secrets the names of their variables."""
    shown = Table("step", "cores", "memory", "GPUs", "attempts", "time limit", "cache", "volumes")
    shown.add_column("secrets")
    for step in steps:
        asked = environment.resources_of(step)
        shown.add_row(
            step,
            _range(asked.cpu_request, asked.cpu),
            _range(asked.memory_request_gb, asked.memory_gb, " GB"),
            f"{asked.gpus} {asked.gpu_type}" if asked.gpus else "",
            str(asked.retries.limit + 1),
            f"{asked.time_limit_s} s" if asked.time_limit_s else "",
            "" if asked.cache else "off",
            ", ".join(sorted(asked.volumes)),
            ", ".join(sorted(asked.secrets)),
        )
    return shown


def _range(request: float | None, limit: float | None, unit: str = "") -> str:
    if limit is None:
        return f"from {request:g}{unit}" if request is not None else ""
    is_span = request is not None and request != limit
    return f"{request:g}–{limit:g}{unit}" if is_span else f"{limit:g}{unit}"
