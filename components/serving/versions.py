"""The folder that models are pushed to, as a server sees it: versions, the newest, pushing.

A version carries what it must be judged by later: which data it learned from, and from what it was
made. It needs no ML Metadata to be read. Nothing here imports TensorFlow for a folder of this
machine.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import time
import uuid
from pathlib import Path
from typing import Any

from components.errors import ConfigError, PipelineError
from components.storage import paths
from components.storage.locks import locked

MODEL_DESCRIPTION = "model.json"
"""Class names, configuration and identity of a model; in `assets.extra`, as the three below."""
WEIGHTS = "weights"
"""Prefix of a checkpoint in the official format: the network as it was trained."""
DATA_REPORT = "data_report.json"
"""What the data gate measured of the records that the model learned from."""
PROVENANCE = "provenance.json"
"""From what the model was made, see `Provenance`."""

EXTRA = "assets.extra"
"""The folder of a SavedModel that TensorFlow Serving leaves alone."""
_SAVED_MODEL = "saved_model.pb"
_NUMBER = re.compile("[0-9]+")
_HIGHEST = 2**63 - 1


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """From what a pushed model was made."""

    made_from: str
    """A hash of data, configuration, initial weights and code: equal for an unchanged run."""
    pipeline: str
    """Name of the pipeline that pushed it."""
    pushed_at: str
    """UTC, ISO 8601."""
    content: str = ""
    """A hash of the model's files, see `content`; empty for what older code pushed."""


def numbered(folder: str) -> list[str]:
    """Paths of all that a server takes for a version, whole or not, that of the highest first.

    TensorFlow Serving reads names as whole numbers of 64 bits and looks at nothing else.
    """
    names = [name for name in paths.list_folder(folder) if _NUMBER.fullmatch(name)]
    numbers = [name for name in names if int(name) <= _HIGHEST]
    return [paths.join(folder, name) for name in sorted(numbers, key=int, reverse=True)]


def versions(folder: str) -> list[str]:
    """Paths of the complete versions in the folder of a model, the newest first."""
    return [
        version for version in numbered(folder) if paths.exists(paths.join(version, _SAVED_MODEL))
    ]


def newest_version(folder: str) -> str | None:
    """The complete version of the highest number; None where none is."""
    return next(iter(versions(folder)), None)


def content(version: str) -> str:
    """A hash of the files of a model, without what pushing adds to it."""
    added = {paths.join(version, EXTRA, name) for name in (DATA_REPORT, PROVENANCE)}
    digest = hashlib.sha256()
    for file in paths.walk_files(version):
        if file not in added:
            data = paths.read_bytes(file)
            digest.update(f"{file.removeprefix(version)} {len(data)}\n".encode())
            digest.update(data)
    return digest.hexdigest()


def is_unharmed(version: str) -> bool:
    """Whether the files of a pushed version are those that were pushed."""
    known = read_provenance(version)
    return known is not None and known.content in ("", content(version))


def baseline_version(folder: str, made_from: str) -> str | None:
    """The version that a candidate must measure up to: the newest that another run has pushed.

    What an unchanged run has pushed itself is passed over: repeated, it builds on the same as
    before, and everything it did is still valid.

    Args:
        folder: of the versions of a model, which need not be there.
        made_from: of this run, see `Provenance`.
    """
    for version in versions(folder):
        known = read_provenance(version)
        if known is None or known.made_from != made_from:
            return version
    return None


def read_extra(version: str, name: str) -> dict[str, Any] | None:
    """The JSON object in a file of `assets.extra`; None where it is not there or no JSON."""
    path = paths.join(version, EXTRA, name)
    try:
        content = json.loads(paths.read_text(path)) if paths.exists(path) else None
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def read_provenance(version: str) -> Provenance | None:
    """From what a version was made; None where something else than this pipeline put it there."""
    content = read_extra(version, PROVENANCE)
    try:
        return None if content is None else Provenance(**content)
    except TypeError:
        return None


def identity(version: str) -> str | None:
    """What tells one model from another, by the export; None where it does not say."""
    return (read_extra(version, MODEL_DESCRIPTION) or {}).get("identity")


