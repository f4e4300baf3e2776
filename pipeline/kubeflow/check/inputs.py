"""Where the inputs of tasks and the outputs of DAGs come from, and whether the types agree."""

import json
from collections.abc import Iterator

from components import texts
from pipeline.kubeflow.check import definitions
from pipeline.kubeflow.check.compiled import Compiled, Component, Task
from pipeline.kubeflow.check.faults import Fault, Place, Rule, Verdict, shown

SOURCE = Rule("input-source", Verdict.TAKES, "its driver cannot resolve the input")
UNDEFINED = Rule("input-undefined", Verdict.TAKES, "the component does not know the input")
MISSING = Rule("input-missing", Verdict.TAKES, "its driver or the step fails without the input")
OUTPUT = Rule("producer-output", Verdict.TAKES, "its driver waits for an output that nobody makes")
PARENT = Rule("parent-input", Verdict.TAKES, "its driver does not find the input of the DAG")
TYPES = Rule("types", Verdict.TAKES, "the step gets something of another type")
DAG_OUTPUT = Rule("dag-output", Verdict.TAKES, "what takes the output finds nothing")
FINAL_STATUS = Rule("final-status", Verdict.TAKES, "its driver finds no task to report on")
ARGUMENT = Rule("argument-size", Verdict.TAKES, "Linux starts no program with such an argument")

_LONGEST_ARGUMENT = 128 * 1024 - 1
"""Bytes; all inputs of a step go into one argument of the launcher."""

_ANY_ARTIFACT = "system.Artifact"
_CHANNEL = "pipelinechannel--"
"""Kubeflow's own compiler hands values that conditions read on by such names, to tasks that have
no use for them as well."""

_STATUS = ("STRUCT", "TASK_FINAL_STATUS")


def check(compiled: Compiled) -> Iterator[Fault]:
    """What is wrong with the inputs of all tasks and the outputs of all DAGs."""
    components = compiled.components
    for component in components.values():
        tasks = {task.name: task for task in component.tasks()}
        for task in tasks.values():
            for kind in ("parameters", "artifacts"):
                for name, source in task.inputs(kind).items():
                    place = (*task.place, "inputs", kind, name)
                    yield from _input(_Input(task, kind, name, source, place), tasks, components)
            yield from _missing(task, components.get(task.component))
            yield from _size(task)
        yield from _dag_outputs(component, tasks, components)


class _Input:
    """One input of a task."""

    def __init__(self, task: Task, kind: str, name: str, source: dict, place: Place):
        self.task, self.kind, self.name = task, kind, name
        self.source, self.place = source, place


def _input(one: _Input, tasks: dict[str, Task], components: dict) -> Iterator[Fault]:
    consumer = components.get(one.task.component)
    defined = consumer.inputs(one.kind).get(one.name) if consumer else None
    if consumer is not None and defined is None and not one.name.startswith(_CHANNEL):
        yield UNDEFINED.broken(
            one.place,
            f"an input that {consumer.name} defines, {_among(consumer.inputs(one.kind))}",
            one.name,
            "define it in the component, or take it away",
        )
    match one.source:
        case {"taskOutputArtifact": _} | {"taskOutputParameter": _}:
            yield from _from_task(one, defined, tasks, components)
        case {"componentInputArtifact": name} | {"componentInputParameter": name}:
            yield from _from_parent(one, defined, name)
        case {"runtimeValue": {"constant": value}}:
            place = (*one.place, "runtimeValue", "constant")
            if defined is not None and "parameterExpressionSelector" not in one.source:
                yield from definitions.value_faults(definitions.VALUE, defined, value, place)
        case {"taskFinalStatus": _}:
            if not one.task.is_exit or not one.task.message.get("dependentTasks"):
                yield FINAL_STATUS.broken(
                    one.place,
                    "the final status in an exit task alone",
                    "it in a task that runs before the end",
                    "make it an exit task that depends on what it reports on",
                    is_quoted=False,
                )
        case _:
            known = "taskOutput…, componentInput… or runtimeValue with constant"
            got = one.source.get("runtimeValue", one.source) or None
            yield SOURCE.broken(one.place, f"a source: {known}", got, "give one of these")


def _from_task(
    one: _Input, defined: dict | None, tasks: dict[str, Task], components: dict
) -> Iterator[Fault]:
    is_artifact = one.kind == "artifacts"
    field = "taskOutputArtifact" if is_artifact else "taskOutputParameter"
    key_field = "outputArtifactKey" if is_artifact else "outputParameterKey"
    producer = tasks.get(one.source[field].get("producerTask", ""))
    made_by = components.get(producer.component) if producer else None
    if producer is None or made_by is None:
        return  # Said by the rules on tasks.
    key = one.source[field].get(key_field, "")
    made = made_by.outputs(one.kind).get(key)
    if made is None:
        yield OUTPUT.broken(
            (*one.place, field, key_field),
            f"an output of {producer.name}, {_among(made_by.outputs(one.kind))}",
            key or None,
            "name one of them",
        )
    elif defined is not None and "parameterExpressionSelector" not in one.source:
        collected = producer.iterator is not None
        yield from _types(one, defined, made, collected=collected)


