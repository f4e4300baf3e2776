"""What Kubeflow's driver makes of a task: its ExecutorInput, resolved from what has run before.

See `backend/src/v2/driver` of kubeflow/pipelines: `resolve.go`, `driver.go: provisionOutputs`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pipeline.kubeflow.check.compiled import Component, Task
from pipeline.kubeflow.replay import values
from pipeline.kubeflow.replay.failing import StepFailedError
from pipeline.kubeflow.step import places

OUTPUT_FILE = "output_metadata.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outputs:
    """What a task gave: artifacts by their names, as later tasks get them, and parameters."""

    artifacts: Mapping[str, dict[str, Any]]
    parameters: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """What the tasks of a run share.

    Attributes:
        name: of the run, as people see it.
        id: of the run.
        root: address below which its tasks write.
        started: when, in UTC, as in RFC 3339.
        parameters: with the defaults of those that were not given; None where there is neither.
    """

    name: str
    id: str
    root: str
    started: str
    parameters: Mapping[str, Any]

    def constant(self, value: Any, task: Task) -> Any:
        """A constant of a task, with what stands for the run in its place.

        Only texts that are nothing else are replaced, as in `resolve.go: resolveInputParameter`.
        """
        known = {
            "{{$.pipeline_job_name}}": self.name,
            "{{$.pipeline_job_resource_name}}": self.name,
            "{{$.pipeline_job_uuid}}": self.id,
            "{{$.pipeline_task_name}}": task.name,
            "{{$.pipeline_task_uuid}}": "1",
            "{{$.pipeline_job_create_time_utc}}": self.started,
            "{{$.pipeline_job_schedule_time_utc}}": self.started,
        }
        return known.get(value, value) if isinstance(value, str) else value


def run_root(root: str, pipeline: str, run_id: str) -> str:
    """The address below which the tasks of a run write; what follows a `?` is for its store."""
    return f"{root.partition('?')[0].rstrip('/')}/{pipeline}/{run_id}"


def root_parameters(root: Component, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a run: what is given, and the defaults of the others.

    The check has judged them before.
    """
    return {
        name: given.get(name, definition.get("defaultValue"))
        for name, definition in root.inputs("parameters").items()
    }


def executor_input(
    task: Task, component: Component, run: Run, done: Mapping[str, Outputs], task_root: str
) -> dict[str, Any]:
    """The ExecutorInput of a task, as the driver hands it to the launcher: without defaults.

    Args:
        task: of the root's DAG.
        component: what it runs.
        run: that it is part of.
        done: what the tasks before it gave.
        task_root: address that its outputs lie below.

    Raises:
        StepFailedError: the driver would refuse a value.
    """
    definitions = component.inputs("parameters")
    found = {
        name: _value(task, source, run, done) for name, source in task.inputs("parameters").items()
    }
    # A parameter of the run that has neither value nor default is left out where that may be.
    parameters = {
        name: value
        for name, value in found.items()
        if value is not None or not definitions[name].get("isOptional")
    }
    for name, definition in definitions.items():
        if name in parameters:
            parameters[name] = _judged(name, parameters[name], definition)
        elif not definition.get("isOptional") and "defaultValue" not in definition:
            raise StepFailedError(1, f"expected a value for its input {name}; got none")
    artifacts = {}
    for name, source in task.inputs("artifacts").items():
        of = source["taskOutputArtifact"]
        artifact = done[of["producerTask"]].artifacts[of["outputArtifactKey"]]
        artifacts[name] = {"artifacts": [artifact]}
    return {
        "inputs": {"parameterValues": parameters, "artifacts": artifacts},
        "outputs": {
            "artifacts": {
                name: {"artifacts": [_output(name, definition, task_root)]}
                for name, definition in component.outputs("artifacts").items()
            },
            "parameters": {
                name: {"outputFile": f"/tmp/kfp/outputs/{name}"}
                for name in component.outputs("parameters")
            },
            "outputFile": f"{places.local(task_root)}/{OUTPUT_FILE}",
        },
    }


def unknown_sources(task: Task) -> list[str]:
    """What the inputs of a task come from that a replay does not look at."""
    known = {"componentInputParameter", "runtimeValue", "taskOutputParameter", "taskOutputArtifact"}
    return sorted(
        {
            key
            for kind in ("parameters", "artifacts")
            for source in task.inputs(kind).values()
            for key in source.keys() - known
        }
        | {
            "a workspace"
            for source in task.inputs("parameters").values()
            if "{{$.workspace_path}}" in str(source.get("runtimeValue", ""))
        }
    )


def with_defaults(given: Mapping[str, Any], component: Component) -> dict[str, Any]:
    """The ExecutorInput as a command gets it: the launcher adds the defaults of its component."""
    defaults = {
        name: values.plain(definition["defaultValue"])
        for name, definition in component.inputs("parameters").items()
        if "defaultValue" in definition
    }
    inputs = given["inputs"]
    return {**given, "inputs": {**inputs, "parameterValues": defaults | inputs["parameterValues"]}}


def _value(task: Task, source: Mapping[str, Any], run: Run, done: Mapping[str, Outputs]) -> Any:
    match source:
        case {"componentInputParameter": key}:
            return run.parameters[key]
        case {"taskOutputParameter": {"producerTask": of, "outputParameterKey": key}}:
            return done[of].parameters[key]
    return run.constant(source["runtimeValue"]["constant"], task)


def _judged(name: str, value: Any, definition: Mapping[str, Any]) -> Any:
    try:
        if value is None:
            raise ValueError("expected a value; got null")
        value = values.given(value, definition["parameterType"])
    except ValueError as error:
        raise StepFailedError(1, f"its input {name}: {error}") from error
    literals = definition.get("literals", ())
    if literals and value not in map(values.plain, literals):
        raise StepFailedError(
            1, f"its input {name}: expected one of {literals}; got {values.text(value)[:100]!r}"
        )
    return value


def _output(name: str, definition: Mapping[str, Any], task_root: str) -> dict[str, Any]:
    found = {"name": name, "uri": f"{task_root}/{name}", "type": definition["artifactType"]}
    if "metadata" in definition:
        found["metadata"] = values.plain(definition["metadata"])
    return found
