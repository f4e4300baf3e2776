"""What can be done around runs: `python -m pipeline VERB`. Each verb is a module here.

A verb's module has a docstring, whose first line is its help, `add_arguments(parser)` and
`main(arguments, console)`. To add one, write the module and put its name into `VERBS`.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

from components import consoles
from components.errors import exit_codes

VERBS = (
    *(
        "run",
        "compile",
        "check",
        "replay",
        "submit",
        "status",
        "logs",
        "stop",
        "serve",
        "ask",
        "predict",
        "parity",
        "observe",
    ),
    *("history", "rollback", "promote", "verify", "keys", "metadata", "doctor", "tensorboard"),
)

EXIT_CODES = """exit codes: 0 pushed, nothing new to push, or not to be pushed; 1 crash;
2 bad configuration; 3 bad data; 4 not blessed; 5 serving check failed, or not verified;
6 download failed; 7 a service does not answer; 130 interrupted; 143 terminated; after both the same
command goes on where it was"""


def main(words: Sequence[str] | None = None) -> None:
    """Does what the words say, those of the command line by default, and exits.

    The exit code is 0, or that of the error, see `components.errors`.
    """
    _call(parser().parse_args(words))


def parser() -> argparse.ArgumentParser:
    """Of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline",
        description="DeepLab v3+ from pictures to a served model.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in VERBS:
        module = _module(verb)
        summary = module.__doc__.splitlines()[0]
        _fill(commands.add_parser(verb, help=summary.rstrip(".")), module)
    return parser


def main_of(verb: str, program: str) -> None:
    """Does the one thing that a program of its own is for, such as `local_runner.py`."""
    _call(parser_of(verb, program).parse_args())


def parser_of(verb: str, program: str) -> argparse.ArgumentParser:
    """Of the command line of a program for one verb."""
    parser = argparse.ArgumentParser(prog=program)
    _fill(parser, _module(verb))
    parser.set_defaults(verb=verb)
    return parser


def _module(verb: str):
    return importlib.import_module(f"pipeline.commands.{verb}")


def _fill(parser: argparse.ArgumentParser, module) -> None:
    parser.description = module.__doc__
    parser.epilog = EXIT_CODES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    module.add_arguments(parser)


def _call(arguments: argparse.Namespace) -> None:
    terminal = consoles.terminal()
    with exit_codes(terminal):
        _module(arguments.verb).main(arguments, terminal)
    sys.exit(0)
