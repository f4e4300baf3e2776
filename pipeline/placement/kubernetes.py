"""Names, labels, paths and amounts, as Kubernetes and Kubeflow take them.

Rules of names, labels and paths are those of Kubernetes 1.36 (`apimachinery/pkg/util/validation`
and `apis/core/validation`); where Kubeflow or Argo is stricter, its file stands beside the rule.
"""

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, Field

PLACE = "{place}"
"""Stands for the place in the environment's file, which who reads the file knows."""

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_LONGEST_NAME = 253
VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
"""The name of an environment variable."""

IMAGE = re.compile(r"[a-z0-9][\w.\-/:]*(@sha256:[0-9a-f]{64})?")
"""A container image, with or without its digest."""

_OWN_PATHS = ("/gcs", "/s3", "/minio", "/.local", "/.cache", "/.config", "/kfp-launcher")
"""Where Kubeflow mounts its own (`backend/src/v2/compiler/argocompiler/container.go`)."""

OWN_VOLUMES = (
    *("kfp-launcher", "gcs-scratch", "s3-scratch", "minio-scratch"),
    *("dot-local-scratch", "dot-cache-scratch", "dot-config-scratch"),
)
_OWN_VARIABLES = re.compile(r"KFP_.*|DEEPLAB_.*|METADATA_GRPC_SERVICE_(HOST|PORT)")
"""What Kubeflow and this pipeline give every step themselves."""

_OWN_METADATA = ("workflows.argoproj.io/", "pipelines.kubeflow.org/")

TEN_YEARS = 10 * 365 * 24 * 3600
WEEK = 7 * 24 * 3600


def _rule(
    pattern: str, expected: str, fix: str, *, longest: int = _LONGEST_NAME, secret: bool = False
) -> Callable[[str], str]:
    """A rule of texts; what came is not said where it may be a secret."""

    def check(text: str) -> str:
        if len(text) > longest or not re.fullmatch(pattern, text, re.ASCII):
            got = "another text" if secret else repr(text[:80])
            raise ValueError(f"expected {PLACE} to be {expected}; got {got}; to fix, {fix}")
        return text

    return check


def _mount_path(text: str) -> str:
    if not re.fullmatch(r"(/[^/:{}*?\[\]]+)+", text) or {".", ".."} & set(text.split("/")):
        raise ValueError(
            f"expected {PLACE} to be an absolute path in the container, without : . .. {{ }} * ? "
            f"[ ] and no / at its end; got {text!r}; to fix, write for example /mnt/deeplab"
        )
    for own in _OWN_PATHS:
        if f"{text}/".startswith(f"{own}/"):
            raise ValueError(
                f"expected {PLACE} to be a path that Kubeflow does not take itself; got {text!r}; "
                f"to fix, mount it outside {own}"
            )
    return text


def _sub_path(text: str) -> str:
    if text.startswith("/") or ".." in text.split("/") or re.search(r"[{}]", text):
        raise ValueError(
            f"expected {PLACE} to be a folder of the volume, relative and without ..; got "
            f"{text!r}; to fix, write it from the root of the volume on"
        )
    return text


def _thousandths(number: float) -> float:
    if round(number, 3) != number:
        raise ValueError(
            f"expected {PLACE} in thousandths, finer than which Kubernetes does not count; got "
            f"{number}; to fix, write {max(0.001, round(number, 3))}"
        )
    return number


def _annotation(text: str) -> str:
    if "{{" in text:
        raise ValueError(
            f"expected {PLACE} without {{{{, which Argo would fill in; got {text[:80]!r}; to fix, "
            "write it without"
        )
    return text


def _own_metadata(text: str) -> str:
    if text.startswith(_OWN_METADATA):
        raise ValueError(
            f"expected {PLACE} to be a name of your own; got {text!r}, which Argo or Kubeflow set "
            "themselves; to fix, choose another prefix"
        )
    return text


def _own_variable(text: str) -> str:
    if _OWN_VARIABLES.fullmatch(text):
        raise ValueError(
            f"expected {PLACE} to be a variable that neither Kubeflow nor this pipeline sets; got "
            f"{text}; to fix, choose another name"
        )
    return text


_KEY_RULE = AfterValidator(
    _rule(
        rf"(?!.{{254,}}/)({_SUBDOMAIN}/)?{_NAME}",
        "a label's name as Kubernetes has it, [prefix/]name",
        "write for example cloud.example/gpu",
        longest=_LONGEST_NAME + 64,
    )
)
LabelKey = Annotated[str, _KEY_RULE]
OwnKey = Annotated[str, _KEY_RULE, AfterValidator(_own_metadata)]
LabelValue = Annotated[
    str,
    AfterValidator(
        _rule(
            rf"({_NAME})?",
            "a label's value as Kubernetes has it, of at most 63 letters, digits and -_.",
            'put it into quotation marks and shorten it, for example "true"',
        )
    ),
]
ObjectName = Annotated[
    str,
    AfterValidator(
        _rule(
            _SUBDOMAIN,
            "the name of an object of Kubernetes: lower-case letters, digits, - and .",
            "write the name that kubectl get shows",
            secret=True,
        )
    ),
]
VolumeName = Annotated[
    str,
    AfterValidator(
        # Kubeflow names the volume as its claim or secret (`backend/src/v2/driver/k8s.go`).
        _rule(
            _LABEL,
            "a name of at most 63 lower-case letters, digits and -, for the volume of a pod is "
            "called so",
            "rename it",
            longest=63,
        )
    ),
]
Variable = Annotated[
    str,
    AfterValidator(
        _rule(
            VARIABLE,
            "the name of an environment variable",
            "write the name, never a value",
            secret=True,
        )
    ),
    AfterValidator(_own_variable),
]
GpuType = Annotated[
    str,
    AfterValidator(
        _rule(
            rf"{_SUBDOMAIN}/{_NAME}",
            "the name of a resource as the cluster has it",
            "write for example nvidia.com/gpu",
        )
    ),
]
StorageClass = Annotated[
    str,
    AfterValidator(
        _rule(rf"({_SUBDOMAIN})?", "a StorageClass's name", "write what kubectl get sc shows")
    ),
]
SecretKey = Annotated[
    str,
    AfterValidator(
        _rule(
            rf"{_SUBDOMAIN}/(?!\.\.|\.$)[-._a-zA-Z0-9]+",
            "secret/key: the name of a Secret of the namespace, and a key in it",
            "write what kubectl describe secret shows, never the value",
            longest=2 * _LONGEST_NAME,
            secret=True,
        )
    ),
]
MountPath = Annotated[str, AfterValidator(_mount_path)]
# Below a thousandth and above a billion Go would write an exponent, see `backend/src/v2/driver`.
Amount = Annotated[float, Field(ge=0.001, le=1e9, strict=True), AfterValidator(_thousandths)]
Seconds = Annotated[int, Field(ge=0, le=TEN_YEARS, strict=True)]
Annotation = Annotated[str, AfterValidator(_annotation)]
SubPath = Annotated[str, AfterValidator(_sub_path)]
