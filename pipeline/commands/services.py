"""Arguments of the verbs that ask a running Kubeflow Pipelines."""

import argparse
import os
from typing import Any
from urllib.parse import urlsplit

from components.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where Kubeflow is, and who asks."""
    parser.add_argument(
        "--host",
        default="http://localhost:8080",
        help="address of Kubeflow Pipelines (default: %(default)s, where kubectl port-forward "
        "brings it)",
    )
    parser.add_argument("--namespace", default="", help="of a Kubeflow with several users")
    parser.add_argument(
        "--token-variable",
        default="",
        metavar="VARIABLE",
        help="environment variable with the token; never the token itself",
    )
    parser.add_argument(
        "--poll-seconds", type=float, default=5.0, help="between two looks at a run"
    )


def connected(arguments: argparse.Namespace) -> Any:
    """The service that the arguments name; nothing is asked yet.

    Raises:
        ConfigError: the address is none, or the variable is not set.
    """
    parts = urlsplit(arguments.host)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"expected --host as http://… or https://…; got {arguments.host}; to fix, write the "
            "address of Kubeflow's dashboard"
        )
    variable = arguments.token_variable
    if variable and not os.environ.get(variable):
        raise ConfigError(
            f"expected a token in the environment variable {variable}; got none; to fix, export it"
        )
    from pipeline.kubeflow.operation.service import Service

    token = os.environ[variable] if variable else ""
    return Service(arguments.host, arguments.namespace, token)


def newest_run(service: Any) -> Any:
    """The run that was started last.

    Raises:
        ConfigError: there is none.
    """
    named = {"namespace": service.namespace} if service.namespace else {}
    page = service.read(
        service.runs.run_service_list_runs,
        {"page_size": 1, "sort_by": "created_at desc", **named},
    )
    if not page.runs:
        raise ConfigError(
            f"expected a run at {service.host}; got none; to fix, submit one, or give --namespace"
        )
    return service.read(service.runs.run_service_get_run, page.runs[0].run_id)


def run_of(service: Any, run_id: str) -> Any:
    """A run by its number; the newest where none is given."""
    if not run_id:
        return newest_run(service)
    return service.read(service.runs.run_service_get_run, run_id)
