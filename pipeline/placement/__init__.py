"""What a cluster gives to the steps, and how it treats them; on one machine it has no effect.

Everything is by the names that Kubernetes has for it, and checked by its rules: a value that it
refuses would be found when a step starts, hours into a run.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

from pipeline import steps
from pipeline.placement.kubernetes import IMAGE, OWN_VOLUMES, ObjectName, Variable, VolumeName
from pipeline.placement.resources import Resources, SecretVariable, Section, Volume

_DEFAULT = "default"
_Entry = Literal[(_DEFAULT, *steps.ALL)]


class OnCluster(Section):
    """The part of an environment that Kubernetes is told."""

    image: str = ""
    """Container image with this project installed, by its digest, `name@sha256:…`."""

    allow_tag: bool = False
    """Take images by their tags. Kubeflow's cache knows an image by its text alone: when the tag
    moves, finished steps are answered with results of the image before."""

    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """None: Kubernetes' default."""

    image_pull_secrets: tuple[ObjectName, ...] = ()
    """Names of Secrets with the registry's credentials."""

    resources: Mapping[_Entry, Resources] = {}
    """By the name of the step; `default` for what a step's own entry leaves out."""

    volumes: Mapping[VolumeName, Volume] = {}
    """By names of one's choice."""

    secret_variables: Mapping[Variable, SecretVariable] = {}
    """Environment variables of steps whose values the cluster keeps, by reference."""

    def resources_of(self, step: str) -> Resources:
        """What a step asks of a cluster."""
        default = self.resources.get(_DEFAULT, Resources())
        return self.resources.get(step, Resources()).over(default)

    def image_of(self, step: str) -> str:
        """The image that a step runs in; empty where there is none."""
        return self.resources_of(step).image or self.image

    def volumes_of(self, step: str) -> dict[str, Volume]:
        """What a step sees beside its own folders, by the names in the environment."""
        return {name: volume for name, volume in self.volumes.items() if step in volume.steps}

    def secrets_of(self, step: str) -> dict[str, tuple[str, str]]:
        """The step's variables that hold secrets: name of the Secret, and key in it."""
        found = {}
        for variable, secret in self.secret_variables.items():
            if step in secret.steps:
                name, _, key = secret.key.partition("/")
                found[variable] = (name, key)
        return found

    def placement_faults(self) -> Iterator[str]:
        """What does not fit together, a sentence each."""
        yield from self._wrong_images()
        yield from self._wrong_resources()
        yield from self._wrong_volumes()

    def _wrong_images(self) -> Iterator[str]:
        named = {"image": self.image}
        named |= {f"resources.{step}.image": r.image for step, r in self.resources.items()}
        for field, image in named.items():
            if image and not IMAGE.fullmatch(image):
                yield (
                    f"expected {field} to be a container image; got {image!r}; to fix, write "
                    "name@sha256:digest, or name:tag"
                )
        if named.get(f"resources.{_DEFAULT}.image"):
            yield (
                "expected resources.default without image; got one; to fix, write it as image at "
                "the top of the file"
            )

    def _wrong_resources(self) -> Iterator[str]:
        """What is wrong with the default is said once."""
        known = self.resources_of(_DEFAULT).faults(f"resources.{_DEFAULT}")
        yield from known
        for step in self.resources.keys() - {_DEFAULT}:
            place = f"resources.{step}"
            for fault in self.resources_of(step).faults(place):
                if fault.replace(place, f"resources.{_DEFAULT}") not in known:
                    yield fault

    def _wrong_volumes(self) -> Iterator[str]:
        """Volumes of one step at one path, or of one name, of which Kubernetes would make one."""
        said = set()
        for step in steps.ALL:
            paths, names = {}, {}
            for name, volume in self.volumes_of(step).items():
                other = paths.setdefault(volume.path, name)
                if other != name:
                    said.add(
                        f"expected volumes of a step at paths of their own; got {volume.path} of "
                        f"{other} and {name}; to fix, give one another path"
                    )
                # Kubeflow names a volume as its claim or secret (`backend/src/v2/driver/k8s.go`);
                # one claim may be seen at several paths.
                in_pod = volume.claim or volume.secret or name
                kind = "claim" if volume.claim else name
                if in_pod in OWN_VOLUMES:
                    said.add(
                        f"expected volumes.{name} not to be called as a volume of Kubeflow's own; "
                        f"got {in_pod}; to fix, rename it"
                    )
                elif names.setdefault(in_pod, (kind, name))[0] != kind:
                    said.add(
                        "expected volumes of a step with names of their own, for Kubeflow calls "
                        f"them as their claim or secret; got {in_pod} of {names[in_pod][1]} and "
                        f"{name}; to fix, rename one of them"
                    )
        yield from sorted(said)
