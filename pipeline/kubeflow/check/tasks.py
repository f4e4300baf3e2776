"""Tasks: what they run, what they wait for, and when they run at all."""

import json
import re
from collections.abc import Iterable, Iterator

from components import texts
from pipeline.kubeflow.check import exits, messages
from pipeline.kubeflow.check.compiled import Compiled, Component, Task
from pipeline.kubeflow.check.faults import Fault, Rule, Verdict

NO_TASKS = Rule("no-tasks", Verdict.RUN)
NO_INFO = Rule("task-name", Verdict.TAKES, "its driver refuses the task when it starts")
COMPONENT = Rule("component", Verdict.RUN)
NESTED = Rule("component-cycle", Verdict.RUN)
SELF_NESTED = Rule("component-self", Verdict.TAKES, "a run starts it in itself without end")
UNUSED = Rule("unused", Verdict.TAKES, "ignores it")
DEPENDENCY = Rule("dependent-task", Verdict.TAKES, "Argo refuses the workflow when a run starts")
PRODUCER = Rule("producer", Verdict.RUN)
CYCLE = Rule("cycle", Verdict.TAKES, "Argo refuses the workflow when a run starts")
CONDITION = Rule("condition", Verdict.TAKES, "its driver fails when it evaluates the condition")
IMPORTER_CONDITION = Rule("importer-condition", Verdict.RUN)
ORDER = Rule("importer-order", Verdict.TAKES, "starts the importer at once")
ITERATOR = Rule("artifact-iterator", Verdict.RUN)
ITEMS = Rule("iterator", Verdict.TAKES, "its driver finds nothing to repeat the component over")
NEGATIVE = Rule("limits", Verdict.TAKES, "Kubernetes refuses the workflow or Argo never retries")

_READ_BY_CONDITION = re.compile(r"inputs\.parameter_values\[\s*(['\"])(.*?)\1\s*\]")


def check(compiled: Compiled) -> Iterator[Fault]:
    """What is wrong with the tasks of all DAGs of a file."""
    components = compiled.components
    for component in components.values():
        tasks = {task.name: task for task in component.tasks()}
        if "dag" in component.message and not tasks:
            place = (*component.place, "dag", "tasks")
            yield NO_TASKS.broken(place, "at least one task", None, "give one")
        for task in tasks.values():
            yield from _component(task, components)
            yield from _dependencies(task, tasks)
            yield from _condition(task, compiled)
            yield from _order(task, compiled)
            yield from _iterator(task, components.get(task.component))
            yield from _limits(task)
        yield from exits.check(tasks, component, compiled)
        waits = {name: task.waits_for() & tasks.keys() for name, task in tasks.items()}
        cycle = cycle_in(waits)
        if cycle:
            yield CYCLE.broken(
                tasks[cycle[0]].place,
                "tasks that do not wait for themselves",
                " → ".join([*cycle, cycle[0]]),
                "take one of these dependencies away",
                is_quoted=False,
            )
    yield from _nesting(components)
    yield from _unused(compiled, components)


def cycle_in(arrows: dict[str, set[str]]) -> list[str]:
    """The nodes of a cycle in their order; empty where there is none."""
    done: set[str] = set()
    for start in sorted(arrows):
        path: list[str] = []
        waiting: list[tuple[str, Iterator[str]]] = []
        if start not in done:
            path, waiting = [start], [(start, iter(sorted(arrows[start])))]
        while waiting:
            node, following = waiting[-1]
            step = next((each for each in following if each not in done), None)
            if step is None:
                done.add(node)
                path.pop()
                waiting.pop()
            elif step in path:
                return path[path.index(step) :]
            else:
                path.append(step)
                waiting.append((step, iter(sorted(arrows[step]))))
    return []


def _component(task: Task, components: dict[str, Component]) -> Iterator[Fault]:
    if not task.message.get("taskInfo", {}).get("name"):
        place = (*task.place, "taskInfo", "name")
        yield NO_INFO.broken(place, "the name of the task to be shown", None, "give one")
    if task.component not in components:
        place = (*task.place, "componentRef", "name")
        names = sorted(components.keys() - {"root"})
        yield COMPONENT.broken(
            place,
            f"a component of the file, one of {texts.listed(names)}" if names else "a component",
            task.component or None,
            "name one of them, or add it below components",
        )


def _dependencies(task: Task, tasks: dict[str, Task]) -> Iterator[Fault]:
    for index, name in enumerate(task.message.get("dependentTasks", ())):
        if name not in tasks:
            place = (*task.place, "dependentTasks", index)
            rule = exits.HOOK if task.is_exit else DEPENDENCY
            yield rule.broken(place, *_one_of(tasks, name))
    for place, name in task.producers():
        if name not in tasks:
            yield PRODUCER.broken(place, *_one_of(tasks, name))


def _one_of(tasks: Iterable[str], name: str) -> tuple[str, str | None, str]:
    among = texts.listed(sorted(tasks))
    return f"a task of the same DAG, one of {among}", name or None, "name one of them"


