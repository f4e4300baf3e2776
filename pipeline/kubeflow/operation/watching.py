"""What a run is doing: one line for each change of a step, and the end."""

import re
import time
from typing import Any

from rich.console import Console

from components.errors import PipelineError
from pipeline.kubeflow.operation.service import Service

ENDED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
_PARTS = ("-driver", "-executor", "-impl")
_EXIT = re.compile(r"exit code (\d+)")


def steps(run: Any) -> dict[str, Any]:
    """The steps of a run by name, without the pods that Kubeflow starts beside them."""
    details = run.run_details.task_details if run.run_details else None
    found: dict[str, Any] = {}
    for task in sorted(details or (), key=lambda task: str(task.create_time or "")):
        name = task.display_name or ""
        if name and name not in ("root", "executor") and not name.endswith(_PARTS):
            found[name] = task
    return found


def pods(run: Any, step: str) -> list[str]:
    """The pods of a step, in the order of its attempts; empty where none has started.

    Kubeflow lists a step with the pods that it has led to as its children, and theirs with theirs.
    """
    details = (run.run_details.task_details if run.run_details else None) or []
    by_pod = {task.pod_name: task for task in details if task.pod_name}
    found, waiting = [], [task for task in details if task.display_name == step]
    seen: set[str] = set()
    while waiting:
        task = waiting.pop(0)
        children = [child.pod_name for child in task.child_tasks or () if child.pod_name]
        known = [name for name in children if name in by_pod and name not in seen]
        seen.update(known)
        waiting += [by_pod[name] for name in known]
        is_leaf = not children and not (task.display_name or "").endswith("-driver")
        if is_leaf and task.pod_name:
            found.append((str(task.create_time or ""), task.pod_name))
    return [name for _, name in sorted(found)]


def watch(service: Service, run: Any, console: Console, seconds: float) -> None:
    """Prints what happens until the run has ended.

    Args:
        service: where.
        run: that is watched.
        console: where to print.
        seconds: between two questions.

    Raises:
        PipelineError: the run failed, with the exit code of its step where Kubeflow tells it, or
            somebody stopped it.
    """
    shown: dict[str, str] = {}
    while True:
        now = service.read(service.runs.run_service_get_run, run.run_id)
        for name, task in steps(now).items():
            if task.state and shown.get(name) != task.state:
                shown[name] = task.state
                console.print(f"{name:<18} {task.state.lower()}", highlight=False, markup=False)
        if now.state in ENDED:
            conclude(now, console)
            return
        time.sleep(seconds)


def conclude(run: Any, console: Console) -> None:
    """Prints how a run has ended.

    Raises:
        PipelineError: not well.
    """
    if run.state == "SUCCEEDED":
        console.print(
            "Verdict      every step succeeded; whether a model was pushed stands in the log of "
            "Pusher: python -m pipeline logs Pusher",
            highlight=False,
        )
        return
    failed = {name: task for name, task in steps(run).items() if task.state == "FAILED"}
    said = [_error(task) for task in failed.values()] + [_error(run)]
    reason = next(filter(None, said), "no reason")
    error = PipelineError(
        f"the run {run.display_name} is {str(run.state).lower()}"
        + (f" at {', '.join(failed)}" if failed else "")
        + f": {reason}; its log says more: python -m pipeline logs {next(iter(failed), 'STEP')}"
    )
    if found := next(filter(None, map(_EXIT.search, said)), None):
        error.exit_code = int(found[1])
    raise error


def _error(each: Any) -> str:
    history = [state.error for state in each.state_history or () if state.error]
    errors = [each.error, *reversed(history)]
    return next((error.message for error in errors if error and error.message), "")
