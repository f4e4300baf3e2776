"""The walk through a compiled file: one task after the other, as far as they succeed."""

import contextlib
import dataclasses
import datetime
import functools
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console

from components.errors import ConfigError
from components.storage.locks import only_run
from pipeline.kubeflow import check, step
from pipeline.kubeflow.check import compiled, names
from pipeline.kubeflow.check.compiled import Compiled, Task
from pipeline.kubeflow.replay import (
    commands,
    driving,
    installing,
    launching,
    ordering,
    placing,
    retrying,
    sandbox,
    stores,
)
from pipeline.kubeflow.replay.driving import Outputs, Run
from pipeline.kubeflow.replay.failing import StepFailedError
from pipeline.kubeflow.replay.request import Request
from pipeline.kubeflow.replay.sandbox import Sandbox
from pipeline.kubeflow.replay.stores import Store

_LINES_OF_LOG = 12


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ended:
    """How a task ended.

    Attributes:
        name: of the task.
        state: `done`, `cached`, `failed`, or `not started` after a failed one.
        started: Unix time.
        seconds: that it took.
        outputs: what it gave; None for none.
        place: what it found beside its artifacts.
    """

    name: str
    state: str
    started: float
    seconds: float
    outputs: Outputs | None
    place: placing.Place


@dataclasses.dataclass(frozen=True, kw_only=True)
class Replayed:
    """What came of a replay.

    Attributes:
        ended: of every task how, in the order of the walk.
        failure: of the task that failed; None for none.
        store: where the outputs lie.
        logs: folder of what the steps have printed.
        is_ours: whether every task starts our entry point.
    """

    ended: list[Ended]
    failure: StepFailedError | None
    store: Store
    logs: Path
    is_ours: bool


def replay(request: Request, console: Console) -> Replayed:
    """Runs the tasks of a file in an order that they allow, and prints a line for each.

    As on a cluster, no task is started after one has failed for good.

    Raises:
        ConfigError: the file is not fit, or has what a replay does not know, or another replay
            works on the store; nothing was run.
    """
    content = check.read(request.file)
    check.require_fit(content, request.file, request.parameters)
    pipeline, platforms, _, _ = compiled.read(content)
    whole = Compiled(pipeline, platforms, request.parameters)
    name, root = pipeline["pipelineInfo"]["name"], _root(request, pipeline)
    tasks = list(ordering.in_order(whole))
    places = _places(whole, tasks, request)
    sandbox.require()
    run_id = str(uuid.uuid4())
    run = Run(
        name=f"{name}-{run_id[:5]}",
        id=run_id,
        root=driving.run_root(root, name, run_id),
        started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        parameters=driving.root_parameters(whole.components["root"], request.parameters),
    )
    with _alone(request.store) as folder:
        logs = request.store / "logs" / run_id
        logs.mkdir(parents=True)
        console.print(f"Replay {run_id}; the logs of the steps are in {logs}", highlight=False)
        walk = _Walk(whole=whole, run=run, store=Store(request.store), folder=folder, logs=logs)
        done: dict[str, Outputs] = {}
        ended: list[Ended] = []
        failure = None
        for number, task in enumerate(tasks, 1):
            started, clock = time.time(), time.monotonic()
            outputs, state = None, "not started"
            if failure is None:
                say = functools.partial(_say, console, f"[{number}/{len(tasks)}] {task.name}")
                try:
                    outputs, state = walk.step(task, places[task.name], done, say)
                    done[task.name] = outputs
                except StepFailedError as error:
                    state, failure = "failed", error
                say(f"{state:<7} {time.monotonic() - clock:6.1f} s")
                if failure:
                    for line in [*walk.last_lines(task), f"{task.name}: {failure}"]:
                        console.print(f"  {line}", highlight=False, markup=False)
            ended.append(
                Ended(
                    name=task.name,
                    state=state,
                    started=started,
                    seconds=time.monotonic() - clock,
                    outputs=outputs,
                    place=places[task.name],
                )
            )
    states = [each.state for each in ended]
    counts = {state: states.count(state) for state in ("done", "cached", "failed", "not started")}
    console.print(
        f"Steps: {', '.join(f'{count} {state}' for state, count in counts.items() if count)}",
        highlight=False,
    )
    is_ours = all(
        executor["container"]["command"][-1] == step.MODULE for executor in whole.executors.values()
    )
    return Replayed(ended=ended, failure=failure, store=walk.store, logs=logs, is_ours=is_ours)


