"""Show the pushed versions of a model: verdicts, what they were made from, which is served."""

import argparse
import os

from rich import box
from rich.console import Console
from rich.table import Table

from components.serving import models_config, succession, versions
from pipeline import releases

_SHOWN = 8
"""Digits of a hash: a line is to fit into a terminal of 80 columns."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    releases.add_arguments(parser)


def main(arguments: argparse.Namespace, console: Console) -> None:
    """Prints a line for each version, the newest first.

    Raises:
        ConfigError: nothing was pushed there.
    """
    _, folder = releases.find(arguments)
    back = succession.taken_back(folder)
    names: dict[int, list[str]] = {}
    for label, number in models_config.labels(folder).items():
        names.setdefault(number, []).append(label)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("version")
    table.add_column("pushed, UTC")
    table.add_column("mean IoU", justify="right")
    for column in ("made from", "state"):
        table.add_column(column, overflow="fold")
    for version in versions.numbered(folder):
        number = os.path.basename(version)
        known = versions.read_provenance(version)
        states = ["served"] * (version == versions.numbered(folder)[0])
        states += sorted(names.get(int(number), ()))
        if known and known.republished:
            states.append(f"copy of {known.republished}")
        if number in back:
            states.append(f"replaced by {back[number]}")
        states += _faults(version, known)
        score = None if known is None else known.mean_iou
        table.add_row(
            number,
            known.pushed_at[:16].replace("T", " ") if known else "–",
            "–" if score is None else f"{100 * score:.1f} %",
            known.made_from[:_SHOWN] if known else "–",
            ", ".join(states),
        )
    console.print(table)


def _faults(version: str, known: versions.Provenance | None) -> list[str]:
    """What keeps a version from being what was pushed."""
    if not versions.is_whole(version):
        return ["no model in it"]
    if known is None:
        return ["not by this pipeline"]
    return [] if versions.is_unharmed(version) else ["files were changed"]
