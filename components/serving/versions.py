"""The folder that models are pushed to, as a server sees it: versions, and the newest.

A version carries what it must be judged by later: which data it learned from, and from what it was
made. It needs no ML Metadata to be read. How one gets there is `pushing`, which follows which
`succession`. Nothing here imports TensorFlow for a folder of this machine.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from components.errors import ConfigError
from components.storage import paths

MODEL_DESCRIPTION = "model.json"
"""Class names, configuration and identity of a model; in `assets.extra`, as all below."""
WEIGHTS = "weights"
"""Prefix of a checkpoint in the official format: the network as it was trained."""
DATA_REPORT = "data_report.json"
"""What the data gate measured of the records that the model learned from."""
PREDICTED = "predicted.json"
"""How many pixels of the validation split the model found each class in, by its name."""
PROVENANCE = "provenance.json"
"""From what the model was made, see `Provenance`."""
BILL = "bom.cdx.json"
"""The bill of materials, see `components.serving.signing.bill`."""
ATTESTATION = "attestation.intoto.json"
"""Of which files the version is, and how they came about, see `signing.attestation`."""
SIGNATURE = "model.sig"
"""Of all other files, where a key is configured, see `signing.signature`."""

EXTRA = "assets.extra"
"""The folder of a SavedModel that TensorFlow Serving leaves alone."""
SAVED_MODEL = "saved_model.pb"
"""The graph, without which a folder is no version."""
HIGHEST = 2**63 - 1
"""The largest number that TensorFlow Serving reads."""

SAYS_WHERE_FROM = frozenset(
    f"{EXTRA}/{name}" for name in (DATA_REPORT, PROVENANCE, BILL, ATTESTATION, SIGNATURE)
)
"""What a push adds, by the paths in a version; all else is the model, and what serves it."""

_NUMBER = re.compile("[0-9]+")


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
    attested: bool = False
    """Whether there is an attestation; none where older code pushed it."""
    signed: bool = False
    """Whether there is a signature: that it is gone must be seen."""


def numbered(folder: str) -> list[str]:
    """Paths of all that a server takes for a version, whole or not, that of the highest first.

    TensorFlow Serving reads names as whole numbers of 64 bits and looks at nothing else.
    """
    names = [name for name in paths.list_folder(folder) if _NUMBER.fullmatch(name)]
    numbers = [name for name in names if int(name) <= HIGHEST]
    return [paths.join(folder, name) for name in sorted(numbers, key=int, reverse=True)]


def versions(folder: str) -> list[str]:
    """Paths of the complete versions in the folder of a model, the newest first."""
    return [version for version in numbered(folder) if is_whole(version)]


def is_whole(version: str) -> bool:
    """Whether a folder holds a model, and not a part of one that is being written or was killed."""
    return paths.exists(paths.join(version, SAVED_MODEL))


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
    for name in sorted((found | added.keys()) - SAYS_WHERE_FROM):
        data = added[name] if name in added else paths.read_bytes(paths.join(folder, name))
        # Whoever reads a version must not trip over a name that is no text.
        digest.update(f"/{name} {len(data)}\n".encode(errors="surrogateescape"))
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
    except (ValueError, RecursionError):
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
