"""Writes what each step gets from the cluster into a compiled file.

What Kubeflow's driver reads of the pipeline's specification stands there
(`backend/src/v2/driver/driver.go`); the rest, which only Kubernetes knows, in a second document
(`kubernetes_platform/proto/kubernetes_executor_config.proto`).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table

from pipeline.placement import OnCluster
from pipeline.placement.resources import Resources, Toleration, Volume


def place(spec: dict[str, Any], environment: OnCluster) -> dict[str, Any]:
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
        if asked.retries is not None:
            task["retryPolicy"] = {
                "maxRetryCount": asked.retries.limit,
                "backoffDuration": f"{asked.retries.seconds}s",
                "backoffFactor": asked.retries.factor,
                "backoffMaxDuration": f"{asked.retries.max_seconds}s",
            }
        if not asked.cache:
            task["cachingOptions"] = {}
        if found := _settings(environment, step):
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


def _settings(environment: OnCluster, step: str) -> dict[str, Any]:
    """What the platform document says of a step; without what it does not ask for."""
    asked = environment.resources_of(step)
    found = {
        "imagePullPolicy": environment.image_pull_policy,
        "imagePullSecret": [{"secretName": name} for name in environment.image_pull_secrets],
        # A number of 64 bits is a text in a message's JSON.
        "activeDeadlineSeconds": str(60 * asked.max_minutes) if asked.max_minutes else None,
        "nodeSelector": {"labels": dict(asked.node_selector)} if asked.node_selector else None,
        "tolerations": [_toleration(each) for each in asked.tolerations],
        "secretAsEnv": [
            {"secretName": name, "keyToEnv": [{"secretKey": key, "envVar": variable}]}
            for variable, (name, key) in sorted(environment.secrets_of(step).items())
        ],
        "podMetadata": {
            key: dict(given)
            for key, given in (("labels", asked.labels), ("annotations", asked.annotations))
            if given
        },
        **_volumes(environment.volumes_of(step)),
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
    """Mounts by their kind, in the order of their names."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, volume in sorted(volumes.items()):
        mount: dict[str, Any] = {"mountPath": volume.path}
        if volume.claim:
            kind = "pvcMount"
            mount |= {"constant": volume.claim}
            mount |= {"subPath": volume.sub_path} if volume.sub_path else {}
        elif volume.secret:
            kind = "secretAsVolume"
            mount |= {"secretName": volume.secret, "optional": False}
        elif volume.empty_gb is not None:
            kind = "emptyDirMounts"
            mount |= {"volumeName": name, "sizeLimit": _quantity(volume.empty_gb)}
            mount |= {"medium": "Memory"} if volume.in_memory else {}
        else:
            kind = "genericEphemeralVolume"
            mount |= {
                "volumeName": name,
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


def table(environment: OnCluster, steps: Iterable[str]) -> Table:
    """What each step gets, for people; of secrets the names of their variables."""
    shown = Table("step", "cores", "memory", "GPUs", "attempts", "minutes", "cache", "volumes")
    shown.add_column("secrets")
    for step in steps:
        asked = environment.resources_of(step)
        shown.add_row(
            step,
            _range(asked.cpu_request, asked.cpu),
            _range(asked.memory_request_gb, asked.memory_gb, " GB"),
            f"{asked.gpus} {asked.gpu_type}" if asked.gpus else "",
            str(1 + (asked.retries.limit if asked.retries else 0)),
            str(asked.max_minutes or ""),
            "" if asked.cache else "off",
            ", ".join(sorted(volume.path for volume in environment.volumes_of(step).values())),
            ", ".join(sorted(environment.secrets_of(step))),
        )
    return shown


def _range(request: float | None, limit: float | None, unit: str = "") -> str:
    if limit is None:
        return f"from {request:g}{unit}" if request is not None else ""
    is_span = request is not None and request != limit
    return f"{request:g}–{limit:g}{unit}" if is_span else f"{limit:g}{unit}"
