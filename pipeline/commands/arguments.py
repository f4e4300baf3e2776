"""Arguments of several verbs: what a run computes, and where it runs."""

import argparse
import json
from typing import Any

from components.errors import ConfigError
from pipeline import config, environment, recipes, steps
from pipeline.config import PipelineConfig
from pipeline.environment import Environment


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that decide what a run computes."""
    parser.add_argument(
        "--dataset",
        help="sample (embedded, the default), or the name of another description with --data-dir; "
        "with --recipe alone it is the recipe's",
    )
    parser.add_argument(
        "--recipe", help="a recipe of pipeline/recipes.py; the default is that of the data set"
    )
    parser.add_argument(
        "--data-dir",
        help="folder of the data set: its pictures, TFRecords with the official keys, or span-1/, "
        "span-2/, … of them, of which the newest data.span_window are learned from",
    )
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument(
        "--checkpoint",
        metavar="PATH",
        help="start from a whole network in the official format: prefix, folder, .tar.gz, address, "
        "a published name, or `served`; for other classes add "
        "--set initial_weights.scope=except_logits",
    )
    weights.add_argument(
        "--backbone-weights",
        metavar="PATH",
        help="start from the backbone of such a checkpoint, or from the .weights.h5 of a "
        "keras.applications.MobileNetV2",
    )
    parser.add_argument(
        "--set",
        dest="assignments",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="change one value of the configuration, for example training.steps=100",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the graph, the configuration and the environment, run nothing",
    )


def add_environment_arguments(parser: argparse.ArgumentParser, default: str) -> None:
    """The arguments that say where a run happens."""
    parser.add_argument(
        "--environment",
        default=default,
        metavar="NAME|FILE",
        help=f"one of {', '.join(environment.available())}, or a TOML file (default: %(default)s)",
    )
    parser.add_argument(
        "--schemas",
        action="append",
        metavar="DIR",
        help="folder of data set descriptions beside those that ship, in place of the "
        "environment's; may be repeated",
    )


def load(
    arguments: argparse.Namespace, **environment_changes: Any
) -> tuple[PipelineConfig, Environment]:
    """Configuration and environment of the command line.

    Args:
        arguments: of `add_config_arguments` and `add_environment_arguments`.
        **environment_changes: values of the environment that the command line gives.

    Raises:
        ConfigError: naming all faults of both.
    """
    faults, loaded = [], []
    for load_one in (
        lambda: _load_config(arguments),
        lambda: environment.load(
            arguments.environment, schemas=arguments.schemas, **environment_changes
        ),
        lambda: _check_steps(arguments),
    ):
        try:
            loaded.append(load_one())
        except ConfigError as error:
            faults.append(str(error))
    if faults:
        raise ConfigError("\n".join(faults))
    return loaded[0], loaded[1]


def _load_config(arguments: argparse.Namespace) -> PipelineConfig:
    return config.override(*changes(arguments))


def changes(arguments: argparse.Namespace) -> tuple[PipelineConfig, list[str]]:
    """The recipe of the command line, and what it changes in it, as `path=value`."""
    if arguments.recipe:
        start = recipes.get(arguments.recipe)
    else:
        start = recipes.of_dataset(arguments.dataset or "sample")
    values = {"data.dataset": arguments.dataset, "data.source": arguments.data_dir}
    for path, scope in ((arguments.checkpoint, "all"), (arguments.backbone_weights, "backbone")):
        if path:
            values |= {"initial_weights.source": path, "initial_weights.scope": scope}
    assignments = [f"{path}={json.dumps(v)}" for path, v in values.items() if v is not None]
    return start, [*assignments, *arguments.assignments]


def _check_steps(arguments: argparse.Namespace) -> None:
    """Refuses names that no step has, and a part of the graph without a step."""
    named = {
        option: value
        for option in ("from_node", "to_node")
        if (value := getattr(arguments, option, None)) is not None
    }
    wrong = [
        f"expected --{option.replace('_', '-')} to be a step, one of {', '.join(steps.ALL)}; got "
        f"{value!r}; to fix, choose one"
        for option, value in named.items()
        if value not in steps.ALL
    ]
    if wrong:
        raise ConfigError("\n".join(wrong))
    if len(named) == 2:
        first, last = (steps.ALL.index(named[option]) for option in ("from_node", "to_node"))
        if last < first:
            raise ConfigError(
                f"expected steps from {named['from_node']} to {named['to_node']}; got none, for "
                "the second comes before the first; to fix, swap them"
            )
