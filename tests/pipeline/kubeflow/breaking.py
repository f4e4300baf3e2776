"""Changes that break rules, of the pipeline with a loop; the modules `broken_…` hold them."""

from collections.abc import Callable

ROOT = "root.dag.tasks"
ROUND = "components.Round.dag.tasks"

BROKEN: list[tuple[str, str, Callable]] = []
"""The rule, the place of the fault, and the change of the pipeline with a loop."""


def breaks(rule: str, place: str):
    def add(function):
        BROKEN.append((rule, place, function))
        return function

    return add


def tasks(file, dag="Round"):
    holder = file["root"] if dag == "root" else file["components"][dag]
    return holder["dag"]["tasks"]


def container(file, label="trainer"):
    return file["deploymentSpec"]["executors"][label]["container"]


def inputs(file, task="Trainer", kind="parameters"):
    return tasks(file)[task]["inputs"][kind]


def defined(file, component="Trainer", section="input", kind="parameters"):
    return file["components"][component][f"{section}Definitions"][kind]