def _condition(task: Task, compiled: Compiled) -> Iterator[Fault]:
    if not task.condition:
        return
    place = (*task.place, "triggerPolicy", "condition")
    component = compiled.components.get(task.component)
    if "importer" in compiled.executor_of(component):
        yield IMPORTER_CONDITION.broken(
            place, "no condition on an importer", task.condition, "put it into a DAG with one"
        )
    for match in _READ_BY_CONDITION.finditer(task.condition):
        if match[2] not in task.inputs("parameters"):
            yield CONDITION.broken(
                place,
                "a condition on parameters that the task is given",
                match[2],
                "add it to the inputs of the task",
            )
    if _unbalanced(task.condition):
        yield CONDITION.broken(
            place, "brackets and quotation marks in pairs", task.condition, "close them"
        )


def _order(task: Task, compiled: Compiled) -> Iterator[Fault]:
    before = sorted(task.waits_for())
    if before and "importer" in compiled.executor_of(compiled.components.get(task.component)):
        place = (*task.place, "dependentTasks")
        yield ORDER.broken(
            place, "an importer that waits for nothing", before, "let what follows it wait"
        )


def _unbalanced(condition: str) -> bool:
    outside = re.sub(r"\"(\\.|[^\"\\])*\"|'(\\.|[^'\\])*'", "", condition)
    if "'" in outside or '"' in outside:
        return True
    opened = []
    for character in outside:
        if character in "([{":
            opened.append({"(": ")", "[": "]", "{": "}"}[character])
        elif character in ")]}" and (not opened or opened.pop() != character):
            return True
    return bool(opened)


def _iterator(task: Task, component: Component | None) -> Iterator[Fault]:
    if "artifactIterator" in task.message:
        yield ITERATOR.broken(
            (*task.place, "artifactIterator"),
            "an iterator over a parameter, if any",
            "one over artifacts, which Kubeflow has not implemented",
            "pass their addresses as a list",
            is_quoted=False,
        )
    if task.iterator is None:
        return
    place = (*task.place, "parameterIterator")
    items, item = task.iterator.get("items", {}), task.iterator.get("itemInput", "")
    if component is not None and item not in component.inputs("parameters"):
        yield ITEMS.broken(
            (*place, "itemInput"),
            f"an input parameter of the component {component.name}",
            item or None,
            "name the parameter that takes one item",
        )
    if "raw" in items:
        if not _is_json_list(items["raw"]):
            yield ITEMS.broken(
                (*place, "items", "raw"), "a list in JSON", items["raw"], "write one"
            )
    elif items.get("inputParameter") not in task.inputs("parameters"):
        yield ITEMS.broken(
            (*place, "items", "inputParameter"),
            "an input parameter of the task, or raw items",
            items.get("inputParameter"),
            "name the parameter that has the list",
        )


def _is_json_list(text: str) -> bool:
    try:
        return isinstance(json.loads(text), list)
    except (ValueError, RecursionError):
        return False


def _limits(task: Task) -> Iterator[Fault]:
    for section, key in (("retryPolicy", "maxRetryCount"), ("iteratorPolicy", "parallelismLimit")):
        number = task.message.get(section, {}).get(key, 0)
        if number < 0:
            place = (*task.place, section, key)
            yield NEGATIVE.broken(place, "0 or more", number, "give such a number")
    for key in ("backoffDuration", "backoffMaxDuration"):
        duration = task.message.get("retryPolicy", {}).get(key, "0s")
        if messages.seconds(duration) < 0:
            place = (*task.place, "retryPolicy", key)
            yield NEGATIVE.broken(place, "a time of 0 or more", duration, "give such a time")


def _nesting(components: dict[str, Component]) -> Iterator[Fault]:
    arrows = {
        name: {task.component for task in component.tasks()} & components.keys()
        for name, component in components.items()
    }
    cycle = cycle_in(arrows)
    if cycle:
        yield (NESTED if len(cycle) > 1 else SELF_NESTED).broken(
            components[cycle[0]].place,
            "components that do not hold themselves",
            " → ".join([*cycle, cycle[0]]),
            "take one of these tasks away",
            is_quoted=False,
        )


def _unused(compiled: Compiled, components: dict[str, Component]) -> Iterator[Fault]:
    reached, waiting = {"root"}, ["root"]
    while waiting:
        for task in components[waiting.pop()].tasks():
            if task.component in components and task.component not in reached:
                reached.add(task.component)
                waiting.append(task.component)
    for name in components.keys() - reached:
        yield UNUSED.broken(
            components[name].place, "components that tasks run", "one that none runs",
            "take it away", is_quoted=False,
        )  # fmt: skip
    labels = {component.message.get("executorLabel") for component in components.values()}
    for label in compiled.executors.keys() - labels:
        yield UNUSED.broken(
            ("deploymentSpec", "executors", label), "executors that components name",
            "one that none names", "take it away", is_quoted=False,
        )  # fmt: skip
