"""Look at this machine: is it fit for a run, and what is to be done if not?"""

import argparse
import sys

from rich import box
from rich.console import Console
from rich.table import Table

from components.errors import ConfigError
from pipeline import doctor, environment
from pipeline.commands import arguments as shared


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    shared.add_environment_arguments(parser, default="local")
    parser.add_argument("--output", help="where a run writes, in place of the environment's root")


def main(arguments: argparse.Namespace, console: Console) -> None:
    """Prints every finding; exits with 2 where one of them keeps the pipeline from running.

    Raises:
        ConfigError: there is no such environment, or it has faults.
    """
    place = environment.load(arguments.environment, root=arguments.output).made_absolute()
    checks = doctor.examine(place)
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("", "found", "to do"):
        table.add_column(column)
    for check in checks:
        table.add_row(check.name, check.found, check.problem or "nothing")
    console.print(table)
    if any(check.problem and check.fatal for check in checks):
        sys.exit(ConfigError.exit_code)
