"""Compare what is served with what was judged: every picture of a split, pixel by pixel.

A server of the model, by TensorFlow's C++ loader, is sent the bytes of each picture; its masks must
be those of the Evaluator's function, to the last pixel. It takes as long as three evaluations.
"""

import argparse
import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from components.errors import ConfigError, DataError
from components.serving import exported, versions
from components.serving.client import Client
from components.serving.server import launch
from components.storage import paths, tfrecords
from pipeline import releases
from pipeline.environment import Environment

_LOAD_SECONDS = 600
_SPLIT = "Split-val"
"""The folder of TFX's artifacts that the Evaluator reads."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    parser.add_argument(
        "version", nargs="?", metavar="VERSION", help="its number; by default what is served"
    )
    releases.add_arguments(parser)
    parser.add_argument(
        "--records",
        help="TFRecords: a folder of them, or a pattern; by default those that the version was "
        "judged on",
    )
    parser.add_argument("--limit", type=int, help="compare no more pictures than this")


def main(arguments: argparse.Namespace, console: Console) -> None:
    """Compares and prints the figures of both.

    Raises:
        ConfigError: there is no such version, or there are no such records.
        DataError: a record cannot be read.
        ServingError: the model does not load, or a pixel differs.
    """
    if arguments.limit is not None and arguments.limit < 1:
        raise ConfigError(
            f"expected --limit of at least 1 picture; got {arguments.limit}; to fix, give more"
        )
    place, folder = releases.find(arguments)
    version = _version(folder, arguments.version)
    about = exported.read_description(version)
    files = _files(arguments.records or _judged(place, version))
    # Imported here: TensorFlow takes seconds, and bad arguments need none of it.
    from components.serving import parity

    with tempfile.TemporaryDirectory() as work, Progress(console=console, transient=True) as bar:
        served = Path(work, "model")
        served.mkdir()
        (served / os.path.basename(version)).symlink_to(version)
        program = launch.find_program(place.serving_program)
        with launch.running(
            str(served), "model", program=program, log=Path(work, "log.txt")
        ) as server:
            server.wait_until_available(_LOAD_SECONDS)
            examples = itertools.islice(_read(files), arguments.limit)
            compared = parity.compare(
                version,
                Client(server.grpc_address, "model", timeout=_LOAD_SECONDS),
                examples,
                len(about["classes"]),
                about["ignore_label"],
            )
            found = parity.summed(bar.track(compared, description="Comparing", total=None))
    known = versions.read_provenance(version)
    lines = [
        f"{found.pictures} pictures of {len(files)} files, {found.pixels:,} pixels, in requests of "
        f"{', '.join(map(str, parity.BATCH_SIZES))} pictures",
        f"other pixels   {found.other_pixels}",
        f"other counts   {found.other_counts}",
        f"served         mean IoU {found.served_mean_iou:.6f}",
        f"judged         mean IoU {found.judged_mean_iou:.6f}",
    ]
    if known is not None and known.mean_iou is not None:
        lines.append(f"when pushed    mean IoU {known.mean_iou:.6f}")
    console.print("\n".join(lines), highlight=False, markup=False)
    parity.require(found)


def _version(folder: str, number: str | None) -> str:
    known = {os.path.basename(path): path for path in versions.versions(folder)}
    version = known.get(number) if number is not None else next(iter(known.values()))
    if version is None or paths.is_remote(version):
        raise ConfigError(
            f"expected a version on this machine, one of {', '.join(known)} in {folder}; got "
            f"{number or version}; to fix, choose one by `python -m pipeline history`"
        )
    return version


def _judged(place: Environment, version: str) -> str:
    """Pattern of the records that a version was judged on, by ML Metadata."""
    from components.metadata import addresses, runs, stores

    database = addresses.parse(place.metadata)
    if database.scheme != "sqlite" or os.path.exists(database.path):
        store = stores.opened(place.metadata, place.secrets.get("metadata_password", ""))
        # A rollback's copy was judged when it was pushed first.
        known = versions.read_provenance(version)
        origin = known.republished if known is not None else ""
        first = os.path.join(os.path.dirname(version), origin) if origin else version
        uri = runs.records_behind(store, first)
        if uri is not None:
            return paths.join(uri, _SPLIT)
    raise ConfigError(
        f"expected {place.metadata} to know the records that {version} was judged on; got none; to "
        "fix, give them as --records"
    )


def _files(records: str) -> list[str]:
    folder = Path(records)
    found = sorted(folder.parent.glob(folder.name))
    if folder.is_dir():
        found = sorted(path for path in folder.iterdir() if not path.name.endswith(".json"))
    if not found:
        raise ConfigError(
            f"expected TFRecords at {records}; got none; to fix, give their folder or a pattern as "
            "--records"
        )
    return list(map(str, found))


def _read(files: list[str]) -> Iterator[bytes]:
    for file in files:
        try:
            yield from tfrecords.read(file)
        except (OSError, tfrecords.TFRecordError) as error:
            raise DataError(
                f"expected TFRecords in {file}; got {error}; to fix, give others as --records"
            ) from error
