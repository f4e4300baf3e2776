"""Judges a compiled file before Kubeflow does, and more strictly: all faults, each with its place.

What Kubeflow refuses is refused here, and what it takes and then breaks on or ignores as well; see
docs/kubeflow-check.md. To add a rule, write it beside those of its topic; to add a topic, put its
`check` into `CHECKS`.
"""

from collections.abc import Callable, Iterator, Mapping

from components import texts
from components.errors import ConfigError
from pipeline.kubeflow.check import (
    commands,
    compiled,
    definitions,
    executors,
    exits,
    inputs,
    messages,
    names,
    platforms,
    resources,
    tasks,
    yaml_reading,
)
from pipeline.kubeflow.check.compiled import Compiled
from pipeline.kubeflow.check.faults import Fault, Place, Rule

CHECKS: tuple[Callable[[Compiled], Iterator[Fault]], ...] = (
    names.check,
    tasks.check,
    definitions.check,
    inputs.check,
    executors.check,
    resources.check,
    commands.check,
    platforms.check,
)

_MODULES = (
    *(yaml_reading, messages, compiled, names, tasks, exits, definitions),
    *(inputs, executors, resources, commands, platforms),
)
RULES: dict[str, Rule] = {
    value.name: value
    for module in _MODULES
    for value in vars(module).values()
    if isinstance(value, Rule)
}
"""All rules by name, in the order in which they are judged."""

_MOST_SHOWN = 100


def faults(
    content: bytes, given: Mapping[str, object] | None = None
) -> tuple[list[Fault], dict[Place, int]]:
    """All that is wrong with a compiled file.

    Args:
        content: of the file.
        given: parameters of a run by name; none by default.

    Returns:
        The faults in the order of the file, and the lines of its keys.
    """
    if len(content) > yaml_reading.MAX_BYTES:
        expected = f"at most {yaml_reading.MAX_BYTES} bytes"
        got, fix = "more", "give the file that the compile command writes"
        return [yaml_reading.SIZE.broken((), expected, got, fix, is_quoted=False)], {}
    try:
        pipeline, platforms, lines, found = compiled.read(content)
    except yaml_reading.Refused as refused:
        return refused.faults, {}
    whole = Compiled(pipeline, platforms, given or {})
    found += [fault for check in CHECKS for fault in check(whole)]
    return sorted(dict.fromkeys(found), key=lambda fault: _order(fault, lines)), lines


def require_fit(content: bytes, name: str, given: Mapping[str, object] | None = None) -> None:
    """Refuses a compiled file that is not fit for Kubeflow.

    Args:
        content: of the file.
        name: of the file, for the message.
        given: parameters of a run by name.

    Raises:
        ConfigError: with all faults.
    """
    found, lines = faults(content, given)
    found = [*names.file_faults(name), *found]
    if not found:
        return
    shown = [fault.text(lines) for fault in found[:_MOST_SHOWN]]
    if len(found) > _MOST_SHOWN:
        shown.append(f"and {len(found) - _MOST_SHOWN} more")
    raise ConfigError(
        f"{name} is not fit for Kubeflow Pipelines: {texts.counted(len(found), 'fault')}\n"
        + "\n".join(shown)
    )


def read(path: str) -> bytes:
    """A file to be judged, or as much of it as shows that it is too large.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read(yaml_reading.MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"expected a compiled file at {path}; got {error.strerror or error}; to fix, give the "
            "path that `python -m pipeline compile` has printed"
        ) from error


def _order(fault: Fault, lines: Mapping[Place, int]) -> tuple:
    place = fault.place
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 0), [str(key) for key in fault.place], fault.rule.name
