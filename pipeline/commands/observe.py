"""Compare what a served model met, by logs of requests, with the data behind the model.

Logs are those of `ask --log` and `serve --log`, and TensorFlow Serving's own. The distances and
their limits are the data gate's; exit code 3 where one is exceeded.
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from components import texts
from components.data_gate import report
from components.errors import ConfigError, DataError
from components.observation import reading
from components.observation.drift import Behind, Distance, compare
from components.observation.sums import Sums
from components.serving import versions
from components.storage import paths
from pipeline import config, recipes, releases

_LIMITS = ("gate.max_class_distance", "gate.max_size_distance", "gate.max_brightness_distance")
_LISTED = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    parser.add_argument(
        "log", nargs="+", help="files, patterns of files such as 'logs/*', or - (standard input)"
    )
    releases.add_arguments(parser)
    parser.add_argument(
        "--model",
        metavar="FOLDER",
        help="of the version to compare with, in place of the newest of --output",
    )
    parser.add_argument(
        "--set",
        dest="assignments",
        action="append",
        default=[],
        metavar="gate.max_…=VALUE",
        help=f"another limit: {', '.join(_LIMITS)}",
    )
    parser.add_argument("--by", choices=("day", "hour"), help="show also when it began, UTC")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to it")


def main(arguments: argparse.Namespace, console: Console) -> None:
    """Prints what the log holds, the distances, and the verdict.

    Raises:
        ConfigError: there is no such log, version or limit.
        DataError: nothing of this model is in the log, or a distance is too large.
    """
    limits = _limits(arguments.assignments)
    files = reading.find(arguments.log)
    version = arguments.model and paths.absolute(arguments.model)
    if not version:
        version = versions.newest_version(releases.find(arguments)[1])
    behind = _behind(version)
    observed = reading.read(files, arguments.name, arguments.by)
    distances = compare(observed.total, behind, limits)
    console.print(_summary(observed.total, behind))
    for line in observed.passed_over():
        console.print(f"Passed over: {line}", highlight=False, markup=False)
    console.print(_table(distances))
    windows = {name: compare(sums, behind, limits) for name, sums in observed.windows.items()}
    if arguments.by:
        console.print(_windows(dict(sorted(windows.items())), arguments.by))
    said = (
        "the model's own on the validation split"
        if behind.predicted_256 is not None
        else "the labels', for the version does not carry its own: they differ where it errs"
    )
    console.print(f"Compared with {version}; its class areas are {said}.", highlight=False)
    if arguments.json:
        content = {
            "model": version,
            "total": _figures(observed.total, distances, behind),
            "windows": {
                name: _figures(observed.windows[name], found, behind)
                for name, found in sorted(windows.items())
            },
            "passed_over": observed.passed_over(),
        }
        _write(arguments.json, json.dumps(content, indent=2, allow_nan=False) + "\n")
    _judge(distances, console)


def _limits(assignments: list[str]) -> dict[str, float]:
    """The data gate's, with those that the command line gives."""
    wrong = [a for a in assignments if a.partition("=")[0] not in _LIMITS]
    if wrong:
        raise ConfigError(
            f"expected --set with {', '.join(_LIMITS)}; got {', '.join(wrong)}; to fix, give "
            "these alone, nothing else is compared"
        )
    gate = config.override(recipes.of_dataset("sample"), assignments).gate
    limits = gate.limits()
    for name, limit in limits.items():
        if limit == 0:
            raise ConfigError(
                f"expected gate.max_{name}_distance above 0; got 0, which not even equal data "
                "stays within; to fix, give a larger one"
            )
    return limits


def _behind(version: str) -> Behind:
    """What a version says of the data that it learned from."""
    description = versions.read_extra(version, versions.MODEL_DESCRIPTION) or {}
    content = versions.read_extra(version, versions.DATA_REPORT)
    predicted = versions.read_extra(version, versions.PREDICTED)
    try:
        splits = report.from_json(json.dumps(content)).total()
        classes = tuple(description["classes"])
        return Behind(
            measures=splits["train"],
            classes=classes,
            ignore_label=description["ignore_label"],
            # Versions that older code pushed have none.
            predicted_256=predicted and _by_label([predicted[name] for name in classes]),
            predicted_records=splits["val"].records,
        )
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ConfigError(
            f"expected {versions.MODEL_DESCRIPTION} and {versions.DATA_REPORT} in {version}/"
            f"{versions.EXTRA}; got none that can be read ({error!r}); to fix, give --output or "
            "--model of a version that this pipeline pushed"
        ) from error