def require_same_classes(folder: str, class_names: tuple[str, ...], dataset: str) -> None:
    """Refuses to push a model of other classes over the one that is served.

    Args:
        folder: of the versions of a served model, which need not be there.
        class_names: what the run learns.
        dataset: the name of the data set that it learns from.

    Raises:
        ConfigError: the newest version answers with other classes, or does not say which.
    """
    version = newest_version(folder)
    if version is None:
        return
    served = read_extra(version, MODEL_DESCRIPTION) or {}
    if served.get("classes") == list(class_names):
        return
    known = (
        f"a model of the {len(served['classes'])} classes of {served['dataset']}"
        if {"classes", "dataset"} <= served.keys()
        else f"a model of unknown classes, {version},"
    )
    raise ConfigError(
        f"expected to serve the {len(class_names)} classes of {dataset} in {folder}; got {known} "
        "there, which could neither be compared nor replaced; to fix, give another --output, or "
        "the model a name of its own with --set name=…"
    )


def require_served(version: str, folder: str, pushed: str = "") -> None:
    """Refuses to call a model served unless it is what a server answers with.

    Args:
        version: where it was pushed.
        folder: of the versions of the served model.
        pushed: the hash of what was pushed, see `content`; empty where it is not known.

    Raises:
        PipelineError: another version has a higher number, or it is gone or was changed.
    """
    highest = next(iter(numbered(folder)), None)
    if highest is None:
        got = "no version there"
    elif not paths.exists(paths.join(highest, _SAVED_MODEL)):
        got = f"{highest}, which a server would try to load and which holds no model"
    elif highest != version:
        got = highest
    elif not is_unharmed(version) or pushed not in ("", content(version)):
        got = "other files there"
    else:
        return
    raise PipelineError(
        f"expected {folder} to serve this blessed model, which was pushed to {version}; got {got}; "
        "to fix, push it again: the same command with --from-node Pusher --no-cache"
    )


def push(model: str, folder: str, extra: dict[str, str], provenance: Provenance) -> str:
    """Makes a model the newest version of a folder; a server sees the whole of it or nothing.

    On this machine the version is written under another name and renamed. A bucket knows no
    renaming; there `saved_model.pb`, without which nothing is a version, comes last.

    Args:
        model: folder of the SavedModel.
        folder: of the versions; made if it is not there.
        extra: texts to put into `assets.extra`, by the name of the file.
        provenance: from what the model was made.

    Returns:
        The path of the version. Its number is the time in seconds, but higher than those there.

    Raises:
        PipelineError: there is no higher number.
    """
    provenance = dataclasses.replace(provenance, content=content(model))
    extra = extra | {PROVENANCE: json.dumps(dataclasses.asdict(provenance), indent=2)}
    if paths.is_remote(folder):
        version = _next_version(folder)
        _write(model, version, extra)
        return version
    paths.make_folder(folder)
    # Two at once would take the same number, and clear away what the other is writing.
    with locked(Path(folder)):
        return _push_here(model, folder, extra)


def _next_version(folder: str) -> str:
    highest = next(iter(numbered(folder)), None)
    number = max(int(time.time()), int(os.path.basename(highest)) + 1 if highest else 0)
    if number > _HIGHEST:
        raise PipelineError(
            f"expected a version below the highest number that servers know; got {highest}; to "
            "fix, remove it"
        )
    return paths.join(folder, str(number))


def _push_here(model: str, folder: str, extra: dict[str, str]) -> str:
    version = _next_version(folder)
    for name in paths.list_folder(folder):
        if name.startswith(".unfinished-"):  # A killed run left it.
            paths.remove_tree(paths.join(folder, name))
    unfinished = paths.join(folder, f".unfinished-{uuid.uuid4().hex}")
    try:
        _write(model, unfinished, extra)
        paths.rename(unfinished, version)
    except BaseException:
        with contextlib.suppress(OSError):
            paths.remove_tree(unfinished)
        raise
    return version


def _write(model: str, version: str, extra: dict[str, str]) -> None:
    paths.copy_tree(model, version, without=(_SAVED_MODEL,))
    paths.make_folder(paths.join(version, EXTRA))
    for name, text in extra.items():
        paths.write_text(paths.join(version, EXTRA, name), text)
    paths.copy_file(paths.join(model, _SAVED_MODEL), paths.join(version, _SAVED_MODEL))
