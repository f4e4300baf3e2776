"""Compile the pipeline for Kubeflow Pipelines v2; runs nothing.

The same graph, in the file that open-source Kubeflow Pipelines takes; one that the verb `check`
would refuse is not written.
"""

import argparse
from pathlib import Path

from rich.console import Console

from components.errors import ConfigError
from components.storage import paths
from pipeline import doctor, door, terminal
from pipeline.commands import arguments as shared
from pipeline.kubeflow import reach
from pipeline.kubeflow.check import names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    shared.add_config_arguments(parser)
    shared.add_environment_arguments(parser, default="kubeflow")
    parser.add_argument(
        "--pipeline-root",
        help="where every step writes, in place of the environment's root: a bucket's address, "
        "gs://…, s3://… or minio://…",
    )
    parser.add_argument(
        "--image",
        help="container image with this project installed, by its digest, name@sha256:…, in place "
        "of the environment's",
    )
    parser.add_argument(
        "--allow-tag",
        action="store_const",
        const=True,
        help="take images by their tags, for example on minikube; when a tag moves, Kubeflow's "
        "cache answers with results of the older image",
    )
    parser.add_argument(
        "--output",
        default="output",
        help="folder of the compiled file (default: %(default)s/ in the current folder)",
    )


def main(arguments: argparse.Namespace, console: Console) -> None:
    """Compiles the pipeline.

    Raises:
        PipelineError: see `components.errors`; each has its own exit code.
    """
    config, environment = shared.load(
        arguments,
        root=arguments.pipeline_root,
        image=arguments.image,
        allow_tag=arguments.allow_tag,
    )
    output = Path(paths.absolute(arguments.output))
    faults = names.sentences(config.pipeline_name, environment.artifacts)
    faults += reach.sentences(environment, config.data.source, config.initial_weights.source)
    if faults:
        raise ConfigError("\n".join(faults))
    description = door.describe(config, environment)
    # A compiled file takes no space to speak of; what the run needs, the cluster must have.
    doctor.require_healthy(doctor.examine_machine(output, min_free_disk_gb=0.1))
    with terminal.redirected_to(output / "logs" / "kubeflow_compile.txt") as console:
        # Imported here: TFX takes half a minute, and --help and bad arguments need none of it.
        from pipeline.kubeflow import compiling

        recipe, assignments = shared.changes(arguments)
        compiling.compile_pipeline(
            config,
            environment,
            description,
            output,
            recipe=recipe,
            assignments=assignments,
            dry_run=arguments.dry_run,
            console=console,
        )
