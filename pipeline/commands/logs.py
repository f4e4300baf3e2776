"""Print what a step of a run on Kubeflow Pipelines has printed.

Kubeflow's server has it while the step's pod is there, and afterwards where the cluster archives
logs.
"""

import argparse

from rich.console import Console

from components.errors import ConfigError
from pipeline.commands import services

_PATH = "/apis/v1alpha1/runs/{run}/nodes/{node}/log"
"""As Kubeflow's API server has it (`backend/src/apiserver/main.go`)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    parser.add_argument("step", help="name of the step, such as Trainer")
    parser.add_argument("--run", default="", help="its number; the newest by default")
    services.add_arguments(parser)


def main(arguments: argparse.Namespace, console: Console) -> None:
    """Prints the log of the last attempt.

    Raises:
        ConfigError: there is no such run, or no such step in it.
        ServiceError: Kubeflow does not answer.
    """
    service = services.connected(arguments)
    from pipeline.kubeflow.operation import watching

    run = services.run_of(service, arguments.run)
    found = watching.pods(run, arguments.step)
    if not found:
        known = ", ".join(watching.steps(run)) or "none that has started"
        raise ConfigError(
            f"expected a step of {run.display_name}, one of {known}; got {arguments.step}; to fix, "
            "choose one that has started"
        )
    text = service.text(_PATH.format(run=run.run_id, node=found[-1]))
    console.print(text.rstrip("\n"), highlight=False, markup=False)
