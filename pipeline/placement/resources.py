"""What a step asks of a cluster: the part of an environment that is set by step."""

from collections.abc import Mapping
from typing import Annotated, Literal

import pydantic
from pydantic import Field

from pipeline.placement.kubernetes import (
    MADE,
    OWN_VOLUMES,
    PLACE,
    WEEK,
    Amount,
    Annotation,
    GpuType,
    LabelKey,
    LabelValue,
    MountPath,
    ObjectName,
    OwnKey,
    Seconds,
    SecretKeyName,
    StorageClass,
    SubPath,
    Variable,
    VolumeName,
)


class Section(pydantic.BaseModel, frozen=True, extra="forbid"):
    """Part of an environment; misspelt names are refused."""


class Retries(Section):
    """How often a step that failed is started again, and after which time."""

    limit: Annotated[int, Field(ge=0, le=100, strict=True)] = 0
    """Attempts beside the first."""

    pause_s: Annotated[int, Field(ge=1, le=WEEK, strict=True)] = 30
    """Seconds before the second attempt; whole ones, Kubeflow drops what is less."""

    factor: Annotated[int, Field(ge=1, le=100, strict=True)] = 2
    """By which the pause grows; Argo reads whole ones alone (`workflow/controller/operator.go`)."""

    maximum_s: Annotated[int, Field(ge=1, le=10 * 365 * 24 * 3600, strict=True)] = WEEK
    """Seconds after the **start** of the first attempt at which Argo gives up: the time that the
    attempts themselves take is part of it. Without it Argo would never repeat."""


class Toleration(Section):
    """A taint of a node that does not keep the step away."""

    key: LabelKey | None = None
    """Of the taint; None for every taint."""

    operator: Literal["Equal", "Exists"] = "Equal"
    value: LabelValue = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""
    """Empty for all."""

    seconds: Seconds | None = None
    """How long a node that gets the taint keeps the step; None for ever."""

    @pydantic.model_validator(mode="after")
    def _fits(self):
        if self.operator == "Exists" and self.value:
            raise ValueError(
                f"expected {PLACE} with operator Exists to have no value; got {self.value!r}; to "
                "fix, take one of them away"
            )
        if self.key is None and self.operator != "Exists":
            raise ValueError(
                f"expected {PLACE} to have a key; got none; to fix, give one, or operator = "
                '"Exists" for every taint'
            )
        if self.seconds is not None and self.effect != "NoExecute":
            raise ValueError(
                f"expected {PLACE} with seconds to have the effect NoExecute; got "
                f"{self.effect or 'none'}; to fix, change one of them"
            )
        return self


class Volume(Section):
    """What is mounted at a path of a step: one of four kinds."""

    claim: VolumeName | None = None
    """A PersistentVolumeClaim of the namespace. Its name is part of Kubeflow's cache key."""

    sub_path: SubPath = ""
    """Folder of the claim's volume that is mounted; empty for all of it."""

    secret: VolumeName | None = None
    """A Secret of the namespace: a file for each of its keys."""

    empty_gb: Amount | None = None
    """An empty folder of the node, of at most so many GB of 1e9 bytes."""

    in_memory: bool = False
    """The empty folder lies in the memory of the step."""

    ephemeral_gb: Amount | None = None
    """A volume of so many GB that is made for the step and goes with it."""

    storage_class: StorageClass = ""
    """Of the ephemeral volume; empty for the cluster's default."""

    @pydantic.model_validator(mode="after")
    def _is_one(self):
        kinds = ("claim", "secret", "empty_gb", "ephemeral_gb")
        given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(
                f"expected {PLACE} to be one of {', '.join(kinds)}; got "
                f"{' and '.join(given) or 'none'}; to fix, give one of them"
            )
        owners = {"sub_path": "claim", "in_memory": "empty_gb", "storage_class": "ephemeral_gb"}
        for field, owner in owners.items():
            if getattr(self, field) and owner != given[0]:
                raise ValueError(
                    f"expected {PLACE} with {field} to be of the kind {owner}; got {given[0]}; to "
                    "fix, take one of them away"
                )
        return self


class SecretKey(Section):
    """Where the cluster keeps a secret; never the secret."""

    name: ObjectName
    """Of a Secret of the namespace."""

    key: SecretKeyName
    """In it."""


