"""Exit tasks: what runs at the end of another task, however that one ended."""

from collections.abc import Iterator

from components import texts
from pipeline.kubeflow.check.compiled import EXIT, Compiled, Component, Task
from pipeline.kubeflow.check.faults import Fault, Place, Rule, Verdict, shown

ALONE = Rule("exit-only", Verdict.RUN)
HOOK = Rule("exit-task", Verdict.TAKES, "the task runs never, or once for each it waits for")
NEEDED = Rule("exit-needed", Verdict.TAKES, "Argo refuses the workflow when a run starts")


def check(tasks: dict[str, Task], dag: Component, compiled: Compiled) -> Iterator[Fault]:
    """Exit tasks are hooks on the task they wait for, and no tasks of Argo's."""
    ending = {name for name, task in tasks.items() if task.is_exit}
    if tasks and ending == tasks.keys():
        place = (*dag.place, "dag", "tasks")
        yield ALONE.broken(
            place,
            "a task that is no exit task",
            f"{texts.listed(sorted(ending))} with {EXIT}",
            "add the task at whose end they are to run",
            is_quoted=False,
        )
    hooked: set[str] = set()
    for name, task in tasks.items():
        for producer in sorted(task.waits_for() & ending):
            yield NEEDED.broken(
                task.place, "no task after an exit task", producer, "take that dependency away"
            )
        if name in ending:
            yield from _hook(task, tasks, hooked, compiled)


def _hook(
    task: Task, tasks: dict[str, Task], hooked: set[str], compiled: Compiled
) -> Iterator[Fault]:
    place: Place = (*task.place, "dependentTasks")
    before = sorted(task.waits_for())
    if len(before) != 1 or task.iterator is not None or before[0] in hooked:
        yield HOOK.broken(
            place,
            "an exit task, not repeated, at the end of one task that has no other",
            before,
            "put what comes before into a DAG, and let the exit task wait for that",
        )
    hooked.update(before)
    for name in before:
        ended = tasks.get(name)
        component = compiled.components.get(ended.component) if ended else None
        is_importer = "importer" in compiled.executor_of(component)
        if ended and (is_importer or ended.iterator is not None):
            yield HOOK.broken(
                place,
                "an exit task at the end of a container or a DAG",
                f"{shown(name)}, an importer or an iterator",
                "put it into a DAG",
                is_quoted=False,
            )