def _from_parent(one: _Input, defined: dict | None, name: str) -> Iterator[Fault]:
    parent = one.task.dag.inputs(one.kind)
    item = (one.task.iterator or {}).get("itemInput")
    if name not in parent:
        yield PARENT.broken(
            one.place,
            f"an input of the DAG {one.task.dag.name}, {_among(parent)}",
            name or None,
            "name one of them",
        )
    elif defined is not None and "parameterExpressionSelector" not in one.source and item is None:
        yield from _types(one, defined, parent[name], collected=False)


def _types(one: _Input, defined: dict, made: dict, *, collected: bool) -> Iterator[Fault]:
    """Whether what is made is what is taken; an iterator's outputs are collected to lists."""
    if one.kind == "parameters":
        wanted, got = defined.get("parameterType"), made.get("parameterType")
        is_right = wanted == got or (collected and wanted == "LIST") or (wanted, got) == _STATUS
    else:
        wanted = definitions.title(defined.get("artifactType", {}))
        got = definitions.title(made.get("artifactType", {}))
        is_right = wanted == got or _ANY_ARTIFACT in (wanted, got) or None in (wanted, got)
        if is_right:
            takes_list = defined.get("isArtifactList", False)
            gives_list = made.get("isArtifactList", False) or collected
            is_right = takes_list == gives_list
            names = {True: "a list of ", False: "one "}
            wanted, got = f"{names[takes_list]}{wanted}", f"{names[gives_list]}{got}"
    if not is_right:
        yield TYPES.broken(
            one.place, f"{wanted}, as its component defines it", got,
            "connect an output of that type, or define the input so",
            is_quoted=False,
        )  # fmt: skip


def _missing(task: Task, component: Component | None) -> Iterator[Fault]:
    if component is None:
        return
    filled = {(task.iterator or {}).get("itemInput")}
    for kind in ("parameters", "artifacts"):
        for name, defined in component.inputs(kind).items():
            is_given = name in task.inputs(kind) or (kind == "parameters" and name in filled)
            is_filled = defined.get("isOptional") or defined.get("parameterType") == "TASK_CONFIG"
            if not is_given and not is_filled:
                yield MISSING.broken(
                    (*task.place, "inputs", kind, name),
                    f"the input {shown(name)}, which {component.name} requires",
                    None,
                    "give it, or make it optional in the component",
                )


def _size(task: Task) -> Iterator[Fault]:
    constants = {
        name: source["runtimeValue"].get("constant")
        for name, source in task.inputs("parameters").items()
        if "runtimeValue" in source
    }
    size = len(json.dumps({"inputs": {"parameterValues": constants}}, ensure_ascii=False).encode())
    if size > _LONGEST_ARGUMENT:
        yield ARGUMENT.broken(
            (*task.place, "inputs", "parameters"),
            f"constants of at most {_LONGEST_ARGUMENT} bytes together",
            f"{size} bytes",
            "pass what is large as an artifact",
            is_quoted=False,
        )


def _dag_outputs(component: Component, tasks: dict[str, Task], components: dict) -> Iterator[Fault]:
    if "dag" not in component.message:
        return
    selected = component.message["dag"].get("outputs", {})
    for kind in ("parameters", "artifacts"):
        place = (*component.place, "dag", "outputs", kind)
        for name in component.outputs(kind).keys() - selected.get(kind, {}).keys():
            yield DAG_OUTPUT.broken(
                (*component.place, "outputDefinitions", kind, name),
                "an output that the DAG selects from one of its tasks",
                "one that it does not",
                f"select it below {'.'.join(place)}, or take it away",
                is_quoted=False,
            )
        for name, output in selected.get(kind, {}).items():
            yield from _selectors(output, (*place, name), tasks, components, kind)


def _selectors(
    output: dict, place: Place, tasks: dict[str, Task], components: dict, kind: str
) -> Iterator[Fault]:
    match output:
        case {"valueFromParameter": selector}:
            selectors = [((*place, "valueFromParameter"), selector)]
        case {"valueFromOneof": {"parameterSelectors": several}}:
            here = (*place, "valueFromOneof", "parameterSelectors")
            selectors = [((*here, index), each) for index, each in enumerate(several)]
        case {"artifactSelectors": several}:
            here = (*place, "artifactSelectors")
            selectors = [((*here, index), each) for index, each in enumerate(several)]
        case _:
            selectors = []
    if not selectors:
        yield DAG_OUTPUT.broken(
            place, "an output of one of the tasks", None, "select one, or take it away"
        )
    key_field = "outputArtifactKey" if kind == "artifacts" else "outputParameterKey"
    for here, selector in selectors:
        name = selector.get("producerSubtask", "")
        component = components.get(tasks[name].component) if name in tasks else None
        if name not in tasks:
            yield DAG_OUTPUT.broken(
                (*here, "producerSubtask"),
                f"a task of the DAG, {_among(tasks)}",
                name or None,
                "name one of them",
            )
        elif component is not None and selector.get(key_field) not in component.outputs(kind):
            yield DAG_OUTPUT.broken(
                (*here, key_field),
                f"an output of {name}, {_among(component.outputs(kind))}",
                selector.get(key_field),
                "name one of them",
            )


def _among(names) -> str:
    return f"one of {texts.listed(sorted(names))}" if names else "of which it has none"
