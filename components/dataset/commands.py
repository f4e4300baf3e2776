"""The commands of `python -m components.dataset`: build and inspect."""

import argparse
import json
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from absl import logging as absl_logging
from rich.console import Console

import schemas
from components import consoles, texts
from components.dataset import records
from components.dataset.building import build
from components.dataset.examination.findings import Finding, counts_by_cause, describe
from components.errors import ConfigError, DataError, exit_codes

_DATA = Path("data")
"""Below the current folder: the package may be installed where nothing can be written."""

_EXIT_CODES = """exit codes: 0 done; 1 crash; 2 bad configuration, or no room to write; 3 bad data;
6 download failed; 130 interrupted; 143 terminated"""


def parser() -> argparse.ArgumentParser:
    """Of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="python -m components.dataset",
        description="Build the TFRecords of a data set, and show what they hold.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser(
        "build",
        help="download, check and convert to sharded TFRecords",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_dataset(build)
    build.add_argument(
        "--source", type=Path, help="folder of the pictures; left out, they are downloaded"
    )
    build.add_argument("--output", type=Path, help="folder of the records (default: data/<name>)")
    build.add_argument(
        "--split",
        dest="splits",
        action="append",
        metavar="NAME",
        help="a split of dataset.toml, may be repeated (default: train and val)",
    )
    build.add_argument(
        "--downloads",
        type=Path,
        default=_DATA / "downloads",
        help="folder that archives are kept in (default: %(default)s)",
    )
    build.add_argument(
        "--on-error",
        choices=("fail", "skip"),
        default="fail",
        help="what to do with pictures that cannot be trained with (default: %(default)s)",
    )
    build.add_argument("--shards", type=int, help="files of each split (default: by their number)")
    build.add_argument(
        "--workers", type=int, default=1, help="threads of this machine (default: %(default)s)"
    )
    build.add_argument(
        "--beam-arg",
        dest="beam_args",
        action="append",
        default=[],
        metavar="ARG",
        help="an option for Beam, such as --beam-arg=--runner=FlinkRunner; may be repeated",
    )
    inspect = commands.add_parser("inspect", help="write an HTML page about the records")
    _add_dataset(inspect)
    inspect.add_argument(
        "--records", type=Path, help="folder of the records (default: data/<name>)"
    )
    inspect.add_argument(
        "--output", type=Path, help="the page (default: <name>.html beside the records' folder)"
    )
    return parser


def _add_dataset(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", help=f"of the data set, such as {', '.join(schemas.available())}")
    command.add_argument(
        "--schemas",
        dest="folders",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="folder of more descriptions, each a folder of its data set's name that holds "
        "dataset.toml and schema.pbtxt; may be repeated",
    )


def _build(arguments: argparse.Namespace, dataset: schemas.Dataset, console: Console) -> None:
    if arguments.workers < 1 or (arguments.shards is not None and arguments.shards < 1):
        raise ConfigError(
            f"expected --shards and --workers of at least 1; got {arguments.shards} and "
            f"{arguments.workers}; to fix, give more or leave them out"
        )
    folder = (arguments.output or _DATA / dataset.name).resolve()
    manifest = build.build(
        dataset,
        arguments.splits or ["train", "val"],
        folder,
        source=arguments.source and arguments.source.resolve(),
        downloads=arguments.downloads.resolve(),
        shards=arguments.shards,
        on_error=arguments.on_error,
        workers=arguments.workers,
        beam_args=arguments.beam_args,
    )
    for split, described in manifest["splits"].items():
        console.print(
            f"{split:<10} {texts.counted(described['records'], 'picture')}", highlight=False
        )
        for key, label in (("rewritten", "rewritten"), ("left_out", "left out")):
            for cause, count in described[key].items():
                console.print(f"{'':<10} {count} {label}: {cause}", highlight=False)
    if manifest["notes"]:
        notes = [Finding(**note) for note in manifest["notes"]]
        console.print(f"Look at    {describe(notes, 'the findings')}", markup=False)
    for line in _gate_lines(manifest["gate"]):
        console.print(line, markup=False, highlight=False)
    not_taken = manifest["not_taken"]
    if not_taken["count"]:
        shown = texts.listed(not_taken["names"], not_taken["count"])
        files = texts.counted(not_taken["count"], "file")
        console.print(f"Not taken  {files} beside the pictures: {shown}", markup=False)
    if folder.with_name(f"{folder.name}.findings.json").exists():
        console.print(f"Findings   {folder}.findings.json", highlight=False, soft_wrap=True)
    console.print(f"Records    {folder}", highlight=False, soft_wrap=True)
    if dataset.licence:
        console.print(f"Licence    {dataset.licence}", highlight=False, soft_wrap=True)


def _gate_lines(gate: dict) -> Iterator[str]:
    """What the data gate will say of the records, for people."""
    found = [Finding(**finding) for finding in gate["findings"]]
    if found:
        causes = json.dumps(list(counts_by_cause(found)))
        yield f"Data gate  A run is going to stop at {describe(found, 'the manifest')}"
        yield f"           Remove them, or accept them with --set 'gate.accept={causes}'"
    for line in gate["skew"]:
        yield f"Data gate  A run is going to warn of {line}"


def _inspect(arguments: argparse.Namespace, dataset: schemas.Dataset, console: Console) -> None:
    folder = (arguments.records or _DATA / dataset.name).resolve()
    files = records.record_files(folder, "*-*-of-*")
    if not files:
        raise DataError(
            f"expected TFRecords in {folder}; got none; to fix, make them with "
            f"python -m components.dataset build {dataset.name}, or give their folder in --records"
        )
    # Imported here: TensorFlow takes ten seconds, and what is wrong is said before.
    from components.dataset.overview import page, survey

    splits: dict[str, list[str]] = {}
    for file in files:
        splits.setdefault(os.path.basename(file).rsplit("-", 3)[0], []).append(file)
    output = arguments.output or folder.with_name(f"{folder.name}.html")
    html = page.render(survey.survey(splits, dataset), dataset)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(html, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"expected to write {output}; got {error.strerror}; to fix, choose another --output"
        ) from error
    console.print(f"Page       {output}", highlight=False, soft_wrap=True)


def _quiet_libraries() -> None:
    """Keeps what TensorFlow, Beam and their kin say on import off the terminal."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    logging.captureWarnings(True)
    absl_logging.use_absl_handler()
    absl_logging.set_verbosity(absl_logging.WARNING)


def main() -> None:
    """Runs the command that the command line names."""
    arguments = parser().parse_args()
    _quiet_libraries()
    console = consoles.terminal()
    with exit_codes(console):
        dataset = schemas.load(arguments.name, arguments.folders)
        {"build": _build, "inspect": _inspect}[arguments.command](arguments, dataset, console)
