"""A compiled file as its rules see it: the messages of its documents, and ways through them."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pipeline.kubeflow.check import fields, messages, yaml_reading
from pipeline.kubeflow.check.faults import Fault, Place, Rule, Verdict, shown

NO_PIPELINE = Rule("pipeline", Verdict.UPLOAD)
TWO_PIPELINES = Rule("one-pipeline", Verdict.UPLOAD)
TWO_PLATFORMS = Rule("one-platform", Verdict.UPLOAD)
MAPPINGS = Rule("documents", Verdict.UPLOAD)
OTHERS = Rule("other-documents", Verdict.TAKES, "ignores them")

_OF_PIPELINE = {"pipelineInfo", "pipeline_info", "root", "components", "schemaVersion"}
"""Keys that show that a document is meant as a pipeline."""

EXIT = "ALL_UPSTREAM_TASKS_COMPLETED"
"""The trigger of a task that runs at the end of another, however that one ended."""


@dataclass(frozen=True)
class Component:
    """A component, `root` among them."""

    name: str
    place: Place
    message: dict

    def inputs(self, kind: str) -> dict[str, dict]:
        """Definitions of its inputs, of `parameters` or `artifacts`."""
        return self.message.get("inputDefinitions", {}).get(kind, {})

    def outputs(self, kind: str) -> dict[str, dict]:
        """Likewise of its outputs."""
        return self.message.get("outputDefinitions", {}).get(kind, {})

    def tasks(self) -> "list[Task]":
        """Of its DAG; none where it is none."""
        place = (*self.place, "dag", "tasks")
        tasks = self.message.get("dag", {}).get("tasks", {})
        return [Task(name, self, (*place, name), task) for name, task in tasks.items()]


@dataclass(frozen=True)
class Task:
    """A task of a DAG."""

    name: str
    dag: Component
    place: Place
    message: dict

    @property
    def component(self) -> str:
        """The name of what it runs; empty where none is given."""
        return self.message.get("componentRef", {}).get("name", "")

    @property
    def condition(self) -> str:
        """In the Common Expression Language; empty where it always runs."""
        return self.message.get("triggerPolicy", {}).get("condition", "")

    @property
    def is_exit(self) -> bool:
        """Whether it runs at the end of the task that it depends on."""
        return self.message.get("triggerPolicy", {}).get("strategy") == EXIT

    @property
    def iterator(self) -> dict | None:
        """What it repeats its component over."""
        return self.message.get("parameterIterator")

    def inputs(self, kind: str) -> dict[str, dict]:
        """Where its `parameters` or `artifacts` come from."""
        return self.message.get("inputs", {}).get(kind, {})

    def waits_for(self) -> set[str]:
        """The tasks that must have ended before it starts, named or by their outputs."""
        return {*self.message.get("dependentTasks", ()), *(name for _, name in self.producers())}

    def producers(self) -> Iterator[tuple[Place, str]]:
        """The tasks whose outputs it takes, with the places that name them."""
        for kind, key in (
            ("parameters", "taskOutputParameter"),
            ("artifacts", "taskOutputArtifact"),
        ):
            for name, source in self.inputs(kind).items():
                if key in source:
                    place = (*self.place, "inputs", kind, name, key, "producerTask")
                    yield place, source[key].get("producerTask", "")


@dataclass(frozen=True)
class Compiled:
    """What a file holds, as far as it could be read."""

    pipeline: dict
    platforms: dict
    given: Mapping[str, object] = field(default_factory=dict)
    """Parameters of a run, by name."""

    @property
    def executors(self) -> dict[str, dict]:
        """By label."""
        return self.pipeline.get("deploymentSpec", {}).get("executors", {})

    @functools.cached_property
    def users(self) -> dict[str, list[Component]]:
        """The components that name an executor, by its label."""
        found: dict[str, list[Component]] = {}
        for component in self.components.values():
            found.setdefault(component.message.get("executorLabel", ""), []).append(component)
        return found

    @functools.cached_property
    def components(self) -> dict[str, Component]:
        """By name; the root is `root`."""
        found = {
            name: Component(name, ("components", name), message)
            for name, message in self.pipeline.get("components", {}).items()
        }
        return found | {"root": Component("root", ("root",), self.pipeline.get("root", {}))}

    def tasks(self) -> Iterator[Task]:
        """Of all DAGs."""
        for component in self.components.values():
            yield from component.tasks()

    def executor_of(self, component: Component | None) -> dict:
        """What a component runs; empty for a DAG, and where it is not there."""
        label = component.message.get("executorLabel", "") if component else ""
        return self.executors.get(label, {})


def read(content: bytes) -> tuple[dict, dict, dict[Place, int], list[Fault]]:
    """The messages of a file.

    Args:
        content: of the file.

    Returns:
        The pipeline and the platforms, as far as they are right; the lines of their keys; and what
        is wrong.

    Raises:
        Refused: the file is not YAML, or holds no pipeline.
    """
    reader = messages.Reader()
    by_kind: dict[str, list[yaml_reading.Node]] = {"pipeline": [], "platform": [], "other": []}
    for node in yaml_reading.documents(content):
        if node.value is None:
            continue
        if not isinstance(node.value, dict):
            reader.faults.append(
                MAPPINGS.broken(
                    (),
                    "documents that are mappings",
                    f"{shown(node.value)} in line {node.line}",
                    "take it away",
                    is_quoted=False,
                )
            )
            continue
        is_pipeline = not _OF_PIPELINE.isdisjoint(node.value)
        kind = "platform" if "platforms" in node.value else "pipeline" if is_pipeline else "other"
        by_kind[kind].append(node)
    if not by_kind["pipeline"]:  # Its faults say what it lacks.
        by_kind["pipeline"], by_kind["other"] = by_kind["other"][:1], by_kind["other"][1:]
    for node in by_kind["other"]:
        got, fix = f"another in line {node.line}", "take it away"
        expected = "documents of a pipeline or of platforms"
        reader.faults.append(OTHERS.broken((), expected, got, fix, is_quoted=False))
    for kind, rule in (("pipeline", TWO_PIPELINES), ("platform", TWO_PLATFORMS)):
        for node in by_kind[kind][1:]:
            got = f"another in line {node.line}"
            fix = "give each pipeline a file of its own"
            reader.faults.append(rule.broken((), f"one {kind}", got, fix, is_quoted=False))
    if not by_kind["pipeline"]:
        fix = "give the file that the compile command writes"
        fault = NO_PIPELINE.broken((), "a pipeline", "none", fix, is_quoted=False)
        raise yaml_reading.Refused([*reader.faults, fault])
    pipeline = reader.message(by_kind["pipeline"][0], fields.PIPELINE)
    platforms = {}
    if by_kind["platform"]:
        platforms = reader.message(by_kind["platform"][0], fields.PLATFORM).get("platforms", {})
    return pipeline, platforms, reader.lines, reader.faults
