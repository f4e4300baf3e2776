"""Check a compiled file: is it fit for Kubeflow Pipelines? All faults, each with its place.

Refuses what Kubeflow refuses at the upload, when it compiles a run and while it runs, and what it
takes and then breaks on or ignores; see docs/kubeflow-check.md. Neither Kubeflow nor TFX is needed,
and nothing is run.
"""

import argparse
import json
from collections.abc import Sequence

from rich.console import Console

from components.errors import ConfigError
from pipeline.kubeflow import check, run_parameters
from pipeline.kubeflow.check import compiled


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    parser.add_argument("file", help="what `python -m pipeline compile` has written")
    add_parameters(parser)


def add_parameters(parser: argparse.ArgumentParser) -> None:
    """The parameters of a run, for every verb that takes them."""
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the run, as the pipeline names it; JSON or text, repeatable",
    )


def parameters(given: Sequence[str]) -> dict[str, object]:
    """The values of `--parameter` by name.

    Raises:
        ConfigError: one is not NAME=VALUE.
    """
    return dict(map(_parameter, given))


def main(arguments: argparse.Namespace, console: Console) -> None:
    """Prints that the file is fit, or raises.

    Raises:
        ConfigError: with all faults of the file, or of the parameters; or it cannot be read.
    """
    given = parameters(arguments.parameter)
    content = check.read(arguments.file)
    check.require_fit(content, arguments.file, given)
    run_parameters.require_valid(compiled.read(content)[0], given)
    console.print(
        f"{arguments.file} is fit for Kubeflow Pipelines: no fault by any of "
        f"{len(check.RULES)} rules. That it runs on a cluster is not said by that.",
        highlight=False,
        markup=False,
    )


def _parameter(text: str) -> tuple[str, object]:
    name, is_given, value = text.partition("=")
    if not name or not is_given:
        raise ConfigError(
            f"expected --parameter as NAME=VALUE; got {text!r}; to fix, write for example "
            "training_steps=100"
        )
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
