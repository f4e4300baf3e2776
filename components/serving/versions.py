"""The folder that models are pushed to, as a server sees it: versions, the newest, pushing.

A version carries what it must be judged by later: which data it learned from, and from what it was
made. It needs no ML Metadata to be read. Which version follows which is `succession`. Nothing here
imports TensorFlow for a folder of this machine.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import time
import uuid
from collections.abc import Collection, Mapping
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
_SAYS_WHERE_FROM = {f"{EXTRA}/{DATA_REPORT}", f"{EXTRA}/{PROVENANCE}"}
_UNFINISHED = ".unfinished-"
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
    mean_iou: float | None = None
    """What the Evaluator measured; None where older code pushed it."""
    republished: str = ""
    """The number of the version that a rollback copied this one from; empty for a model's first."""
    took_back: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Of a rollback: from what the versions were made that it replaced, by their numbers."""


def numbered(folder: str) -> list[str]:
    """Paths of all that a server takes for a version, whole or not, that of the highest first.

    TensorFlow Serving reads names as whole numbers of 64 bits and looks at nothing else.
    """
    names = [name for name in paths.list_folder(folder) if _NUMBER.fullmatch(name)]
    numbers = [name for name in names if int(name) <= _HIGHEST]
    return [paths.join(folder, name) for name in sorted(numbers, key=int, reverse=True)]


def versions(folder: str) -> list[str]:
    """Paths of the complete versions in the folder of a model, the newest first."""
    return [version for version in numbered(folder) if is_whole(version)]


def is_whole(version: str) -> bool:
    """Whether a folder holds a model, and not a part of one that is being written or was killed."""
    return paths.exists(paths.join(version, _SAVED_MODEL))


def newest_version(folder: str) -> str | None:
    """The complete version of the highest number; None where none is."""
    return next(iter(versions(folder)), None)


def content(folder: str, added: Mapping[str, bytes] | None = None) -> str:
    """A hash of the files of a version, without what says where it came from.

    Args:
        folder: of the version, or of a model that becomes one.
        added: files that come to those in the folder, by their paths below it.
    """
    added = added or {}
    found = {path[len(folder.rstrip("/")) + 1 :] for path in paths.walk_files(folder)}
    digest = hashlib.sha256()
    for name in sorted((found | added.keys()) - _SAYS_WHERE_FROM):
        data = added[name] if name in added else paths.read_bytes(paths.join(folder, name))
        digest.update(f"/{name} {len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()


def is_unharmed(version: str) -> bool:
    """Whether the files of a pushed version are those that were pushed."""
    known = read_provenance(version)
    return known is not None and known.content in ("", content(version))


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


def push(model: str, folder: str, added: Mapping[str, bytes], provenance: Provenance) -> str:
    """Makes a model the newest version of a folder; a server sees the whole of it or nothing.

    On this machine the version is written under another name and renamed. A bucket knows no
    renaming; there `saved_model.pb`, without which nothing is a version, comes last.

    Args:
        model: folder of the SavedModel.
        folder: of the versions; made if it is not there.
        added: files to put into the version, by their paths below it.
        provenance: from what the model was made; `content` is filled in.

    Returns:
        The path of the version. Its number is the time in seconds, but higher than those there.

    Raises:
        PipelineError: there is no higher number.
    """
    provenance = dataclasses.replace(provenance, content=content(model, added))
    text = json.dumps(dataclasses.asdict(provenance), indent=2)
    added = {**added, f"{EXTRA}/{PROVENANCE}": text.encode()}
    if paths.is_remote(folder):
        version = _next_version(folder)
        _write(model, version, added)
        return version
    paths.make_folder(folder)
    # Two at once would take the same number, and clear away what the other is writing.
    with locked(Path(folder)):
        return _push_here(model, folder, added)


def remove_older(folder: str, keep: int, needed: Collection[str]) -> list[str]:
    """Removes complete versions of a folder, the oldest first, until `keep` are left.

    Args:
        folder: of the versions.
        keep: how many of the newest stay, at least 1.
        needed: numbers of those that stay in any case.

    Returns:
        The paths that were removed.
    """
    gone = [path for path in versions(folder)[keep:] if os.path.basename(path) not in needed]
    for version in reversed(gone):
        if paths.is_remote(folder):
            # Without its graph it is no version any more, whatever becomes of the rest.
            paths.remove_file(paths.join(version, _SAVED_MODEL))
            paths.remove_tree(version)
        else:
            unfinished = _unfinished(folder)
            paths.rename(version, unfinished)
            paths.remove_tree(unfinished)
    return gone


def _next_version(folder: str) -> str:
    highest = next(iter(numbered(folder)), None)
    number = max(int(time.time()), int(os.path.basename(highest)) + 1 if highest else 0)
    if number > _HIGHEST:
        raise PipelineError(
            f"expected a version below the highest number that servers know; got {highest}; to "
            "fix, remove it"
        )
    return paths.join(folder, str(number))


def _unfinished(folder: str) -> str:
    """A path in the folder that no server takes for a version, and the next push clears away."""
    return paths.join(folder, f"{_UNFINISHED}{uuid.uuid4().hex}")


def _push_here(model: str, folder: str, added: Mapping[str, bytes]) -> str:
    version = _next_version(folder)
    for name in paths.list_folder(folder):
        if name.startswith(_UNFINISHED):  # A killed run left it.
            paths.remove_tree(paths.join(folder, name))
    unfinished = _unfinished(folder)
    try:
        _write(model, unfinished, added)
        paths.rename(unfinished, version)
    except BaseException:
        with contextlib.suppress(OSError):
            paths.remove_tree(unfinished)
        raise
    return version


def _write(model: str, version: str, added: Mapping[str, bytes]) -> None:
    # Not every store takes a second file of one name: a copy of a version has its own provenance.
    paths.copy_tree(model, version, without=(_SAVED_MODEL, *added))
    for name, data in added.items():
        paths.make_folder(os.path.dirname(paths.join(version, name)))
        paths.write_bytes(paths.join(version, name), data)
    paths.copy_file(paths.join(model, _SAVED_MODEL), paths.join(version, _SAVED_MODEL))
