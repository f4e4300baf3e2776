"""The walk through a compiled file: one task after the other, as far as they succeed."""

import dataclasses
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from components.errors import ConfigError
from pipeline.kubeflow import check
from pipeline.kubeflow.check import compiled
from pipeline.kubeflow.check.compiled import Compiled, Task
from pipeline.kubeflow.replay import driving, installing, launching, placing, sandbox, stores
from pipeline.kubeflow.replay.driving import Outputs
from pipeline.kubeflow.replay.launching import StepFailedError
from pipeline.kubeflow.replay.request import Request
from pipeline.kubeflow.replay.sandbox import Sandbox
from pipeline.kubeflow.replay.stores import Store

_LINES_OF_LOG = 12


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ended:
    """How a task ended: `done`, `cached`, `failed`, or `not started` after a failed one."""

    name: str
    state: str
    seconds: float
    outputs: Outputs | None


def replay(request: Request, console: Console) -> tuple[list[Ended], StepFailedError | None]:
    """Runs the tasks of a file in an order that they allow, and prints a line for each.

    As on a cluster, no task is started after one has failed for good.

    Returns:
        How each ended, and what failed.

    Raises:
        ConfigError: the file is not fit, or has what a replay does not know; nothing was run.
    """
    content = check.read(request.file)
    check.require_fit(content, request.file, request.parameters)
    sandbox.require()
    pipeline, platforms, _, _ = compiled.read(content)
    whole = Compiled(pipeline, platforms, request.parameters)
    tasks = list(_in_order(whole))
    places = {task.name: placing.read(whole, task, request) for task in tasks}
    store = Store(request.store)
    run_id = str(uuid.uuid4())
    root = request.root or pipeline["defaultPipelineRoot"]
    name = pipeline["pipelineInfo"]["name"]
    logs = stores.free_folder(request.store / "logs", run_id)
    console.print(f"Replay {run_id}; the logs of the steps are in {logs}", highlight=False)
    parameters = driving.root_parameters(whole.components["root"], request.parameters)
    done: dict[str, Outputs] = {}
    ended: list[Ended] = []
    failure = None
    with tempfile.TemporaryDirectory(prefix="replay-") as folder:
        installing.install(Path(folder, "package"))
        for task in tasks:
            if failure:
                ended.append(Ended(name=task.name, state="not started", seconds=0, outputs=None))
                continue
            started = time.monotonic()
            step = _Step(
                task=task,
                whole=whole,
                place=places[task.name],
                store=store,
                package=Path(folder, "package"),
                folder=Path(folder),
                log=logs / f"{task.name}.txt",
                console=console,
                pipeline=name,
            )
            try:
                outputs, state = step.run(parameters, done, f"{root}/{name}/{run_id}")
                done[task.name] = outputs
            except StepFailedError as error:
                outputs, state, failure = None, "failed", error
            seconds = time.monotonic() - started
            ended.append(Ended(name=task.name, state=state, seconds=seconds, outputs=outputs))
            console.print(
                f"{task.name:<18} {state:<7} {seconds:6.1f} s", highlight=False, markup=False
            )
            if failure:
                step.show_why(failure)
    return ended, failure


def _in_order(whole: Compiled) -> Iterator[Task]:
    """The tasks of the root's DAG, each after those that it waits for.

    Raises:
        ConfigError: the file has what a replay does not know.
    """
    tasks = {task.name: task for task in whole.components["root"].tasks()}
    for task in tasks.values():
        unknown = [
            what
            for what, is_there in (
                ("a condition", task.condition),
                ("an exit task", task.is_exit),
                ("an iterator", task.iterator),
                ("no container", "container" not in whole.executor_of(_component(whole, task))),
            )
            if is_there
        ]
        if unknown:
            raise ConfigError(
                "expected tasks of containers, as the compile command writes them; got "
                f"{task.name} with {', '.join(unknown)}; to fix, run the file on a cluster"
            )
    given: set[str] = set()
    while waiting := [name for name in tasks if name not in given]:
        name = next(name for name in waiting if tasks[name].waits_for() <= given)
        given.add(name)
        yield tasks[name]


def _component(whole: Compiled, task: Task):
    return whole.components[task.component]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Step:
    """A task on its way through driver and launcher."""

    task: Task
    whole: Compiled
    place: placing.Place
    store: Store
    package: Path
    folder: Path
    log: Path
    console: Console
    pipeline: str

    def run(
        self, parameters: Mapping[str, Any], done: Mapping[str, Outputs], root: str
    ) -> tuple[Outputs, str]:
        """The outputs, and how they came to be.

        Raises:
            StepFailedError: the last attempt failed.
        """
        component = _component(self.whole, self.task)
        container = self.whole.executor_of(component)["container"]
        task_root = f"{root}/{self.task.name}/{uuid.uuid4()}"
        given = driving.executor_input(self.task, component, parameters, done, task_root)
        caching = self.task.message.get("cachingOptions", {})
        key = ""
        if caching.get("enableCache"):
            claims = list(self.place.claims)
            key = stores.fingerprint(
                self.pipeline, given, container, claims, caching.get("cacheKey", "")
            )
            found = self.store.cached(key)
            if found is not None:
                return Outputs(**found), "cached"
        words = launching.command(container, given)
        environment = {each["name"]: each.get("value", "") for each in container.get("env", ())}
        with self.log.open("wb") as log:
            outputs = launching.with_retries(
                lambda: launching.launch(
                    self.store,
                    self._sandbox,
                    words,
                    given,
                    {**environment, **self.place.secrets},
                    self.place.seconds,
                    log,
                ),
                self.task.message.get("retryPolicy", {}),
                self._say_retry,
            )
        # An artifact of a run is known by a name of its own, which the keys of later steps hold.
        outputs = dataclasses.replace(outputs, artifacts=_named(outputs.artifacts))
        if key:
            self.store.keep(key, dataclasses.asdict(outputs))
        return outputs, "done"

    def show_why(self, failure: StepFailedError) -> None:
        """Prints the last lines of the log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        for line in lines[-_LINES_OF_LOG:]:
            self.console.print(f"  {line}", highlight=False, markup=False)
        self.console.print(f"  {self.task.name}: {failure}", highlight=False, markup=False)

    def _sandbox(self) -> Sandbox:
        root = stores.free_folder(self.folder, f"{self.task.name}-{uuid.uuid4().hex}")
        mounts = dict(self.place.mounts)
        for path in self.place.empty:
            mounts[path] = stores.free_folder(self.folder, f"empty-{uuid.uuid4().hex}")
        return Sandbox(root=root, package=self.package, mounts=mounts)

    def _say_retry(self, failure: StepFailedError, pause: float) -> None:
        self.console.print(
            f"{self.task.name:<18} retried in {pause:g} s, for {failure}",
            highlight=False,
            markup=False,
        )


def _named(artifacts: Mapping[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [artifact | {"name": artifact["uri"]} for artifact in found]
        for name, found in artifacts.items()
    }
