"""Stop a run on Kubeflow Pipelines; what its steps have finished stays."""

import argparse

from rich.console import Console

from components.errors import ConfigError
from pipeline.commands import services


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    parser.add_argument("run", nargs="?", default="", help="its number; the newest by default")
    services.add_arguments(parser)


def main(arguments: argparse.Namespace, console: Console) -> None:
    """Stops it.

    Raises:
        ConfigError: there is no such run, or it has ended.
        ServiceError: Kubeflow does not answer.
    """
    service = services.connected(arguments)
    from pipeline.kubeflow.operation import watching

    run = services.run_of(service, arguments.run)
    if run.state in watching.ENDED:
        raise ConfigError(
            f"expected a run that is at work; got {run.display_name}, which is "
            f"{run.state.lower()}; to fix, name another one"
        )

    def stopped():
        now = service.read(service.runs.run_service_get_run, run.run_id)
        return now if now.state in ("CANCELING", "CANCELED") else None

    service.write(service.runs.run_service_terminate_run, run.run_id, find=stopped)
    console.print(f"Stopped      {run.run_id}, {run.display_name}", highlight=False, markup=False)
