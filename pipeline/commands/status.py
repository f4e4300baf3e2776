"""Say what a run on Kubeflow Pipelines is doing: each step and its state."""

import argparse

from rich.console import Console

from pipeline.commands import services


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    parser.add_argument("run", nargs="?", default="", help="its number; the newest by default")
    services.add_arguments(parser)
    parser.add_argument("--watch", action="store_true", help="until the run has ended")


def main(arguments: argparse.Namespace, console: Console) -> None:
    """Prints the steps, and raises where the run has failed.

    Raises:
        ConfigError: there is no such run.
        ServiceError: Kubeflow does not answer.
        PipelineError: the run has failed.
    """
    service = services.connected(arguments)
    from pipeline.kubeflow.operation import watching

    run = services.run_of(service, arguments.run)
    console.print(f"Run          {run.run_id}, {run.display_name}", highlight=False, markup=False)
    if arguments.watch:
        watching.watch(service, run, console, arguments.poll_seconds)
        return
    for name, task in watching.steps(run).items():
        console.print(f"{name:<18} {str(task.state).lower()}", highlight=False, markup=False)
    if run.state in watching.ENDED:
        watching.conclude(run, console)
    else:
        console.print(f"State        {str(run.state).lower()}", highlight=False)
