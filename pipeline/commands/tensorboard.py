"""Show the curves of a training in a browser, by TensorBoard; Ctrl-C ends it.

The `tensorboard` of some releases does not start beside a setuptools without pkg_resources.
"""

import argparse
import importlib.util
import os
import signal
import sys
import types
import warnings

from rich.console import Console

from components.errors import ConfigError
from components.storage import paths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    parser.add_argument("folder", help="as a run has printed it, or any with curves below it")
    parser.add_argument("--host", default="localhost", help="to listen at (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=6006, help="0 for any that is free (default: %(default)s)"
    )


def main(arguments: argparse.Namespace, console: Console) -> None:
    """Serves TensorBoard until it is interrupted.

    Raises:
        ConfigError: there is no such folder, or the port is taken.
    """
    folder = paths.absolute(arguments.folder)
    if not paths.is_folder(folder):
        raise ConfigError(
            f"expected a folder of curves; got {folder}, which is none; to fix, give the one that "
            "the run has printed"
        )
    if importlib.util.find_spec("pkg_resources") is None:
        # It is imported for plugins of other packages and for another reader of files.
        sys.modules["pkg_resources"] = types.ModuleType("pkg_resources")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    # Imported here: it imports TensorFlow, which has much to say.
    from tensorboard import default, program

    board = program.TensorBoard(plugins=default.get_static_plugins())
    words = ["", "--logdir", folder, "--host", arguments.host, "--port", str(arguments.port)]
    board.configure(argv=[*words, "--load_fast", "false"])
    try:
        address = board.launch()
    except program.TensorBoardServerException as error:
        raise ConfigError(
            f"expected to listen at {arguments.host}:{arguments.port}; got {error}; to fix, give "
            "another --port"
        ) from error
    console.print(f"TensorBoard is at {address}", highlight=False)
    while True:
        signal.pause()
