"""Replay a compiled file on this machine, step by step, as Kubeflow would; it is no cluster.

Every step runs as a process that sees what its container would: the installed project, its inputs
where the launcher puts them, an empty working folder. Finished steps are answered from the store,
by Kubeflow's own rules, when the file is replayed again.
"""

import argparse
import os
from pathlib import Path

from rich.console import Console

from components.errors import ConfigError, PipelineError
from pipeline import terminal
from pipeline.commands.check import add_parameters, parameters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    parser.add_argument("file", help="what `python -m pipeline compile` has written")
    add_parameters(parser)
    parser.add_argument(
        "--store",
        type=Path,
        default=Path("output", "replay"),
        metavar="DIR",
        help="folder in the place of all stores: minio://b/k is DIR/minio/b/k; %(default)s",
    )
    parser.add_argument("--root", default="", help="pipeline root in place of the file's own")
    parser.add_argument(
        "--volume",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="folder in the place of a claim, or of a secret that is a volume; repeatable",
    )
    parser.add_argument(
        "--secret",
        action="append",
        default=[],
        metavar="NAME/KEY=VARIABLE",
        help="environment variable with the value of a secret's key; repeatable",
    )


def main(arguments: argparse.Namespace, console: Console) -> None:
    """Replays, and raises what a failed step has failed with.

    Raises:
        ConfigError: the file is not fit, or a replay lacks something.
        PipelineError: a step failed; with its exit code.
    """
    # Imported here: Kubeflow's package takes seconds.
    from pipeline.kubeflow.replay import walking
    from pipeline.kubeflow.replay.request import Request

    request = Request(
        file=arguments.file,
        parameters=parameters(arguments.parameter),
        store=arguments.store.absolute(),
        root=arguments.root,
        claims={name: _folder(name, path) for name, path in map(_volume, arguments.volume)},
        secrets=dict(map(_secret, arguments.secret)),
    )
    replayed = walking.replay(request, console)
    if replayed.failure:
        (failed,) = (step.name for step in replayed.ended if step.state == "failed")
        error = PipelineError(f"the step {failed}: {replayed.failure}; its log says why")
        error.exit_code = max(replayed.failure.code, 1)
        raise error
    if replayed.is_ours:
        with terminal.redirected_to(replayed.logs / "verdict.txt") as console:
            # Imported here: it takes TensorFlow, which says much.
            from pipeline.kubeflow.replay import verdict

            verdict.conclude(replayed, console)


def _volume(text: str) -> tuple[str, str]:
    name, is_given, path = text.partition("=")
    if not (name and is_given and path):
        raise ConfigError(
            f"expected --volume as NAME=DIR; got {text!r}; to fix, write claim=folder"
        )
    return name, path


def _folder(name: str, path: str) -> Path:
    folder = Path(path).absolute()
    if not folder.is_dir():
        raise ConfigError(
            f"expected a folder for --volume {name}; got {path}; to fix, make it, empty if nothing "
            "is to be found on the volume"
        )
    return folder


def _secret(text: str) -> tuple[tuple[str, str], str]:
    place, _, variable = text.partition("=")
    name, _, key = place.partition("/")
    if not (name and key and variable):
        raise ConfigError(
            f"expected --secret as NAME/KEY=VARIABLE; got {place!r}; to fix, give the name of the "
            "environment variable that holds it, never the value"
        )
    if variable not in os.environ:
        raise ConfigError(
            f"expected the variable {variable} of --secret {place}; got none in the environment; "
            "to fix, export it"
        )
    return (name, key), os.environ[variable]
