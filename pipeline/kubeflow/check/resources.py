"""What steps ask of the cluster: quantities, as Kubernetes reads them, and accelerators."""

import math
import re
from collections.abc import Iterator
from decimal import Decimal

from pipeline.kubeflow.check.compiled import Compiled
from pipeline.kubeflow.check.faults import Fault, Place, Rule, Verdict

QUANTITY = Rule("resources", Verdict.TAKES, "its driver or Kubernetes refuses the step")
TWO_STYLES = Rule("resources-twice", Verdict.TAKES, "ignores the old field")
ACCELERATOR = Rule("accelerator", Verdict.TAKES, "the step runs without it, or is never placed")

_SUFFIXES = {
    **{suffix: Decimal(1000) ** n for n, suffix in enumerate(("n", "u", "m", "", *"kMGTPE"), -3)},
    **{f"{letter}i": Decimal(1024) ** n for n, letter in enumerate("KMGTPE", 1)},
}
_QUANTITY = re.compile(
    r"(\+?[0-9]+\.?[0-9]*|\+?\.[0-9]+)([eE][-+]?[0-9]{1,2}|[numkMGTPE]|[KMGTPE]i|)"
)
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_TYPE = re.compile(rf"{_LABEL}(\.{_LABEL})*/[a-zA-Z0-9]([-\w.]{{0,61}}[a-zA-Z0-9])?")
_COUNT = re.compile(r"[1-9][0-9]{0,5}")

_KINDS = ("cpu", "memory")


def check(compiled: Compiled) -> Iterator[Fault]:
    """What is wrong with the resources of all containers."""
    for label, executor in compiled.executors.items():
        asked = executor.get("container", {}).get("resources", {})
        place = ("deploymentSpec", "executors", label, "container", "resources")
        for kind in _KINDS:
            yield from _kind(asked, kind, place)
        if "accelerator" in asked:
            yield from _accelerator(asked["accelerator"], (*place, "accelerator"))


def quantity(text: str) -> Decimal | None:
    """A quantity of Kubernetes, such as `500m`, `8Gi` or `1e3`; None where it is none."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    if match[2][:1] in ("e", "E") and len(match[2]) > 1:
        return Decimal(f"{match[1]}{match[2]}")
    return Decimal(match[1]) * _SUFFIXES[match[2]]


def _kind(asked: dict, kind: str, place: Place) -> Iterator[Fault]:
    amounts = {}
    for bound in ("Request", "Limit"):
        old, new = f"{kind}{bound}", f"resource{kind.capitalize()}{bound}"
        if old in asked and new in asked:
            yield TWO_STYLES.broken(
                (*place, old), f"either it or {new}", asked[old], f"keep {new} alone"
            )
        if new in asked and "{{$" in asked[new]:
            continue  # Known when the step runs.
        name = new if asked.get(new) else old
        if name not in asked:
            continue
        amount = _amount(asked[name], kind)
        if amount is None or amount <= 0:
            yield QUANTITY.broken(
                (*place, name), "an amount above 0, as Kubernetes writes them",
                asked[name], 'write for example "2", "500m" or "8Gi"',
            )  # fmt: skip
        else:
            amounts[bound] = amount
    if len(amounts) == 2 and amounts["Request"] > amounts["Limit"]:
        yield QUANTITY.broken(
            place, f"a limit of {kind} that is no less than the request",
            f"{amounts['Limit']} and {amounts['Request']}", "raise the limit",
            is_quoted=False,
        )  # fmt: skip


def _amount(value: str | float, kind: str) -> Decimal | None:
    """In cores or bytes; the old fields are numbers, of memory in GB."""
    if isinstance(value, str):
        return quantity(value)
    if not math.isfinite(value):
        return None
    return Decimal(value) * (10**9 if kind == "memory" else 1)


def _accelerator(asked: dict, place: Place) -> Iterator[Fault]:
    kind = asked.get("resourceType") or asked.get("type", "")
    count = asked.get("resourceCount") or str(asked.get("count", ""))
    if "{{$" not in kind and not _TYPE.fullmatch(kind):
        yield ACCELERATOR.broken(
            (*place, "type"),
            "the name of a resource as the cluster has it, such as nvidia.com/gpu",
            kind or None,
            "set gpu_type in the environment",
        )
    if "{{$" not in count and not _COUNT.fullmatch(count):
        yield ACCELERATOR.broken(
            (*place, "count"), "how many, at least 1", count or None, "give a count"
        )
