"""Submit a compiled file to Kubeflow Pipelines: a run, or one that comes again by the clock.

A file that has changed becomes a new version of its pipeline; one that has not, is the one that is
there. The file and the parameters are judged before anything is sent.
"""

import argparse
import re

from rich.console import Console

from components.errors import ConfigError
from pipeline.commands import services
from pipeline.commands.check import add_parameters, parameters
from pipeline.kubeflow import check, run_parameters
from pipeline.kubeflow.check import compiled

_FIELD = r"(\*|[0-9A-Za-z,\-]+)(/[0-9]+)?"
_CRON = re.compile(rf"{_FIELD}( {_FIELD}){{4}}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    parser.add_argument("file", help="what `python -m pipeline compile` has written")
    services.add_arguments(parser)
    add_parameters(parser)
    parser.add_argument("--experiment", default="", help="made where there is none of that name")
    parser.add_argument(
        "--every",
        default="",
        metavar="CRON",
        help="a recurring run in place of one: minute, hour, day, month, weekday, in UTC",
    )
    parser.add_argument("--watch", action="store_true", help="until the run has ended")


def main(arguments: argparse.Namespace, console: Console) -> None:
    """Submits.

    Raises:
        ConfigError: the file, a parameter or an argument is refused, here or by Kubeflow.
        ServiceError: Kubeflow does not answer.
        PipelineError: --watch, and the run failed.
    """
    if arguments.every and not _CRON.fullmatch(arguments.every):
        raise ConfigError(
            "expected --every as five fields, minute, hour, day, month, weekday; got "
            f"{arguments.every!r}; to fix, write for example '0 3 * * *'"
        )
    if arguments.every and arguments.watch:
        raise ConfigError(
            "expected --watch with a run that starts now; got --every; to fix, leave one out"
        )
    given = parameters(arguments.parameter)
    content = check.read(arguments.file)
    check.require_fit(content, arguments.file, given)
    pipeline, *_ = compiled.read(content)
    run_parameters.require_valid(pipeline, given)
    # Imported here: Kubeflow's client takes a second.
    from pipeline.kubeflow.operation import submitting, watching

    service = services.connected(arguments)
    file = submitting.File(
        name=pipeline["pipelineInfo"]["name"],
        content=content,
        root=pipeline.get("defaultPipelineRoot", ""),
    )
    version = submitting.uploaded(service, file)
    console.print(f"Version      {version.display_name}", highlight=False)
    experiment = submitting.experiment(service, arguments.experiment)
    if arguments.every:
        made, is_new = submitting.recurring_run(
            service, file, version, given, experiment, arguments.every
        )
        state = "submitted" if is_new else "unchanged"
        console.print(f"Recurring    {made.recurring_run_id}, {state}", highlight=False)
        console.print(
            f"Link         {service.host}/#/recurringrun/details/{made.recurring_run_id}",
            highlight=False,
        )
        return
    run = submitting.run(service, file, version, given, experiment)
    console.print(f"Run          {run.run_id}", highlight=False)
    console.print(f"Link         {service.host}/#/runs/details/{run.run_id}", highlight=False)
    if arguments.watch:
        watching.watch(service, run, console, arguments.poll_seconds)
