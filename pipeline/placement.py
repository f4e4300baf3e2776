"""What a cluster gives to the steps, and how it treats them; on one machine it has no effect.

Everything is by the names that Kubernetes has for it, and checked by its rules: a value that it
refuses would be found when a step starts, hours into a run.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import Field

from pipeline import steps

_Step = Literal[steps.ALL]

# Source: kubernetes/apimachinery, pkg/util/validation: RFC 1123 names, and qualified names.
_DNS = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_Name = Annotated[str, Field(pattern=rf"^{_DNS}(\.{_DNS})*$", max_length=253)]
_LabelKey = Annotated[
    str, Field(pattern=rf"^({_DNS}(\.{_DNS})*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?$")
]
_LabelValue = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")]
_Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
_SecretKey = Annotated[str, Field(pattern=rf"^{_DNS}(\.{_DNS})*/[-._a-zA-Z0-9]+$")]
_Folder = Annotated[str, Field(pattern=r"^/[^:]*[^/:]$")]
_Positive = Annotated[float, Field(gt=0)]
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
IMAGE = re.compile(r"[a-z0-9][\w.\-/:]*(@sha256:[0-9a-f]{64})?")
"""A container image."""


class Section(pydantic.BaseModel, frozen=True, extra="forbid"):
    """Part of an environment; misspelt names are refused."""


class Retries(Section):
    """How often a failed step is tried again, and after how long."""

    limit: Annotated[int, Field(ge=1, le=100)]
    """Attempts after the first."""

    seconds: Annotated[int, Field(ge=0)] = 30
    """Before the second attempt."""

    factor: Annotated[int, Field(ge=1)] = 2
    """Each pause is so many times the one before."""

    max_seconds: Annotated[int, Field(ge=1)] = 3600
    """No attempt is begun later than this after the first."""


class Toleration(Section):
    """A taint of nodes that a step's pod bears."""

    key: _LabelKey
    operator: Literal["Exists", "Equal"] = "Exists"
    value: _LabelValue = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None

    @pydantic.model_validator(mode="after")
    def _value_of_equal(self):
        if self.operator == "Exists" and self.value:
            raise ValueError(
                f"expected a toleration with operator Exists to have no value; got {self.value!r}; "
                'to fix, take it away, or write operator = "Equal"'
            )
        return self


class Volume(Section):
    """A folder that steps see beside their own."""

    path: _Folder
    """Where they see it."""

    claim: _Name | None = None
    """Name of a PersistentVolumeClaim."""

    sub_path: str = ""
    """Folder of the claim; the whole of it by default."""

    empty_gb: _Positive | None = None
    """In place of a claim: an empty folder of at most so many GB of 1e9 bytes, for one attempt."""

    secret: _Name | None = None
    """In place of a claim: name of a Secret whose keys become files."""

    steps: tuple[_Step, ...] = steps.ALL
    """Which see it; all by default."""

    @pydantic.model_validator(mode="after")
    def _one_kind(self):
        kinds = {"claim": self.claim, "empty_gb": self.empty_gb, "secret": self.secret}
        given = [name for name, value in kinds.items() if value is not None]
        if len(given) != 1:
            raise ValueError(
                f"expected a volume with one of {', '.join(kinds)}; got "
                f"{' and '.join(given) or 'none'}; to fix, give one"
            )
        if self.sub_path and self.claim is None:
            raise ValueError("expected sub_path with a claim; got another; to fix, leave it out")
        return self


