"""Compiles the graph to a Kubeflow Pipelines v2 file."""

import argparse
from pathlib import Path

from rich.console import Console
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

from components.errors import ConfigError
from pipeline import cli
from pipeline.config import PipelineConfig
from pipeline.graph import Environment, create_pipeline

_LONGEST_NAME = 128


def compile_pipeline(
    arguments: argparse.Namespace, config: PipelineConfig, output: Path, console: Console
) -> None:
    """Writes `<output>/<name>.yaml`, pipeline spec 2.1.0, and prints where it is.

    Raises:
        ConfigError: Kubeflow does not take the pipeline's name, which is too long.
    """
    if len(config.pipeline_name) > _LONGEST_NAME:
        raise ConfigError(
            f"expected a name of at most {_LONGEST_NAME} characters with that of the data set; got "
            f"{config.pipeline_name!r}; to fix, change it with --set name=…"
        )
    root = arguments.pipeline_root.rstrip("/")
    records = arguments.data_dir or f"{root}/data/{config.data.dataset}"
    pipeline = create_pipeline(
        config,
        Environment(
            records=records,
            pipeline_root=f"{root}/artifacts",
            serving_dir=f"{root}/serving/{config.name}",
            training_dir=f"{root}/training",
            own_resolvers=False,
        ),
    )
    if arguments.dry_run:
        cli.print_plan(console, config, pipeline)
        return
    output.mkdir(parents=True, exist_ok=True)
    runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(
        config=kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
            default_image=arguments.image, use_pipeline_spec_2_1=True
        ),
        output_dir=str(output),
        # The suffix decides the format: spec 2.1.0 is read from YAML only.
        output_filename=f"{config.name}.yaml",
    )
    runner.run(pipeline, write_out=True)
    console.print(f"Compiled to {output / f'{config.name}.yaml'}", highlight=False)
    console.print(
        f"It runs the image {arguments.image}, reads {records} and writes below {root}. "
        "It has not been run on a cluster.",
        highlight=False,
    )