class Resources(Section):
    """What a step asks of a cluster; on one machine it has no effect.

    A step has what its own entry gives, for the rest what `default` gives; in tables (volumes,
    secrets, labels) the two are joined by their keys.
    """

    image: str | None = None
    """In place of the environment's, for example one for GPUs."""

    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None

    image_pull_secrets: tuple[ObjectName, ...] = ()
    """Secrets with the credentials of registries."""

    cpu: Amount | None = None
    """Cores at most."""

    cpu_request: Amount | None = None
    """Cores that a node must have free; None for as many as at most."""

    memory_gb: Amount | None = None
    """GB of 1e9 bytes at most; a step that takes more is killed."""

    memory_request_gb: Amount | None = None
    """GB that a node must have free; None for as many as at most."""

    gpus: Annotated[int, Field(ge=0, le=1000, strict=True)] = 0
    """How many."""

    gpu_type: GpuType = "nvidia.com/gpu"
    """The name of the resource, as the cluster knows it."""

    retries: Retries = Retries()

    time_limit_s: Annotated[int, Field(ge=1, le=2**31 - 1, strict=True)] | None = None
    """Seconds after which an attempt is ended; from the start of its pod, pulling the image
    included."""

    cache: bool = True
    """Whether a finished step is reused; `Sources` never is."""

    node_selector: Mapping[LabelKey, LabelValue] = {}
    """Labels that a node must have."""

    tolerations: tuple[Toleration, ...] = ()

    volumes: Mapping[MountPath, Volume] = {}
    """By the path that the step sees them at."""

    secrets: Mapping[Variable, SecretKey] = {}
    """Environment variables of the step that hold secrets, by reference."""

    labels: Mapping[OwnKey, LabelValue] = {}
    """Of the step's pod."""

    annotations: Mapping[OwnKey, Annotation] = {}
    """Of the step's pod."""

    def over(self, default: "Resources") -> "Resources":
        """This entry with the default's values for all that it does not give."""
        values = {field: getattr(default, field) for field in default.model_fields_set}
        for field in self.model_fields_set:
            own = getattr(self, field)
            is_table = isinstance(own, Mapping) and field in values
            values[field] = {**values[field], **own} if is_table else own
        return self.model_construct(_fields_set=set(values), **values)

    def faults(self, place: str) -> list[str]:
        """What does not fit together, once the default's values are in.

        Args:
            place: what is at fault, in messages.
        """
        found = []
        for kind, limit, request in (
            ("cpu", self.cpu, self.cpu_request),
            ("memory", self.memory_gb, self.memory_request_gb),
        ):
            if limit is not None and request is not None and request > limit:
                found.append(
                    f"expected {place} to ask for no more {kind} than its limit; got a request of "
                    f"{request:g} and a limit of {limit:g}; to fix, raise the limit"
                )
        if self.retries.limit and self.retries.maximum_s < self.retries.pause_s:
            found.append(
                f"expected {place}.retries with maximum_s of at least pause_s; got "
                f"{self.retries.maximum_s} and {self.retries.pause_s}, with which nothing is ever "
                "repeated; to fix, raise maximum_s"
            )
        if self.retries.limit and self.time_limit_s and (
            self.retries.maximum_s <= self.time_limit_s
        ):  # fmt: skip
            found.append(
                f"expected {place}.retries.maximum_s above time_limit_s, which the first attempt "
                f"may take; got {self.retries.maximum_s} and {self.time_limit_s}; to fix, raise "
                "maximum_s"
            )
        return found + self._volume_faults(place)

    def _volume_faults(self, place: str) -> list[str]:
        """Volumes whose names Kubernetes would take for one, and paths that hide each other."""
        found, kinds = [], {}
        for path, volume in self.volumes.items():
            name = volume.claim or volume.secret
            kind = "claim" if volume.claim else "secret"
            if name in OWN_VOLUMES or (name or "").startswith(MADE):
                found.append(
                    f"expected {place}.volumes.{path} not to be called as Kubeflow's and our own "
                    f"volumes are; got {name}; to fix, rename the {kind} in the cluster"
                )
            elif name and kinds.setdefault(name, kind) != kind:
                found.append(
                    f"expected {place}.volumes to have no claim and secret of one name, which "
                    f"Kubeflow makes one volume of; got {name}; to fix, rename one of them"
                )
        secrets = [volume.secret for volume in self.volumes.values() if volume.secret]
        for name in sorted({name for name in secrets if secrets.count(name) > 1}):
            found.append(
                f"expected {place}.volumes to mount a secret once; got {name} twice; to fix, take "
                "one of them away"
            )
        return found
