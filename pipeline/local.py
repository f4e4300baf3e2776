"""One run on this machine, from the records to the verdict."""

import argparse
from pathlib import Path

from rich.console import Console
from tfx import v1 as tfx
from tfx.orchestration.pipeline import RunOptions

from components import metadata as lineage
from components.dataset.source import RecordsSource
from components.errors import ConfigError
from pipeline import cli, doctor, summary
from pipeline.config import PipelineConfig
from pipeline.graph import Environment, create_pipeline


def run(
    arguments: argparse.Namespace,
    config: PipelineConfig,
    source: RecordsSource,
    output: Path,
    console: Console,
) -> None:
    """Runs the pipeline on records that are ready and prints what came of it.

    Raises:
        PipelineError: see `components.errors`.
    """
    doctor.require_components(tfx.components)
    database = str(output / "metadata.sqlite")
    serving_dir = str(output / "serving" / config.name)
    pipeline = create_pipeline(
        config,
        Environment(
            records=str(source.folder),
            has_spans=source.has_spans,
            pipeline_root=str(output / "artifacts"),
            serving_dir=serving_dir,
            training_dir=str(output / "training"),
            metadata_connection=tfx.orchestration.metadata.sqlite_metadata_connection_config(
                database
            ),
            enable_cache=not arguments.no_cache,
        ),
    )
    if arguments.dry_run:
        cli.print_plan(console, config, pipeline)
        return
    options = _run_options(arguments, pipeline)
    before = lineage.newest_run(lineage.open_store(database)) if Path(database).exists() else 0
    try:
        tfx.orchestration.LocalDagRunner().run(pipeline, options)
    except LookupError as error:
        if type(error) is not LookupError:  # A KeyError is one, too, but TFX raises no other.
            raise
        raise ConfigError(
            f"expected that the steps before {arguments.from_node} ran whole when this output was "
            f"last run; got {str(error).rstrip('.')}; to fix, run them first, without --from-node"
        ) from error
    steps = lineage.latest_run(lineage.open_store(database), config.pipeline_name, since=before)
    if not steps:
        raise ConfigError(
            f"expected steps from {arguments.from_node} to {arguments.to_node}; got none, for the "
            "second comes before the first; to fix, swap them"
        )
    summary.conclude(console, steps, output, Path(serving_dir))


def _run_options(arguments: argparse.Namespace, pipeline) -> RunOptions | None:
    """Which part of the graph to run; None for all of it."""
    chosen = {"from_nodes": arguments.from_node, "to_nodes": arguments.to_node}
    known = [node.id for node in pipeline.components]
    for name in filter(None, chosen.values()):
        if name not in known:
            raise ConfigError(
                f"expected a step, one of {', '.join(known)}; got {name!r}; to fix, choose one"
            )
    if not any(chosen.values()):
        return None
    return RunOptions(**{key: [name] for key, name in chosen.items() if name})
