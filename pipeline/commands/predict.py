"""Pictures to masks, overlays and a table of classes by a pushed model, without a server.

Results of an earlier command of the same names are overwritten; everything appears whole or not at
all. See docs/predict.md.
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

import schemas
from components import texts
from components.errors import ConfigError, DataError
from components.storage import paths
from pipeline import environment
from pipeline.commands import arguments as shared
from pipeline.environment import Environment

SERVED = "served"
_SHOWN = 8
"""So many errors are printed; all are in `errors.csv`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="folder of a version or of a model's versions, or served: what was pushed to the "
        "output last, served:NAME under another name",
    )
    parser.add_argument(
        "pictures",
        metavar="PICTURE|FOLDER",
        nargs="+",
        help="of any kind that `build` reads; of a folder, all in it and in those below",
    )
    parser.add_argument(
        "--to",
        required=True,
        metavar="FOLDER",
        help="masks/NAME.png, overlays/NAME.jpg, classes.csv and, if need be, errors.csv go there; "
        "with --beam, predictions-*.tfrecord and manifest.json",
    )
    parser.add_argument(
        "--beam",
        action="store_true",
        help="write records, on the engine that the environment's beam.options name; pictures may "
        "also be TFRecords, and all of them in a store",
    )
    shared.add_environment_arguments(parser, default="local")
    parser.add_argument("--output", help="of the run, in place of the environment's root")
    parser.add_argument(
        "--model-version", help="its number, or a label; the default is the highest number"
    )
    parser.add_argument("--no-overlays", action="store_true", help="masks and tables alone")
    parser.add_argument(
        "--batch", type=_positive, default=8, help="pictures of one call (default: %(default)s)"
    )
    parser.add_argument(
        "--tiles",
        action="store_true",
        help="pictures larger than the network's canvas at full resolution, by overlapping tiles",
    )
    parser.add_argument(
        "--overlap", type=float, default=0.25, help="of tiles, a share of one (default: 0.25)"
    )
    parser.add_argument(
        "--max-megapixels",
        type=_positive,
        default=1000,
        help="of a picture for --tiles; a larger one is not decoded (default: %(default)s)",
    )
    parser.add_argument(
        "--workers", type=_positive, help="threads; the default is one a core, two at least"
    )


def main(arguments: argparse.Namespace, console: Console) -> None:
    """Predicts, and writes what `--to` says.

    Raises:
        ConfigError: there is no such model or picture, or nothing can be written there.
        DataError: naming the pictures that have no mask; all others are written.
        ServingError: the model does not load.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Imported here: what the arguments alone make wrong is said at once.
    from components.prediction import model

    place = environment.load(
        arguments.environment, schemas=arguments.schemas, root=arguments.output
    ).made_absolute()
    folder = model.version_folder(_folder(arguments.model, place), arguments.model_version)
    if arguments.beam:
        _on_beam(arguments, console, place, folder)
    else:
        _here(arguments, console, place, folder)


def _here(arguments: argparse.Namespace, console: Console, place: Environment, folder: str) -> None:
    from components.prediction import files, model, overlays, results, run, threads, tiles

    tiles.check_overlap(arguments.overlap)
    to = Path(arguments.to)
    found, not_taken = files.find(
        [Path(picture) for picture in arguments.pictures],
        without=(to / run.MASKS, to / run.OVERLAYS),
    )
    loaded = model.Model(folder)
    dataset = None if arguments.no_overlays else _dataset(loaded.dataset, place)
    if dataset is not None:
        overlays.require_colors(dataset, loaded.class_names, folder)
    if arguments.tiles:
        loaded.require_logits()
    places = run.Places(to, dataset)
    workers = arguments.workers or threads.default_workers()
    errors = []
    with results.Tables(to, loaded.class_names) as tables, _bar(console) as bar:
        if arguments.tiles:
            task = bar.add_task("Tiles", total=None)
            tiling = run.Tiling(
                arguments.overlap,
                arguments.max_megapixels * 1_000_000,
                lambda done, total: bar.update(task, completed=done, total=total),
            )
            done = run.predict_tiled(loaded, found, places, tiling, workers=workers)
        else:
            done = run.predict(loaded, found, places, batch=arguments.batch, workers=workers)
        for one in bar.track(done, total=len(found), description="Predicting"):
            if one.counts is not None:
                tables.add(one.found.name, one.counts)
                continue
            tables.add_error(one.found.name, one.error)
            if len(errors) < _SHOWN:
                errors.append(f"{one.found.path}: {one.error}")
    for line in _said(folder, to, len(found) - tables.failed, not_taken, loaded.has_confidence):
        console.print(line, highlight=False, markup=False)
    if tables.failed:
        raise DataError(
            f"expected pictures that the model can read; got {texts.listed(errors, tables.failed)};"
            f" to fix, mend them or leave them out; all of them are in {to / results.ERRORS}"
        )


def _on_beam(
    arguments: argparse.Namespace, console: Console, place: Environment, folder: str
) -> None:
    if arguments.tiles:
        raise ConfigError(
            "expected --tiles or --beam; got both; to fix, leave one out: tiles are of one machine"
        )
    # Seconds.
    from components.prediction import beam_pass

    to = paths.absolute(arguments.to)
    work = beam_pass.find([paths.absolute(path) for path in arguments.pictures], without=to)
    manifest = beam_pass.predict(
        folder, work, to, batch=arguments.batch, beam_options=place.beam.options
    )
    failed = manifest["failed"]
    console.print(
        f"{texts.counted(manifest['pictures'], 'record')} written to {to} by {folder}, "
        f"{failed or 'none'} of them with an error",
        highlight=False,
        markup=False,
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0; got {text}")
    return number


def _folder(asked: str, place: Environment) -> str:
    """Of a version, or of the versions of a model."""
    kind, _, name = asked.partition(":")
    if kind == SERVED:
        return paths.join(place.served, name or "deeplab")
    return asked


def _dataset(name: str, place: Environment) -> schemas.Dataset:
    try:
        return schemas.load(name, place.schemas)
    except schemas.DatasetError as error:
        raise ConfigError(
            f"expected the description of {name or 'the data set'}, that the model learned from, "
            f"for its colours; got none ({error}); to fix, give its folder with --schemas, or "
            "--no-overlays"
        ) from error


def _bar(console: Console) -> Progress:
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    return Progress(*columns, console=console, transient=True)


def _said(
    folder: str, to: Path, masks: int, not_taken: list[str], has_confidence: bool
) -> Iterator[str]:
    yield f"{texts.counted(masks, 'mask')} written to {to} by {folder}"
    if not_taken:
        listed = texts.listed(not_taken, limit=3)
        yield f"Not taken, for their names do not end as a picture's: {listed}"
    if not has_confidence:
        yield (
            "This model does not say how sure it is of each pixel: mean_confidence is empty. Push "
            "it again to have it."
        )
