"""What both runners share: arguments, configuration, errors to exit codes."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from components.errors import exit_codes
from pipeline import recipes
from pipeline.config import PipelineConfig, override

REPOSITORY = Path(__file__).resolve().parent.parent

EXIT_CODES = """exit codes: 0 pushed, or nothing new to push; 1 crash; 2 bad configuration;
3 bad data; 4 not blessed; 5 serving check failed; 6 download failed"""


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that decide what a run computes."""
    parser.add_argument(
        "--dataset",
        help="sample (embedded, the default), or another folder under schemas/ with --data-dir; "
        "with --recipe alone it is the recipe's",
    )
    parser.add_argument(
        "--recipe", help="a recipe of pipeline/recipes.py; the default is that of the data set"
    )
    parser.add_argument(
        "--data-dir",
        help="folder of the data set: its pictures, TFRecords with the official keys, or span-1/, "
        "span-2/, … of them, of which the newest is ingested",
    )
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument(
        "--checkpoint",
        metavar="PATH",
        help="start from a whole network in the official format: prefix, folder, .tar.gz, address, "
        "or a name in models/variants.py; for other classes add "
        "--set training.initial_weights_scope=except_logits",
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
        help="print the graph and the whole configuration, run nothing",
    )


def load_config(arguments: argparse.Namespace) -> PipelineConfig:
    """The recipe with the command line's changes.

    Raises:
        ConfigError: unknown recipe, path or value.
    """
    if arguments.recipe:
        config = recipes.get(arguments.recipe)
    else:
        config = recipes.of_dataset(arguments.dataset or "sample")
    assignments = [f"data.dataset={arguments.dataset}"] if arguments.dataset else []
    for path, scope in ((arguments.checkpoint, "all"), (arguments.backbone_weights, "backbone")):
        if path:
            assignments.append(f"training.initial_weights={json.dumps(path)}")
            assignments.append(f"training.initial_weights_scope={scope}")
    return override(config, [*assignments, *arguments.assignments])


def print_plan(console: Console, config: PipelineConfig, pipeline) -> None:
    """The graph, in the order in which it runs, and the configuration."""
    console.print(f"[bold]{config.name}[/bold]")
    for node in pipeline.components:
        after = ", ".join(sorted(upstream.id for upstream in node.upstream_nodes)) or "the records"
        console.print(f"  {node.id:<18} after {after}", highlight=False)
    console.print_json(config.to_json())


def run(main: Callable[[argparse.Namespace, Console], None], arguments: argparse.Namespace) -> None:
    """Calls `main` and exits with 0, or with the code of the error it raised."""
    console = Console(soft_wrap=True)
    with exit_codes(console):
        main(arguments, console)
