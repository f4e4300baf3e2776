"""Serve a model: by TensorFlow Serving where a machine has it, else by a stand-in.

The stand-in takes the same requests, over REST and gRPC, and loads models by the same loader. It is
for trying and for tests, not for production. Ctrl-C ends either.
"""

import argparse
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from components.errors import ConfigError, ServingError
from components.observation.request_log import RequestLog
from components.runtime import MODEL_SERVER
from components.serving import versions
from components.serving.exported import is_exported
from components.serving.server import launch
from components.storage import paths
from pipeline import environment
from pipeline.commands import arguments as shared

_LOAD_SECONDS = 600


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    parser.add_argument(
        "model",
        nargs="?",
        metavar="FOLDER",
        help="of a model's versions, or of one version; the default is what was pushed last",
    )
    shared.add_environment_arguments(parser, default="local")
    parser.add_argument("--output", help="of the run, in place of the environment's root")
    parser.add_argument(
        "--name", help="to serve it by (default: the name of the folder, or deeplab)"
    )
    parser.add_argument(
        "--host", default="localhost", help="that the stand-in listens at (default: %(default)s)"
    )
    parser.add_argument(
        "--port", type=int, default=8500, help="of gRPC; 0 for any that is free (default: 8500)"
    )
    parser.add_argument(
        "--rest-port", type=int, default=8501, help="of REST, likewise (default: 8501)"
    )
    parser.add_argument(
        "--log", metavar="FILE", help="add measures of the requests to it, for `observe`"
    )
    parser.add_argument(
        "--log-share",
        type=float,
        default=1.0,
        help="of the requests that are logged (default: %(default)g, all)",
    )


def main(arguments: argparse.Namespace, console: Console) -> None:
    """Serves until it is interrupted.

    Raises:
        ConfigError: there is no model, or a port is taken.
        ServingError: the model does not load, or the server ends by itself.
    """
    place = environment.load(
        arguments.environment, root=arguments.output, schemas=arguments.schemas
    ).made_absolute()
    program = launch.find_program(place.serving_program)
    if arguments.log is not None:
        _check_log(arguments, program)
    with contextlib.ExitStack() as stack:
        base_path, name = stack.enter_context(_base_path(arguments, place.served))
        console.print(
            f"TensorFlow Serving, {program}, serves {base_path}"
            if program
            else f"No {place.serving_program} here: a stand-in for TensorFlow Serving serves "
            f"{base_path}. It is for trying and for tests, not for production.",
            highlight=False,
            markup=False,
        )
        server = stack.enter_context(
            launch.running(
                *(base_path, name),
                program=program,
                log=Path(stack.enter_context(tempfile.TemporaryDirectory()), "log.txt"),
                host=arguments.host,
                port=arguments.port,
                rest_port=arguments.rest_port,
                request_log=arguments.log and paths.absolute(arguments.log),
                request_log_share=arguments.log_share,
            )
        )
        server.wait_until_available(_LOAD_SECONDS)
        console.print(_what_to_try(server), highlight=False, markup=False)
        code = server.process.wait()
        raise ServingError(
            f"expected the server to serve until it is interrupted; got an end with status {code}: "
            f"{server.last_words()}; to fix, see what it said"
        )


def _check_log(arguments: argparse.Namespace, program: str | None) -> None:
    """Refuses a log that could not be written, before a server is started."""
    if program:
        raise ConfigError(
            f"expected --log with the stand-in; got {program}, which has a log of its own; to fix, "
            "give its ModelConfig a logging_config, `observe` reads what that writes"
        )
    RequestLog(arguments.log, share=arguments.log_share).close()


@contextlib.contextmanager
def _base_path(arguments: argparse.Namespace, served: str) -> Iterator[tuple[str, str]]:
    """The folder of versions to serve, and the name to serve them by."""
    folder = paths.join(served, arguments.name or "deeplab")
    if arguments.model is not None:
        folder = paths.absolute(arguments.model)
    if paths.is_remote(folder):
        raise ConfigError(
            f"expected a model in a folder of this machine; got {folder}; to fix, copy it here, or "
            f"start {MODEL_SERVER} by hand"
        )
    folder = os.path.realpath(folder)
    name = os.path.basename(folder)
    if versions.newest_version(folder) is not None:
        yield folder, arguments.name or name
    elif is_exported(folder):
        number = name if name.isdecimal() else "1"
        # A server takes a folder of versions; this one is all that there is in it.
        with tempfile.TemporaryDirectory() as base_path:
            os.symlink(folder, os.path.join(base_path, number))
            above = os.path.basename(os.path.dirname(folder)) if name.isdecimal() else name
            yield base_path, arguments.name or above
    else:
        raise ConfigError(
            f"expected versions of a model in {folder}; got none; to fix, run the pipeline first, "
            "or give the --output of a run, or the folder of a model"
        )


def _what_to_try(server: launch.Server) -> str:
    return f"""\
REST: {server.rest_address}/v1/models/{server.model}
gRPC: {server.host}:{server.port}
To try it, in another terminal, with a picture of yours:

{curl(server.rest_address, server.model)}

or `python -m pipeline ask {server.rest_address} picture.jpg --to mask.png` \
with `--model {server.model}`. Ctrl-C ends it."""


def curl(address: str, model: str) -> str:
    """A line for a shell that turns `picture.jpg` into `mask.png`, by nothing but curl."""
    return (
        """(printf '{"instances": [{"b64": "'; base64 -w0 picture.jpg; printf '"}]}') | """
        f"curl -s {address}/v1/models/{model}:predict -d @- | tr -d ' \\n' | "
        """sed 's/.*"mask_bytes":{"b64":"\\([^"]*\\)".*/\\1/' | base64 -d > mask.png"""
    )
