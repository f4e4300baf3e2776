"""Compiles the same pipeline for Kubeflow Pipelines v2 and says where the file is.

python kubeflow_runner.py --data-dir gs://bucket/tfrecords --pipeline-root gs://bucket/runs
"""

import argparse
from pathlib import Path

from rich.console import Console

from pipeline import cli, doctor, terminal


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Compile the DeepLab v3+ pipeline to a Kubeflow Pipelines v2 file.",
        epilog=cli.EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cli.add_config_arguments(parser)
    parser.add_argument(
        "--pipeline-root",
        default="/mnt/deeplab",
        help="where every step writes, seen from the cluster: a bucket or a shared volume "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--image",
        default="deeplab-pipeline:latest",
        help="container image with this repository installed (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=cli.REPOSITORY / "output",
        help="folder of the compiled file (default: output/ beside this file)",
    )
    return parser.parse_args()


def main(arguments: argparse.Namespace, console: Console) -> None:
    """Compiles the pipeline.

    Raises:
        PipelineError: see `components.errors`; each has its own exit code.
    """
    config = cli.load_config(arguments)
    output = arguments.output.resolve()
    # A compiled file takes no space to speak of; what the run needs, the cluster must have.
    doctor.require_healthy(doctor.examine(output, min_free_disk_gb=0.1))
    with terminal.redirected_to(output / "logs" / "kubeflow_compile.txt") as console:
        # Imported here: TFX takes half a minute, and --help and bad arguments need none of it.
        from pipeline import kubeflow

        kubeflow.compile_pipeline(arguments, config, output, console)


if __name__ == "__main__":
    cli.run(main, parse_arguments())
