"""Compiled files of a few shell commands, to be replayed."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from pipeline.kubeflow.replay import walking
from pipeline.kubeflow.replay.request import Request
from tests.pipeline.kubeflow.small_pipeline import artifact, component, parameter, task, written

TITLE = "tfx.Examples"


class Files:
    """A file that grows task by task; every task has an output `made`, unless it is told others."""

    def __init__(self, parameters: Mapping[str, dict] | None = None):
        self.settings: dict[str, dict] = {}
        self.spec: dict[str, Any] = {
            "pipelineInfo": {"name": "small"},
            "schemaVersion": "2.1.0",
            "sdkVersion": "none",
            "defaultPipelineRoot": "minio://mlpipeline/v2/artifacts",
            "components": {},
            "deploymentSpec": {"executors": {}},
            "root": {
                "dag": {"tasks": {}},
                "inputDefinitions": {"parameters": dict(parameters or {})},
            },
        }

    @property
    def tasks(self) -> dict[str, dict]:
        return self.spec["root"]["dag"]["tasks"]

    def container(self, name: str) -> dict[str, Any]:
        return self.spec["deploymentSpec"]["executors"][name]["container"]

    def add(
        self,
        name: str,
        script: str,
        *,
        after=(),
        outputs=("made",),
        inputs: Mapping[str, dict] | None = None,
        values: Mapping[str, dict] | None = None,
        made: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
        **more,
    ) -> dict[str, Any]:
        """A task that runs a script of the shell, which finds the paths of its outputs in `$made`,
        or as `$<output>`, of what `after` has made in `$from_<task>`, its ExecutorInput in `$all`.

        Args:
            name: of the task.
            script: for `sh -eu`.
            after: names of tasks whose `made` it takes.
            outputs: names of its artifacts.
            inputs: definitions of its parameters.
            values: sources of its parameters.
            made: types of its output parameters by name, whose files are `$<parameter>`.
            env: variables of the container.
            settings: of the platform document.
            more: fields of the task.
        """
        paths = {f"from_{of}": f"{{{{$.inputs.artifacts['{of}'].path}}}}" for of in after}
        paths |= {of: f"{{{{$.outputs.artifacts['{of}'].path}}}}" for of in outputs}
        paths |= {of: f"{{{{$.outputs.parameters['{of}'].output_file}}}}" for of in made or {}}
        paths |= {of: f"{{{{$.inputs.parameters['{of}']}}}}" for of in inputs or {}}
        paths |= {"all": "{{$}}"}
        named = "\n".join(f'{key}="$1"; shift' for key in paths)
        self.spec["components"][name] = component(
            name,
            {of: artifact(TITLE) for of in after},
            {of: artifact(TITLE) for of in outputs},
            inputs,
            {of: parameter(kind) for of, kind in (made or {}).items()},
        )
        self.spec["deploymentSpec"]["executors"][name] = {
            "container": {
                "image": "registry.example/small:1",
                "command": ["sh", "-euc"],
                "args": [f"{named}\n{script}", "sh", *paths.values()],
                "env": [{"name": key, "value": value} for key, value in (env or {}).items()],
            }
        }
        self.tasks[name] = task(name, name, {of: (of, "made") for of in after}, **more)
        self.tasks[name]["inputs"]["parameters"] = dict(values or {})
        if settings:
            self.settings[name] = dict(settings)
        return self.tasks[name]

    def write(self, folder: Path) -> Path:
        documents = [self.spec]
        if self.settings:
            deployment = {"executors": self.settings}
            documents.append({"platforms": {"kubernetes": {"deploymentSpec": deployment}}})
        path = folder / "small.yaml"
        path.write_bytes(written(*documents))
        return path

    def replay(self, folder: Path, **request) -> "Seen":
        """Writes and replays it, with the store `<folder>/store`."""
        console = Console(file=io.StringIO(), width=200)
        defaults = {"parameters": {}, "root": "", "claims": {}, "secrets": {}}
        replayed = walking.replay(
            Request(
                file=str(self.write(folder)), store=folder / "store", **{**defaults, **request}
            ),
            console,
        )
        return Seen(replayed, console.file.getvalue())


class Seen:
    """What a replay has left and printed."""

    def __init__(self, replayed: walking.Replayed, printed: str):
        self.replayed, self.printed = replayed, printed
        self.states = {each.name: each.state for each in replayed.ended}
        self._outputs = {each.name: each.outputs for each in replayed.ended}

    @property
    def code(self) -> int:
        return self.replayed.failure.code if self.replayed.failure else 0

    @property
    def why(self) -> str:
        return str(self.replayed.failure)

    def artifact(self, task: str, output: str = "made") -> dict[str, Any]:
        return self._outputs[task].artifacts[output]

    def path(self, task: str, output: str = "made") -> Path:
        return self.replayed.store.path(self.artifact(task, output)["uri"])

    def parameters(self, task: str) -> Mapping[str, Any]:
        return self._outputs[task].parameters

    def log(self, task: str) -> str:
        return (self.replayed.logs / f"{task}.txt").read_text()

    def in_state(self, state: str) -> set[str]:
        return {name for name, each in self.states.items() if each == state}
