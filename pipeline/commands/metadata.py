"""Copy ML Metadata, from a file to a server or back: everything that ran, and what people decided.

`python -m pipeline metadata copy sqlite:output/metadata.sqlite postgresql://user@host/database`.
Passwords are in environment variables, named by --password-of-source and --password-of-target.
"""

import argparse
import os
from pathlib import Path

from rich.console import Console

from components.errors import ConfigError
from components.metadata import addresses


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    parser.add_argument("what", choices=["copy"], help="copy: all of SOURCE into an empty TARGET")
    parser.add_argument("source", metavar="SOURCE", help="sqlite:PATH, postgresql://…, mysql://…")
    parser.add_argument("target", metavar="TARGET", help="likewise; it must hold nothing")
    for side in ("source", "target"):
        parser.add_argument(
            f"--password-of-{side}",
            default="",
            metavar="VARIABLE",
            help=f"environment variable with the password of {side.upper()}",
        )


def main(arguments: argparse.Namespace, console: Console) -> None:
    """Copies, compares, and prints what was copied.

    Raises:
        ConfigError: an address is wrong, or the target holds something.
        PipelineError: the copy is not equal.
    """
    source, target = _address(arguments.source), _address(arguments.target)
    if source.scheme == "sqlite" and not os.path.exists(source.path):
        raise ConfigError(
            f"expected ML Metadata at {source.path}; got no such file; to fix, correct the path"
        )
    is_file = target.scheme == "sqlite"
    if is_file and os.path.exists(target.path):
        raise ConfigError(
            f"expected no file at {target.path}; got one; to fix, name another, or move it away"
        )
    # Imported here: what is wrong with the arguments is said before.

    from components.metadata import copying, stores

    part = f"{target.path}.part"
    if is_file:
        Path(part).parent.mkdir(parents=True, exist_ok=True)
        Path(part).unlink(missing_ok=True)  # what a killed copy left
    copied = copying.copy(
        stores.opened(arguments.source, arguments.password_of_source),
        stores.opened(
            f"sqlite:{part}" if is_file else arguments.target, arguments.password_of_target
        ),
    )
    if is_file:
        os.replace(part, target.path)
    console.print(f"Copied {copied}; both sides are equal.", highlight=False, markup=False)


def _address(uri: str) -> addresses.Address:
    try:
        return addresses.parse(uri)
    except ValueError as error:
        raise ConfigError(str(error)) from error
