"""What the platform document gives a step, from folders and variables of this machine.

See `kubernetes_platform/proto/kubernetes_executor_config.proto` of kubeflow/pipelines.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.errors import ConfigError
from pipeline.kubeflow.check.compiled import Compiled, Task
from pipeline.kubeflow.replay import sandbox
from pipeline.kubeflow.replay.request import Request

_WITHOUT_EFFECT = {
    *("nodeSelector", "nodeAffinity", "podAffinity", "tolerations", "podMetadata"),
    *("imagePullSecret", "imagePullPolicy", "securityContext"),
}
"""What places a pod, which a process has not."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """What a step finds beside its artifacts.

    Attributes:
        mounts: folders of this machine by the paths that the step sees them at.
        empty: paths of volumes that are empty at its start.
        claims: names of the claims of its volumes.
        secrets: variables with their values.
        seconds: its time limit; None for none.
        shared_memory: size of `/dev/shm`.
    """

    mounts: Mapping[str, Path]
    empty: tuple[str, ...]
    claims: tuple[str, ...]
    secrets: Mapping[str, str]
    seconds: float | None
    shared_memory: str


def read(whole: Compiled, task: Task, request: Request) -> Place:
    """What the platform document says of a task's container.

    Raises:
        ConfigError: it names a volume or a secret that the request does not give, or what a
            replay does not know.
    """
    label = whole.components[task.component].message["executorLabel"]
    executors = whole.platforms.get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
    said = dict(executors.get(label, {}))
    mounts, claims, secrets, named, faults = {}, [], {}, [], []
    for mount in said.pop("pvcMount", ()):
        claim = mount.get("constant") or _constant(mount.get("pvcNameParameter", {}))
        named.append(claim)
        if claim not in request.claims:
            faults.append(
                f"expected a folder for the claim {claim}; got none; to fix, give "
                f"--volume {claim}=FOLDER"
            )
            continue
        claims.append(claim)
        mounts[mount["mountPath"]] = request.claims[claim] / mount.get("subPath", "")
    for secret in said.pop("secretAsEnv", ()):
        name = secret.get("secretName") or _constant(secret.get("secretNameParameter", {}))
        named.append(name)
        for pair in secret.get("keyToEnv", ()):
            key, variable = pair["secretKey"], pair["envVar"]
            if (name, key) in request.secrets:
                secrets[variable] = request.secrets[name, key]
            elif not secret.get("optional"):
                faults.append(
                    f"expected the key {key} of the secret {name}; got none; to fix, give "
                    f"--secret {name}/{key}=VARIABLE, the variable that holds it"
                )
    for secret in said.pop("secretAsVolume", ()):
        name = secret.get("secretName") or _constant(secret.get("secretNameParameter", {}))
        named.append(name)
        if name in request.claims:
            mounts[secret["mountPath"]] = request.claims[name]
        elif not secret.get("optional"):
            faults.append(
                f"expected a folder for the secret {name}; got none; to fix, give "
                f"--volume {name}=FOLDER"
            )
    empty = [
        mount["mountPath"]
        for kind in ("emptyDirMounts", "genericEphemeralVolume")
        for mount in said.pop(kind, ())
    ]
    shared = said.pop("enabledSharedMemory", {})
    seconds = float(said.pop("activeDeadlineSeconds", 0)) or None
    if "" in named:
        faults.append(
            f"expected constants for the names of claims and secrets of {task.name}; got others; "
            "to fix, run the file on a cluster"
        )
    if unknown := sorted(set(said) - _WITHOUT_EFFECT):
        faults.append(
            f"expected settings of {task.name} that a replay knows; got {', '.join(unknown)}; to "
            "fix, run the file on a cluster"
        )
    if faults:
        raise ConfigError("\n".join(faults))
    return Place(
        mounts=mounts,
        empty=tuple(empty),
        claims=tuple(claims),
        secrets=secrets,
        seconds=seconds,
        shared_memory=_mounted(shared.get("size", "")) or sandbox.SHARED_MEMORY,
    )


def _mounted(size: str) -> str:
    """A quantity of Kubernetes as mount takes it: `2Gi` is `2g`."""
    return size.removesuffix("i").lower()


def _constant(source: Mapping[str, Any]) -> str:
    return str(source.get("runtimeValue", {}).get("constant", ""))