class Resources(Section):
    """What a step asks of a cluster. What a step leaves out it has from `default`."""

    cpu: _Positive | None = None
    """Cores, at most."""

    cpu_request: _Positive | None = None
    """Cores that a node must have left; `cpu` where it is not given."""

    memory_gb: _Positive | None = None
    """GB of 1e9 bytes, at most."""

    memory_request_gb: _Positive | None = None
    """GB that a node must have left; `memory_gb` where it is not given."""

    gpus: Annotated[int, Field(ge=0)] = 0
    """How many."""

    gpu_type: Annotated[str, Field(pattern=rf"^{_DNS}(\.{_DNS})*/[A-Za-z0-9][-\w.]*$")] = (
        "nvidia.com/gpu"
    )
    """The name of the resource, as the cluster knows it."""

    image: Annotated[str, Field(pattern=rf"^{IMAGE.pattern}$")] | None = None
    """In place of the environment's."""

    retries: Retries | None = None
    """None: a failed step fails the run."""

    max_minutes: Annotated[int, Field(ge=1)] | None = None
    """A step that takes longer is ended, and fails."""

    cache: bool = True
    """Whether a finished step is answered from Kubeflow's cache."""

    node_selector: Mapping[_LabelKey, _LabelValue] = {}
    """Labels that the node must have."""

    tolerations: tuple[Toleration, ...] = ()
    """Taints that the pod bears."""

    labels: Mapping[_LabelKey, _LabelValue] = {}
    """Of the pod."""

    annotations: Mapping[_LabelKey, str] = {}
    """Of the pod."""

    @pydantic.model_validator(mode="after")
    def _requests_below_limits(self):
        for name, low, high in (
            ("cpu", self.cpu_request, self.cpu),
            ("memory", self.memory_request_gb, self.memory_gb),
        ):
            if low is not None and high is not None and low > high:
                raise ValueError(
                    f"expected a request of {name} of at most its limit, {high:g}; got {low:g}; to "
                    "fix, raise the limit"
                )
        return self

    def over(self, default: "Resources") -> Self:
        """With what `default` gives where this says nothing."""
        said = {name: getattr(self, name) for name in self.model_fields_set}
        below = {name: getattr(default, name) for name in default.model_fields_set}
        return type(self)(**{**below, **said})


class OnCluster(Section):
    """The part of an environment that Kubernetes is told."""

    image: str = ""
    """Container image with this project installed, by its digest, `name@sha256:…`."""

    allow_tag: bool = False
    """Take an image by its tag. Kubeflow's cache knows an image by its text alone: another image
    under the same tag is answered with results of the one before."""

    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """None: Kubernetes' default."""

    image_pull_secrets: tuple[_Name, ...] = ()
    """Names of Secrets with the registry's credentials."""

    resources: Mapping[Literal["default", _Step], Resources] = {}
    """By the name of the step; `default` for what a step's own entry leaves out."""

    volumes: Mapping[str, Volume] = {}
    """By names of one's choice."""

    secret_variables: Mapping[_Variable, _SecretKey] = {}
    """Environment variables of every step and the keys of Secrets that hold their values, as
    `secret/key`; never a value."""

    def resources_of(self, step: str) -> Resources:
        """What a step asks of a cluster."""
        default = self.resources.get("default", Resources())
        return self.resources.get(step, Resources()).over(default)

    def image_of(self, step: str) -> str:
        """The image that a step runs in."""
        return self.resources_of(step).image or self.image

    def volumes_of(self, step: str) -> Iterator[Volume]:
        """What a step sees beside its own folders."""
        for volume in self.volumes.values():
            if step in volume.steps:
                yield volume

    def placement_faults(self, seen: Mapping[str, str]) -> list[str]:
        """What is wrong with it for a cluster, a sentence each.

        Args:
            seen: paths that the steps must see, by what names them in the environment.
        """
        faults = list(self._image_faults())
        for name, path in seen.items():
            blind = [step for step in steps.ALL if not self._is_mounted(path, step)]
            if blind:
                who = "no step" if len(blind) == len(steps.ALL) else f"not {', '.join(blind)}"
                faults.append(
                    f"expected {name} below the path of a volume, or in a bucket, for the steps "
                    f"run on other machines; got {path}, which {who} sees; to fix, mount it under "
                    "volumes in the environment, or give the address of a bucket"
                )
        mounted: dict[str, str] = {}
        for name, volume in self.volumes.items():
            if (other := mounted.setdefault(volume.path, name)) != name:
                faults.append(
                    f"expected volumes at paths of their own; got {volume.path} of {other} and "
                    f"{name}; to fix, give one another path"
                )
        return faults

    def _image_faults(self) -> Iterator[str]:
        if not self.image:
            yield (
                "expected an image for steps run on other machines; got none; to fix, set image in "
                "the environment, or give --image"
            )
            return
        images = dict.fromkeys(self.image_of(step) for step in steps.ALL)
        tags = [image for image in images if not _DIGEST.search(image)]
        if tags and not self.allow_tag:
            yield (
                f"expected images by their digest, name@sha256:…; got {', '.join(tags)}, which may "
                "become another image, and Kubeflow's cache would not know; to fix, give the "
                "digest that the push has printed, or set allow_tag in the environment"
            )

    def _is_mounted(self, path: str, step: str) -> bool:
        return any(
            path == volume.path or path.startswith(f"{volume.path}/")
            for volume in self.volumes_of(step)
            if volume.empty_gb is None
        )


def summary(place: OnCluster, step: str) -> dict[str, Any]:
    """What a step gets, for a table: only what is set."""
    return place.resources_of(step).model_dump(exclude_defaults=True, exclude={"image"})
