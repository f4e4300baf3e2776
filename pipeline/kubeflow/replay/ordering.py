"""The order of the tasks, and what a replay does not walk."""

from collections.abc import Iterator

from components.errors import ConfigError
from pipeline.kubeflow.check.compiled import Compiled, Task
from pipeline.kubeflow.replay import commands, driving, retrying


def in_order(whole: Compiled) -> Iterator[Task]:
    """The tasks of the root's DAG, each after those that it waits for.

    Raises:
        ConfigError: the file has what a replay does not know.
    """
    tasks = {task.name: task for task in whole.components["root"].tasks()}
    faults = [
        f"{name} with {', '.join(unknown)}"
        for name, task in tasks.items()
        if (unknown := _unknown(whole, task))
    ]
    if faults:
        raise ConfigError(
            "expected tasks of containers, as the compile command writes them; got "
            f"{'; '.join(faults)}; to fix, run the file on a cluster"
        )
    given: set[str] = set()
    while waiting := [name for name in tasks if name not in given]:
        name = next(name for name in waiting if tasks[name].waits_for() <= given)
        given.add(name)
        yield tasks[name]


def _unknown(whole: Compiled, task: Task) -> list[str]:
    """What a task has that a replay does not walk."""
    container = whole.executor_of(whole.components[task.component]).get("container")
    policy = task.message.get("retryPolicy", {})
    found = (
        ("a condition", task.condition),
        ("an exit task", task.is_exit),
        ("an iterator", task.iterator),
        ("no container", container is None),
        ("words that depend on its inputs", container and commands.has_condition(container)),
        ("a back-off factor that is not whole, which Argo refuses", retrying.has_fraction(policy)),
        *((f"inputs from {source}", True) for source in driving.unknown_sources(task)),
    )
    return [what for what, is_there in found if is_there]
