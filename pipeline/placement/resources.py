"""What a step asks of a cluster, and what it sees there."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from pipeline import steps
from pipeline.placement.kubernetes import (
    PLACE,
    TEN_YEARS,
    WEEK,
    Amount,
    Annotation,
    GpuType,
    LabelKey,
    LabelValue,
    MountPath,
    OwnKey,
    Seconds,
    SecretKey,
    StorageClass,
    SubPath,
    VolumeName,
)

_Step = Literal[steps.ALL]


class Section(pydantic.BaseModel, frozen=True, extra="forbid"):
    """Part of an environment; misspelt names are refused."""


class Retries(Section):
    """How often a failed step is tried again, and after how long."""

    limit: Annotated[int, Field(ge=1, le=100, strict=True)]
    """Attempts after the first."""

    seconds: Annotated[int, Field(ge=0, le=WEEK, strict=True)] = 30
    """Before the second attempt; whole ones, Kubeflow drops what is less."""

    factor: Annotated[int, Field(ge=1, le=100, strict=True)] = 2
    """Each pause is so many times the one before; Argo reads whole ones alone
    (`workflow/controller/operator.go`)."""

    max_seconds: Annotated[int, Field(ge=1, le=TEN_YEARS, strict=True)] = WEEK
    """No attempt is begun later than this after the **start** of the first: the time that the
    attempts themselves take counts. Without it Argo would never repeat."""


class Toleration(Section):
    """A taint of a node that does not keep the step away."""

    key: LabelKey | None = None
    """Of the taint; None for every taint."""

    operator: Literal["Exists", "Equal"] = "Exists"
    value: LabelValue = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """None for all."""

    seconds: Seconds | None = None
    """How long a node that gets the taint keeps the step; None for ever."""

    @pydantic.model_validator(mode="after")
    def _fits(self):
        if self.operator == "Exists" and self.value:
            raise ValueError(
                f"expected {PLACE} with operator Exists to have no value; got {self.value!r}; to "
                'fix, take it away, or write operator = "Equal"'
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
    """A folder that steps see beside their own: one of four kinds."""

    path: MountPath
    """Where they see it."""

    claim: VolumeName | None = None
    """A PersistentVolumeClaim of the namespace. Its name is part of Kubeflow's cache key."""

    sub_path: SubPath = ""
    """Folder of the claim's volume that is seen; empty for all of it."""

    secret: VolumeName | None = None
    """A Secret of the namespace: a file for each of its keys."""

    empty_gb: Amount | None = None
    """An empty folder of the node for one attempt, of at most so many GB of 1e9 bytes."""

    in_memory: bool = False
    """The empty folder lies in the memory of the step."""

    ephemeral_gb: Amount | None = None
    """A volume of so many GB that is made for one attempt and goes with it."""

    storage_class: StorageClass = ""
    """Of the ephemeral volume; empty for the cluster's default."""

    steps: tuple[_Step, ...] = steps.ALL
    """Which see it; all by default."""

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


class SecretVariable(Section):
    """Where the cluster keeps what an environment variable holds; never the secret.

    A text alone is its `key`.
    """

    key: SecretKey
    """`secret/key`: a Secret of the namespace, and the key in it."""

    steps: tuple[_Step, ...] = steps.ALL
    """Which get the variable; all by default."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _is_key(cls, given: Any) -> Any:
        return {"key": given} if isinstance(given, str) else given


class Resources(Section):
    """What a step asks of a cluster. What a step leaves out it has from `default`."""

    image: str | None = None
    """In place of the environment's, for example one for GPUs."""

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

    retries: Retries | None = None
    """None: a failed step fails the run."""

    max_minutes: Annotated[int, Field(ge=1, le=TEN_YEARS // 60, strict=True)] | None = None
    """An attempt that takes longer is ended, and fails; pulling the image counts."""

    cache: bool = True
    """Whether a finished step is reused; `Sources` never is."""

    node_selector: Mapping[LabelKey, LabelValue] = {}
    """Labels that a node must have."""

    tolerations: tuple[Toleration, ...] = ()

    labels: Mapping[OwnKey, LabelValue] = {}
    """Of the step's pod."""

    annotations: Mapping[OwnKey, Annotation] = {}
    """Of the step's pod."""

    def over(self, default: "Resources") -> "Resources":
        """With what `default` gives where this says nothing; not judged anew, see `faults`."""
        said = {name: getattr(self, name) for name in self.model_fields_set}
        below = {name: getattr(default, name) for name in default.model_fields_set}
        values = {**below, **said}
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
        if self.retries is None:
            return found
        last = self.retries.max_seconds
        if last < self.retries.seconds:
            found.append(
                f"expected {place}.retries with max_seconds of at least seconds; got {last} and "
                f"{self.retries.seconds}, with which nothing is ever repeated; to fix, raise "
                "max_seconds"
            )
        if self.max_minutes and last <= 60 * self.max_minutes:
            found.append(
                f"expected {place}.retries.max_seconds above max_minutes, which the first attempt "
                f"may take; got {last} s and {self.max_minutes} min; to fix, raise max_seconds"
            )
        return found