def _by_label(counts: list[int]) -> np.ndarray:
    """int64 `[256]`: counts of the first labels, no pixel of the others."""
    return np.pad(np.array(counts, np.int64), (0, 256 - len(counts)))


def _summary(sums: Sums, behind: Behind) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    measures = sums.measures()
    total = max(int(measures.pixels_256[: len(behind.classes)].sum()), 1)
    areas = [
        f"{name} {100 * count / total:.1f} %"
        for name, count in zip(behind.classes, measures.pixels_256.tolist(), strict=False)
        if count
    ]
    times = [sums.seconds(quantile) for quantile in (0.5, 0.95, 0.99)]
    rows = {
        "pictures": f"{sums.pictures}, {sums.measured} of known size, {sums.masks} with a mask",
        "asked for": _counts(sums.asked),
        "answered by": _counts(sums.versions),
        "errors": _counts(sums.errors) or "none",
        "class areas": ", ".join(areas) or "not known",
        "confidence": "not known"
        if sums.mean_confidence is None
        else f"{100 * sums.mean_confidence:.1f} % on average",
        "time": "not known"
        if times[0] is None
        else "half within {:.2g} s, 95 % within {:.2g} s, 99 % within {:.2g} s".format(*times),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _counts(counter) -> str:
    shown = [f"{kind}: {count}" for kind, count in counter.most_common(_LISTED)]
    return texts.listed(shown, len(counter), _LISTED)


def _table(distances: list[Distance]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("distance")
    for column in ("found", "at most", "pictures", "needed"):
        table.add_column(column, justify="right")
    table.add_column("verdict")
    for one in distances:
        table.add_row(
            one.name,
            _value(one),
            f"{one.limit:g}",
            str(one.pictures),
            "no number" if math.isinf(one.needed) else str(one.needed),
            _verdict(one),
        )
    return table


def _windows(windows: dict[str, list[Distance]], by: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"{by}, UTC")
    table.add_column("pictures", justify="right")
    for name in ("class", "size", "brightness"):
        table.add_column(name, justify="right")
    table.add_column("drifted")
    for window, distances in windows.items():
        drifted = ", ".join(one.name for one in distances if one.is_exceeded)
        few = any(not one.is_judged for one in distances)
        table.add_row(
            window,
            str(max(one.pictures for one in distances)),
            *map(_value, distances),
            drifted or ("too few to tell" if few else "–"),
        )
    return table


def _value(one: Distance) -> str:
    return "–" if one.value is None else f"{one.value:.3f}"


def _verdict(one: Distance) -> str:
    if not one.is_judged:
        return "too few"
    return "drifted" if one.is_exceeded else "fine"


def _figures(sums: Sums, distances: list[Distance], behind: Behind) -> dict[str, Any]:
    """All that is known, for a program."""
    measures = sums.measures()
    return {
        "pictures": sums.pictures,
        "measured": sums.measured,
        "masks": sums.masks,
        "asked": dict(sums.asked),
        "versions": dict(sums.versions),
        "errors": dict(sums.errors),
        "confidence": sums.mean_confidence,
        "seconds": {str(share): sums.seconds(share) for share in (0.5, 0.95, 0.99)},
        "class_pixels": dict(zip(behind.classes, measures.pixels_256.tolist(), strict=False)),
        "sizes": measures.sizes.tolist(),
        "brightness": measures.brightness.tolist(),
        "distances": {
            one.name: {
                "value": one.value,
                "limit": one.limit,
                "pictures": one.pictures,
                "needed": None if math.isinf(one.needed) else one.needed,
                "verdict": _verdict(one),
                "change": one.change,
            }
            for one in distances
        },
    }


def _write(path: Path, text: str) -> None:
    try:
        paths.write_text(str(path.absolute()), text)
    except OSError as error:
        raise ConfigError(
            f"expected to write figures to {path}; got {error}; to fix, give another --json"
        ) from error


def _judge(distances: list[Distance], console: Console) -> None:
    faults = [one.fault() for one in distances if one.is_exceeded]
    few = [one.name for one in distances if not one.is_judged]
    if few:
        console.print(
            f"Too few pictures to judge {', '.join(few)}: with fewer than needed, equal data would "
            "exceed the limit by chance more often than once in twenty times.",
            highlight=False,
        )
    if faults:
        raise DataError(
            "expected requests like the data behind the model; got\n"
            + "\n".join(f"  {line}" for line in faults)
            + "\nto fix, collect such pictures, label them, and train with them as a new span; or "
            "raise the limit under gate"
        )
    if len(few) < len(distances):
        console.print("Nothing that can be judged has drifted.", highlight=False)
