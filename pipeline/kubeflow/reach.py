"""What the steps of a cluster reach: images, buckets, volumes, secrets.

A pod sees buckets and what is mounted into it, and nothing of the machine that compiles.
"""

import os
from collections.abc import Iterator, Sequence

from components.storage import paths
from pipeline import steps
from pipeline.environment import Environment

_OF_SERVED = ("Sources", "Baseline", "Pusher")
_OF_STATES = ("Tuner", "Trainer")
_OF_RECORDS = ("Sources", "ImportExampleGen")
_OF_WEIGHTS = ("Sources", "InitialWeights")
_OF_KEYS = ("Pusher",)


def sentences(
    environment: Environment, data_source: str | None, weights_source: str | None = None
) -> list[str]:
    """What steps on other machines could not use: a sentence for each fault.

    An image that is missing or goes by a tag, a path that is relative or that a step does not see,
    a secret that a step is not given.

    Args:
        environment: where they run.
        data_source: the folder of the data, if one is given.
        weights_source: path, address or name of the initial weights, likewise.
    """
    return [
        *_paths(environment, data_source, weights_source),
        *_images(environment),
        *_secrets(environment),
    ]


def _images(environment: Environment) -> Iterator[str]:
    if not environment.image:
        yield (
            "expected an image for steps run on other machines; got none; to fix, build and push "
            "one as docs/kubeflow.md says, and give --image name@sha256:…, or set image in the "
            "environment"
        )
    named = {"image": environment.image}
    named |= {f"resources.{step}.image": r.image for step, r in environment.resources.items()}
    for field, image in named.items():
        if image and "@sha256:" not in image and not environment.allow_tag:
            yield (
                f"expected {field} by its digest, name@sha256:…, for Kubeflow's cache knows an "
                f"image by its name and answers with results of an older one when its tag moves; "
                f"got {image}; to fix, give what docker push prints, or allow it with --allow-tag "
                "or allow_tag = true"
            )


def _paths(
    environment: Environment, data_source: str | None, weights_source: str | None
) -> Iterator[str]:
    for field, (path, users) in _used(environment, data_source, weights_source).items():
        if paths.is_remote(path):
            continue
        if not os.path.isabs(path):
            yield (
                f"expected {field} to be an absolute path or a bucket's address, for the steps run "
                f"on other machines; got {path}; to fix, write it in full"
            )
            continue
        found = {step: _mounted(environment, step, path) for step in users}
        blind = [step for step, place in found.items() if place is None]
        if blind:
            yield (
                f"expected {field} in a bucket, or on a volume of {', '.join(blind)}; got {path}, "
                "which no pod of theirs shows; to fix, give a bucket's address, or mount a claim: "
                f'volumes.data = {{ path = "{path}", claim = "its name" }}'
            )
        elif len(set(found.values())) > 1:
            yield (
                f"expected {field} to be one folder for {' and '.join(users)}; got {path} on "
                "volumes that differ; to fix, mount the same claim at the same path of all"
            )


def _used(
    environment: Environment, data_source: str | None, weights_source: str | None
) -> dict[str, tuple[str, Sequence[str]]]:
    """Paths by what they are called, with the steps that use them."""
    served = [*_OF_SERVED, *(["InitialWeights"] if weights_source == "served" else [])]
    # The pipeline root, below it lie the artifacts, is a bucket; see `check.names`.
    found: dict[str, tuple[str, Sequence[str]]] = {
        "root": (environment.root, ()),
        "artifacts": (environment.artifacts, ()),
        "served": (environment.served, served),
        "training_states": (environment.training_states, _OF_STATES),
    }
    if data_source is None:
        found["records"] = (environment.records, _OF_RECORDS)
    else:
        found["data.source"] = (data_source, _OF_RECORDS)
    if environment.metadata.startswith("sqlite:"):
        found["metadata"] = (environment.metadata.removeprefix("sqlite:"), steps.ALL)
    if weights_source is not None and "/" in weights_source:  # A name has none.
        found["initial_weights.source"] = (weights_source, _OF_WEIGHTS)
    if environment.signing is not None:
        found |= {name: (p, _OF_KEYS) for name, p in environment.signing.paths().items()}
    return found


def _mounted(environment: Environment, step: str, path: str) -> tuple[str, str] | None:
    """On which claim or secret a step sees a path, and where there; None where it does not."""
    clean = os.path.normpath(path)
    above = [
        volume
        for volume in environment.volumes_of(step).values()
        if f"{clean}/".startswith(f"{volume.path}/")
    ]
    if not above:
        return None
    volume = max(above, key=lambda volume: len(volume.path))
    name = volume.claim or volume.secret
    if name is None:  # Empty when the step starts, and gone with it.
        return None
    below = clean[len(volume.path) :]
    return name, os.path.normpath(f"/{volume.sub_path}/{below}")


def _secrets(environment: Environment) -> Iterator[str]:
    """Variables that a step reads a secret from, and that nothing gives it."""
    wanted = [(f"secrets.{name}", held, steps.ALL) for name, held in environment.secrets.items()]
    if environment.signing is not None:
        signing = environment.signing
        for name in ("password", "identity_token"):
            if variable := getattr(signing, name):
                wanted.append((f"signing.{name}", variable, _OF_KEYS))
    for field, variable, users in wanted:
        blind = [step for step in users if variable not in environment.secrets_of(step)]
        if blind:
            yield (
                f"expected the variable {variable} of {field} among the secret_variables of "
                f"{', '.join(blind)}; got none; to fix, say where the cluster keeps it: "
                f'secret_variables.{variable} = "secret/key"'
            )
