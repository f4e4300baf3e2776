"""Serve an earlier version again: it is copied to a higher number, which every server takes.

Nothing of a server has to be changed for it, and a version's number stays what it was. What was
pushed after the earlier version is taken back: a run that makes the same again is refused.
"""

import argparse
import os

from rich.console import Console

from components.runtime import Signing
from components.serving import models_config, succession, versions
from pipeline import door, releases


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    parser.add_argument(
        "version",
        nargs="?",
        metavar="VERSION",
        help="its number; the newest one before the served that answers otherwise by default",
    )
    releases.add_arguments(parser)
    releases.add_reason(parser)


def main(arguments: argparse.Namespace, console: Console) -> None:
    """Rolls back and says what is served now.

    Raises:
        ConfigError: there is no such version, or it cannot be served as it was pushed.
    """
    place, folder = releases.find(arguments)
    place.require_local()
    door.require_signing_key(place)
    target = succession.find(folder, arguments.version)
    succession.require_verified(target, place.signing)
    served = versions.newest_version(folder)
    used = {"served": served, "target": target}
    with releases.recorded(arguments, place, "Rollback", used) as given:
        copy = succession.roll_back(folder, target, place.signing)
        models_config.label(folder, int(os.path.basename(copy)), models_config.STABLE)
        given["pushed_model"] = releases.described(copy, models_config.STABLE)
    console.print(
        f"Served now: {copy}, a copy of version {os.path.basename(target)}, in place of version "
        f"{os.path.basename(served)}{_signed(target, place.signing)}",
        highlight=False,
        soft_wrap=True,
    )


def _signed(target: str, signing: Signing | None) -> str:
    """What is to be said of the copy's signature."""
    if signing is not None:
        return "; the copy is signed"
    known = versions.read_provenance(target)
    return "; the copy is not signed, as that was" if known and known.signed else ""
