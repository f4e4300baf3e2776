"""Runs the pipeline on this machine: Beam in this process, ML Metadata in SQLite.

python local_runner.py
python local_runner.py --dataset pascal --data-dir VOCdevkit
"""

import argparse
from datetime import datetime
from pathlib import Path

from rich.console import Console

import schemas
from pipeline import cli, doctor, terminal, weights


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Train, judge, prove and push DeepLab v3+ on this machine.",
        epilog=cli.EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cli.add_config_arguments(parser)
    parser.add_argument(
        "--output",
        type=Path,
        default=cli.REPOSITORY / "output",
        help="root of everything a run writes (default: output/ beside this file)",
    )
    parser.add_argument("--from-node", help="start with this step, take what comes before as it is")
    parser.add_argument("--to-node", help="end with this step")
    parser.add_argument("--no-cache", action="store_true", help="run every step again")
    return parser.parse_args()


def main(arguments: argparse.Namespace, console: Console) -> None:
    """Builds and runs the pipeline.

    Raises:
        PipelineError: see `components.errors`; each has its own exit code.
    """
    config = cli.load_config(arguments)
    output = arguments.output.resolve()
    doctor.require_healthy(doctor.examine(output, config.min_free_disk_gb))
    log = output / "logs" / f"{datetime.now():%Y%m%d-%H%M%S}.txt"
    console.print(f"Everything a run writes is below {output}; the log is {log}", highlight=False)
    with terminal.redirected_to(log) as console, terminal.step_lines(console):
        # Imported here: TensorFlow takes ten seconds and TFX half a minute, and what is wrong with
        # the arguments or the data should be said before.
        from components.dataset.source import find_records
        from components.serving import versions as served

        dataset = schemas.load(config.data.dataset)
        served.require_same_classes(output / "serving" / config.name, dataset)
        source = find_records(
            dataset,
            arguments.data_dir,
            output / "data",
            patterns={"train": config.data.train_pattern, "val": config.data.val_pattern},
            limits={"train": config.data.train_limit, "val": config.data.val_limit},
        )
        if not arguments.dry_run:
            config = weights.located(config)
            source.ready()
        from pipeline import local

        local.run(arguments, config, source, output, console)


if __name__ == "__main__":
    cli.run(main, parse_arguments())
