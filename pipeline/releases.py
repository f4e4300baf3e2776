"""What the verbs around pushed versions share: which model, who asks, and the record of it."""

import argparse
import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from components.errors import ConfigError
from components.serving import versions
from components.storage import paths
from pipeline import environment, exclusive
from pipeline.commands import arguments as shared
from pipeline.environment import Environment


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which served model is meant."""
    shared.add_environment_arguments(parser, default="local")
    parser.add_argument("--output", help="where the runs wrote, in place of the environment's root")
    parser.add_argument(
        "--name", default="deeplab", help="of the served model (default: %(default)s)"
    )


def add_reason(parser: argparse.ArgumentParser) -> None:
    """The argument that goes into ML Metadata beside who decided."""
    parser.add_argument("--reason", default="", help="for the record in ML Metadata")


def find(arguments: argparse.Namespace) -> tuple[Environment, str]:
    """The environment, and the folder of the model's versions.

    Raises:
        ConfigError: there is no such environment, it has faults, or nothing was pushed there.
    """
    place = environment.load(
        arguments.environment, schemas=arguments.schemas, root=arguments.output
    ).made_absolute()
    folder = paths.join(place.served, arguments.name)
    if not versions.versions(folder):
        raise ConfigError(
            f"expected versions in {folder}; got none; to fix, push a model first, or give the "
            "--output and the --name of one that was"
        )
    return place, folder


@contextlib.contextmanager
def recorded(
    arguments: argparse.Namespace,
    place: Environment,
    verb: str,
    used: Mapping[str, str],
) -> Iterator[dict[str, dict[str, int | str]]]:
    """Lets nothing else happen to the model meanwhile, and writes into ML Metadata who did what.

    Args:
        arguments: of `add_arguments` and `add_reason`.
        place: where the model is served.
        verb: what is done.
        used: paths of the versions that it is done with, by what they are to it.

    Yields:
        See `components.metadata.decisions`; `described` gives the properties.

    Raises:
        ConfigError: a run is at work, or ML Metadata is none that can be written from here.
    """
    # Imported here: what is wrong with the arguments is said before.
    from components.metadata import addresses, decisions, stores
    from components.serving.signing import attestation

    known = next(filter(None, map(versions.read_provenance, used.values())), None)
    said = {"by": attestation.who(), "reason": arguments.reason}
    with exclusive.alone(place, arguments.name):
        database = addresses.parse(place.metadata)
        if database.scheme == "sqlite":
            Path(database.path).parent.mkdir(parents=True, exist_ok=True)
        store = stores.opened(place.metadata, place.secrets.get("metadata_password", ""))
        pipeline = known.pipeline if known else arguments.name
        with decisions.decision(store, verb, pipeline, used, said) as given:
            yield given


def described(version: str, label: str) -> dict[str, int | str]:
    """The properties of a version in ML Metadata, as the Pusher gives them, and its label."""
    return {
        "pushed": 1,
        "pushed_destination": version,
        "pushed_version": os.path.basename(version),
        "pushed_content": versions.content(version),
        "label": label,
    }
