"""The words of a container's command, with the placeholders filled in."""

import json
import re
from collections.abc import Mapping
from typing import Any

from pipeline.kubeflow.replay import values
from pipeline.kubeflow.replay.failing import StepFailedError
from pipeline.kubeflow.step import places

_LARGEST_ARGUMENT = 128 * 1024
"""Bytes; Linux starts no program with a longer one."""

_PLACEHOLDER = re.compile(r"\{\{\$.*?\}\}", re.DOTALL)
_PARAMETER = re.compile(r"\{\{\$\.inputs\.parameters\['.+?'\]\}\}")


def has_condition(container: Mapping[str, Any]) -> bool:
    """Whether words of the command depend on which inputs are there."""
    return any(word.lstrip().startswith('{"IfPresent":') for word in _words(container))


def filled(
    container: Mapping[str, Any], given: Mapping[str, Any], with_defaults: Mapping[str, Any]
) -> list[str]:
    """The words, filled in one pass: what a value holds is no placeholder.

    Parameters are put in by the driver (`driver/util.go: resolveContainerArgs`), which leaves words
    with outputs to the launcher (`launcher_v2.go: compileCmdAndArgs`), as all others.

    Args:
        container: of the executor.
        given: the ExecutorInput that the driver has.
        with_defaults: the one that the launcher has.

    Raises:
        StepFailedError: the driver would find no value, or Linux not start the command.
    """
    by_driver = _parameters(given, values.drivers_text)
    by_launcher = _placeholders(with_defaults)
    words = []
    for word in _words(container):
        known = by_launcher
        if "$.outputs" not in word:
            if lacking := set(_PARAMETER.findall(word)) - by_driver.keys():
                raise StepFailedError(
                    1, f"expected values for {', '.join(sorted(lacking))} in its command; got none"
                )
            known = by_launcher | by_driver
        words.append(
            _PLACEHOLDER.sub(lambda found, known=known: known.get(found[0], found[0]), word)
        )
    longest = max((len(word.encode()) for word in words), default=0)
    if longest >= _LARGEST_ARGUMENT:
        raise StepFailedError(126, f"expected arguments below 128 KiB; got one of {longest} bytes")
    return words


def _words(container: Mapping[str, Any]) -> list[str]:
    return [*container.get("command", ()), *container.get("args", ())]


def _parameters(executor_input: Mapping[str, Any], text) -> dict[str, str]:
    found = executor_input["inputs"]["parameterValues"]
    return {f"{{{{$.inputs.parameters['{name}']}}}}": text(value) for name, value in found.items()}


def _placeholders(executor_input: Mapping[str, Any]) -> dict[str, str]:
    known = {"{{$}}": json.dumps(executor_input, ensure_ascii=False)}
    for side in ("inputs", "outputs"):
        for name, found in executor_input[side]["artifacts"].items():
            uri = found["artifacts"][0]["uri"]
            known[f"{{{{$.{side}.artifacts['{name}'].uri}}}}"] = uri
            known[f"{{{{$.{side}.artifacts['{name}'].path}}}}"] = places.local(uri)
    for name, found in executor_input["outputs"]["parameters"].items():
        known[f"{{{{$.outputs.parameters['{name}'].output_file}}}}"] = found["outputFile"]
    return known | _parameters(executor_input, values.text)