def _places(whole: Compiled, tasks: list[Task], request: Request) -> dict[str, placing.Place]:
    """What every task finds beside its artifacts.

    Raises:
        ConfigError: with all that is not given.
    """
    found, faults = {}, {}
    for task in tasks:
        try:
            found[task.name] = placing.read(whole, task, request)
        except ConfigError as error:
            faults |= dict.fromkeys(str(error).splitlines())
    if faults:
        raise ConfigError("\n".join(faults))
    return found


def _say(console: Console, what: str, how: str) -> None:
    console.print(f"{what:<28} {how}", highlight=False, markup=False)


def _root(request: Request, pipeline: Mapping) -> str:
    if not request.root:
        return pipeline["defaultPipelineRoot"]
    faults = list(names.root_faults(request.root, ("--root",)))
    if faults:
        raise ConfigError("\n".join(fault.text({}) for fault in faults))
    return request.root


@contextlib.contextmanager
def _alone(store: Path) -> Iterator[Path]:
    """A folder for what a replay needs while it runs; one that was killed has left its own."""
    with only_run(str(store), store / ".replay.lock"):
        for left in store.glob("work-*"):
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(prefix="work-", dir=store) as folder:
            yield Path(folder)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Walk:
    """What brings the tasks of a run through driver and launcher."""

    whole: Compiled
    run: Run
    store: Store
    folder: Path
    logs: Path

    def step(
        self, task: Task, place: placing.Place, done: Mapping[str, Outputs], say
    ) -> tuple[Outputs, str]:
        """The outputs of a task, and how they came to be: `done` or `cached`.

        Raises:
            StepFailedError: the last attempt failed.
        """
        component = self.whole.components[task.component]
        container = self.whole.executor_of(component)["container"]
        task_root = f"{self.run.root}/{task.name}/{uuid.uuid4()}"
        given = driving.executor_input(task, component, self.run, done, task_root)
        key = ""
        if task.message.get("cachingOptions", {}).get("enableCache"):
            name = self.whole.pipeline["pipelineInfo"]["name"]
            key = stores.fingerprint(name, task, component, given, container, place.claims)
            found = self.store.found(key)
            if found is not None:
                return found, "cached"
        with_defaults = driving.with_defaults(given, component)
        words = commands.filled(container, given, with_defaults)
        package = installing.installed()  # Before the clock of the attempts runs.
        variables = {each["name"]: each.get("value", "") for each in container.get("env", ())}
        with self._log(task).open("wb") as log:
            outputs = retrying.with_retries(
                lambda seconds: launching.launch(
                    self.store,
                    self._sandbox(task, place, package),
                    words,
                    given,
                    component,
                    variables | place.secrets,
                    seconds,
                    log,
                ),
                task.message.get("retryPolicy", {}),
                place.seconds,
                lambda failure, pause: say(f"again in {pause:g} s, for {failure}"),
            )
        if key:
            self.store.keep(key, outputs)
        return outputs, "done"

    def last_lines(self, task: Task) -> list[str]:
        """The end of a task's log; none where its command was not started."""
        log = self._log(task)
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return lines[-_LINES_OF_LOG:]

    def _log(self, task: Task) -> Path:
        return self.logs / f"{task.name}.txt"

    def _sandbox(self, task: Task, place: placing.Place, package: Path) -> Sandbox:
        mounts = dict(place.mounts)
        for folder in mounts.values():
            folder.mkdir(parents=True, exist_ok=True)  # A part of a claim, as the kubelet does.
        for path in place.empty:
            mounts[path] = Path(tempfile.mkdtemp(prefix="empty-", dir=self.folder))
        return Sandbox(
            root=Path(tempfile.mkdtemp(prefix=f"{task.name}-", dir=self.folder)),
            package=package,
            mounts=mounts,
            shared_memory=place.shared_memory,
        )
