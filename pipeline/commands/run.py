"""Run the pipeline on this machine: train, judge, prove and push.

Beam runs in this process, ML Metadata is a file of SQLite's.
"""

import argparse
import contextlib
import gc
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from rich.console import Console

import schemas
from components.errors import ConfigError
from components.storage import paths
from pipeline import doctor, door, estimate, exclusive, recipes, steps, terminal
from pipeline.commands import arguments as shared
from pipeline.config import PipelineConfig
from pipeline.environment import Environment


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    shared.add_config_arguments(parser)
    shared.add_environment_arguments(parser, default="local")
    parser.add_argument(
        "--output",
        help="root of everything a run writes, in place of the environment's (default: output/ in "
        "the current folder)",
    )
    parser.add_argument("--from-node", help="start with this step, take what comes before as it is")
    parser.add_argument("--to-node", help="end with this step")
    parser.add_argument("--no-cache", action="store_true", help="run every step again")


def main(arguments: argparse.Namespace, console: Console) -> None:
    """Builds and runs the pipeline.

    Raises:
        PipelineError: see `components.errors`; each has its own exit code.
    """
    config, environment = shared.load(arguments, root=arguments.output)
    _require_steps_of(config, arguments)
    environment = environment.made_absolute()
    config = door.with_absolute_paths(config)
    environment.require_local()
    door.require_signing_key(environment)
    description = door.describe(config, environment)
    door.require_place_for(description, config.name, environment)
    if not paths.is_remote(environment.root):
        doctor.require_healthy(doctor.examine(environment))
    with contextlib.ExitStack() as locks:
        if not arguments.dry_run:
            locks.enter_context(exclusive.alone(environment, config.name))
        _run(arguments, config, environment, description, console)


def _require_steps_of(config: PipelineConfig, arguments: argparse.Namespace) -> None:
    """Refuses to start or end with a step that the configuration leaves out."""
    if "Tuner" in (arguments.from_node, arguments.to_node) and not config.tuner.trials:
        raise ConfigError(
            "expected tuner.trials of at least 1 with the step Tuner; got 0; to fix, give "
            "tuner.trials and tuner.space with --set"
        )
    if "TFLite" in (arguments.from_node, arguments.to_node) and not config.tflite.kinds:
        raise ConfigError(
            "expected tflite.kinds with the step TFLite; got none; to fix, give them with "
            """--set 'tflite.kinds=["float32","int8"]'"""
        )


def _run(
    arguments: argparse.Namespace,
    config: PipelineConfig,
    environment: Environment,
    description: door.Description,
    console: Console,
) -> None:
    # Read before anything is said: what is wrong with the data comes first.
    source = door.records(config, environment, description)
    weights_digest = door.weights_digest(config, environment)
    log = Path(environment.root, "logs", f"{datetime.now():%Y%m%d-%H%M%S}.txt")
    console.print(
        f"Everything a run writes is below {environment.root}; the log is {log}", highlight=False
    )
    with terminal.redirected_to(log) as console, terminal.step_lines(console):
        if not arguments.dry_run and not source.is_ready:
            _require_fitting_weights(config, environment, description.dataset)
        if _is_worth_a_trial(config, arguments):
            estimate.show(
                console,
                config,
                description.dataset,
                paths.join(environment.root, "estimates"),
                arguments.recipe or recipes.name_for(arguments.dataset or "sample"),
            )
        if not arguments.dry_run and not source.is_ready:
            source.ready()
        # Imported here: TFX takes half a minute, and all that can be wrong with the arguments or
        # the data has been said before.
        with _nothing_collected():
            from pipeline import local

        local.run(
            config,
            environment,
            description,
            source,
            weights_digest=weights_digest,
            from_node=arguments.from_node,
            to_node=arguments.to_node,
            use_cache=not arguments.no_cache,
            dry_run=arguments.dry_run,
            console=console,
        )


@contextlib.contextmanager
def _nothing_collected() -> Iterator[None]:
    """Around imports, which leave a million objects for as long as the process lives.

    Python's garbage collector would look through them again and again: a quarter of the imports'
    time, and at every full collection of the run.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _is_worth_a_trial(config: PipelineConfig, arguments: argparse.Namespace) -> bool:
    """Whether the run trains, and long enough that its time is to be known before."""
    trainer = steps.ALL.index("Trainer")
    first, last = arguments.from_node or steps.ALL[0], arguments.to_node or steps.ALL[-1]
    is_trained = steps.ALL.index(first) <= trainer <= steps.ALL.index(last)
    is_asked = arguments.dry_run or estimate.is_long(config)
    return is_trained and is_asked and estimate.can_be_tried(config)


def _require_fitting_weights(
    config: PipelineConfig, environment: Environment, dataset: schemas.Dataset
) -> None:
    """Loads the initial weights into the network, before pictures are converted for hours.

    The step of that name does it for the run; it comes after the conversion.

    Raises:
        ConfigError: they do not fit the network; both sides are named.
    """
    if config.initial_weights.source is None:
        return
    # Imported here: Keras takes ten seconds.
    from components.initial_weights import artifact

    with tempfile.TemporaryDirectory() as folder:
        artifact.write(
            folder,
            config.initial_weights,
            config.model.arguments(dataset.num_classes, config.data.canvas_size),
            class_names=dataset.class_names,
            tuned_batch_norm=config.training.tuned_batch_norm,
            served=environment.served,
            name=config.name,
        )
