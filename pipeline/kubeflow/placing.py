"""Writes into a compiled file what the environment gives to each step.

Resources, retries and caching belong to the pipeline; volumes, secrets, nodes and time limits to
the platform document, `kubernetes_platform/proto/kubernetes_executor_config.proto` of
kubeflow/pipelines. Names of secrets and claims are written in the fields that every version reads.
"""

from typing import Any

from pipeline.placement import OnCluster, Resources

_ENDING = "_executor"


def step_of(label: str) -> str:
    """The step that an executor of a compiled file is of."""
    return label.removesuffix(_ENDING)


def place(spec: dict[str, Any], environment: OnCluster) -> dict[str, Any] | None:
    """Completes the tasks and containers of a pipeline specification in place.

    Args:
        spec: of the pipeline.
        environment: what each step gets.

    Returns:
        The platform document; None where nothing belongs there.
    """
    for name, task in spec["root"]["dag"]["tasks"].items():
        asked = environment.resources_of(name)
        if not asked.cache:
            task["cachingOptions"] = {}
        if asked.retries is not None:
            task["retryPolicy"] = {
                "maxRetryCount": asked.retries.limit,
                "backoffDuration": f"{asked.retries.seconds}s",
                "backoffFactor": asked.retries.factor,
                "backoffMaxDuration": f"{asked.retries.max_seconds}s",
            }
    settings = {}
    for label, executor in spec["deploymentSpec"]["executors"].items():
        step = step_of(label)
        container = executor["container"]
        container["image"] = environment.image_of(step)
        if resources := _resources(environment.resources_of(step)):
            container["resources"] = resources
        if found := _settings(environment, step):
            settings[label] = found
    if not settings:
        return None
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": settings}}}}


def _resources(asked: Resources) -> dict[str, Any]:
    amounts = {
        "resourceCpuLimit": asked.cpu and f"{asked.cpu:g}",
        "resourceCpuRequest": asked.cpu_request and f"{asked.cpu_request:g}",
        "resourceMemoryLimit": asked.memory_gb and f"{asked.memory_gb:g}G",
        "resourceMemoryRequest": asked.memory_request_gb and f"{asked.memory_request_gb:g}G",
    }
    found: dict[str, Any] = {name: amount for name, amount in amounts.items() if amount}
    if asked.gpus:
        found["accelerator"] = {"type": asked.gpu_type, "count": str(asked.gpus)}
    return found


def _settings(environment: OnCluster, step: str) -> dict[str, Any]:
    """Kubernetes' settings of a step, without those that are not set."""
    asked = environment.resources_of(step)
    volumes = list(environment.volumes_of(step))
    secrets: dict[str, list[dict[str, str]]] = {}
    for variable, place in environment.secret_variables.items():
        secret, key = place.rsplit("/", 1)
        secrets.setdefault(secret, []).append({"secretKey": key, "envVar": variable})
    found = {
        "pvcMount": [
            {"constant": volume.claim, "mountPath": volume.path}
            | ({"subPath": volume.sub_path} if volume.sub_path else {})
            for volume in volumes
            if volume.claim is not None
        ],
        "emptyDirMounts": [
            {
                "volumeName": f"empty-{index}",
                "mountPath": volume.path,
                "sizeLimit": f"{volume.empty_gb:g}G",
            }
            for index, volume in enumerate(volumes)
            if volume.empty_gb is not None
        ],
        "secretAsVolume": [
            {"secretName": volume.secret, "mountPath": volume.path}
            for volume in volumes
            if volume.secret is not None
        ],
        "secretAsEnv": [
            {"secretName": secret, "keyToEnv": pairs} for secret, pairs in secrets.items()
        ],
        "nodeSelector": {"labels": dict(asked.node_selector)} if asked.node_selector else {},
        "tolerations": [
            each.model_dump(exclude_none=True, exclude={"value"} if not each.value else None)
            for each in asked.tolerations
        ],
        "podMetadata": {
            name: dict(texts)
            for name, texts in (("labels", asked.labels), ("annotations", asked.annotations))
            if texts
        },
        "imagePullPolicy": environment.image_pull_policy,
        "imagePullSecret": [{"secretName": name} for name in environment.image_pull_secrets],
        "activeDeadlineSeconds": asked.max_minutes and str(60 * asked.max_minutes),
    }
    return {name: value for name, value in found.items() if value}
