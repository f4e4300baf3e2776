"""Make a pair of keys, to sign pushed versions with and to verify them.

The private one stays with whoever pushes, the public one is given out. ECDSA on the curve
P-256, as PEM. Nothing is overwritten.
"""

import argparse
import os

from rich.console import Console

from components.errors import ConfigError
from components.storage import paths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    parser.add_argument(
        "--to", required=True, metavar="DIR", help="folder that they are written to"
    )
    parser.add_argument(
        "--password",
        metavar="VARIABLE",
        help="name of the environment variable whose value encrypts the private key",
    )


def main(arguments: argparse.Namespace, console: Console) -> None:
    """Writes both files and prints what to do with them.

    Raises:
        ConfigError: a file is there already, the folder cannot be written, or the variable is not
            set.
    """
    password = None
    if arguments.password is not None:
        password = os.environ.get(arguments.password)
        if not password:
            # Not what came: somebody may have typed the password itself.
            raise ConfigError(
                "expected --password to be the name of an environment variable that is set; got "
                "another word; to fix, put the password into a variable, and give its name"
            )
    # Imported here: --help needs none of it.
    from components.serving.signing import keys

    folder = paths.absolute(arguments.to)
    known = keys.make_pair(folder, password)
    private = os.path.join(folder, keys.PRIVATE)
    public = os.path.join(folder, keys.PUBLIC)
    lines = ["[signing]", f'private_key = "{private}"']
    lines += [f'password = "{arguments.password}"'] if password else []
    console.print(
        f"Private key: {private}, for nobody but whoever pushes. Public key: {public}, of the "
        f"fingerprint {known}.\nIn the environment's TOML file:\n\n" + "\n".join(lines) + "\n\n"
        f"Pushed versions are checked with: python -m pipeline verify --public-key {public}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
