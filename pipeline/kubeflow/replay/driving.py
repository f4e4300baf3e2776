"""What Kubeflow's driver makes of a task: its ExecutorInput, resolved from what has run before.

See `backend/src/v2/driver` of kubeflow/pipelines: `resolve.go`, `driver.go: provisionOutputs`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from components.errors import ConfigError
from pipeline.kubeflow.check.compiled import Component, Task
from pipeline.kubeflow.step import places

OUTPUT_FILE = "output_metadata.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outputs:
    """What a task gave: artifacts by their names, with `name`, `uri`, `type`, `metadata`."""

    artifacts: Mapping[str, list[dict[str, Any]]]
    parameters: Mapping[str, Any]


def root_parameters(root: Component, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a run: what is given, and the defaults of the others.

    The check has judged them before.
    """
    defaults = {
        name: definition["defaultValue"]
        for name, definition in root.inputs("parameters").items()
        if "defaultValue" in definition
    }
    return defaults | dict(given)


def executor_input(
    task: Task,
    component: Component,
    parameters: Mapping[str, Any],
    done: Mapping[str, Outputs],
    task_root: str,
) -> dict[str, Any]:
    """The ExecutorInput of a task, as the launcher writes it into a command.

    Args:
        task: of the root's DAG.
        component: what it runs.
        parameters: of the run.
        done: what the tasks before it gave.
        task_root: address that its outputs lie below.

    Raises:
        ConfigError: an input comes from where a replay does not look.
    """
    values = {
        name: definition["defaultValue"]
        for name, definition in component.inputs("parameters").items()
        if "defaultValue" in definition
    }
    for name, source in task.inputs("parameters").items():
        match source:
            case {"componentInputParameter": key}:
                if key in parameters:  # An optional one may be left out.
                    values[name] = parameters[key]
            case {"runtimeValue": {"constant": value}}:
                values[name] = value
            case {"taskOutputParameter": {"producerTask": of, "outputParameterKey": key}}:
                values[name] = done[of].parameters[key]
            case _:
                raise _unknown(task, name, source)
    artifacts = {}
    for name, source in task.inputs("artifacts").items():
        match source:
            case {"taskOutputArtifact": {"producerTask": of, "outputArtifactKey": key}}:
                artifacts[name] = {"artifacts": done[of].artifacts[key]}
            case _:
                raise _unknown(task, name, source)
    types = component.inputs("parameters")
    return {
        "inputs": {
            "parameterValues": {
                name: _number(value, types.get(name, {}).get("parameterType"))
                for name, value in values.items()
            },
            "artifacts": artifacts,
        },
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


def _output(name: str, definition: Mapping[str, Any], task_root: str) -> dict[str, Any]:
    found = {
        "name": name,
        "uri": f"{task_root}/{name}",
        "type": definition["artifactType"],
    }
    if "metadata" in definition:
        found["metadata"] = definition["metadata"]
    return found


def _number(value: Any, kind: str | None) -> Any:
    """As Go writes it: YAML has 3.0 where a whole number is meant."""
    is_whole = kind == "NUMBER_INTEGER" or isinstance(value, float)
    return int(value) if is_whole and value == int(value) else value


def _unknown(task: Task, name: str, source: Mapping[str, Any]) -> ConfigError:
    return ConfigError(
        f"expected the input {name} of {task.name} to come from a task, a constant or a parameter "
        f"of the run; got {', '.join(source)}; to fix, run the file on a cluster: a replay does "
        "not know it"
    )


def merged(executor_input: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, list]:
    """The artifacts of a task, with what its output file says of them.

    As in the launcher, only the first of a name is merged (`launcher_v2.go:
    uploadOutputArtifacts`); a file that says more is kept as a list, for what takes lists.

    Args:
        executor_input: see above.
        written: the ExecutorOutput.
    """
    found = {}
    for name, provisioned in executor_input["outputs"]["artifacts"].items():
        (first,) = provisioned["artifacts"]
        said = written.get("artifacts", {}).get(name, {}).get("artifacts", [])
        if said:
            first = first | {key: said[0][key] for key in ("uri",) if said[0].get(key)}
            first["metadata"] = {**first.get("metadata", {}), **said[0].get("metadata", {})}
        found[name] = [first]
    return found
