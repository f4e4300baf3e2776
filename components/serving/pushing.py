"""How a model becomes a version: whole or not at all, attested, and signed where a key is given.

A version is written in a folder of this machine first. One of this machine is then renamed, after
all of it is on the disk: neither a killed process nor a loss of power leaves half a version under a
number. A store knows no renaming; there `saved_model.pb`, without which nothing is a version, comes
last, and a number is claimed before, see `components.storage.claims`.
"""

import contextlib
import dataclasses
import json
import os
import random
import tempfile
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from components.errors import PipelineError
from components.runtime import Signing
from components.serving import versions
from components.serving.signing import attestation, bill, files, signer
from components.serving.versions import EXTRA, SAVED_MODEL, Provenance
from components.storage import claims, paths
from components.storage.locks import locked

_UNFINISHED = ".unfinished-"
_ATTEMPTS = 32
"""To claim a number; each draws it from twice as many as the one before, up to 2^16."""


def push(
    model: str,
    folder: str,
    added: Mapping[str, bytes],
    provenance: Provenance,
    *,
    predicate: Mapping[str, Any] | None = None,
    data: Mapping[str, Mapping[str, str]] | None = None,
    signing: Signing | None = None,
) -> str:
    """Makes a model the newest version of a folder; a server sees the whole of it or nothing.

    Args:
        model: folder of the SavedModel.
        folder: of the versions; made if it is not there.
        added: files to put into the version, by their paths below it.
        provenance: from what the model was made; `content`, `attested` and `signed` are filled in.
        predicate: how it came about, see `signing.attestation`; None where nobody knows.
        data: for a bill of materials: properties of the data sets, by name; None where the model
            has one already, or is another's.
        signing: with what it is signed; None: it is not.

    Returns:
        The path of the version. Its number is the time in seconds, but higher than those there.

    Raises:
        ConfigError: there is no such key.
        PipelineError: there is no higher number.
    """
    provenance = dataclasses.replace(
        provenance,
        content=versions.content(model, added),
        attested=True,
        signed=signing is not None,
    )
    text = json.dumps(dataclasses.asdict(provenance), indent=2)
    added = {**added, f"{EXTRA}/{versions.PROVENANCE}": text.encode()}
    if predicate is None:
        predicate = attestation.of_unknown(provenance)

    def write(version: str) -> None:
        _write(model, version, added)
        digests = files.survey(version).digests
        if data is not None:
            text = bill.write(os.path.basename(folder), provenance.content, digests, data)
            path = os.path.join(version, files.BILL_FILE)
            paths.write_text(path, text)
            digests[files.BILL_FILE] = files.sha256(path)
        paths.write_text(
            paths.join(version, files.ATTESTATION_FILE), attestation.write(digests, predicate)
        )
        if signing is not None:
            signer.sign(version, signing)

    paths.make_folder(folder)
    if not paths.is_remote(folder):
        # Two at once would take the same number, and clear away what the other is writing.
        with locked(Path(folder)):
            return _push_here(folder, write)
    with _claimed_number(folder) as number, tempfile.TemporaryDirectory() as staging:
        staged, version = os.path.join(staging, number), paths.join(folder, number)
        write(staged)
        paths.copy_tree(staged, version, without=[SAVED_MODEL])
        paths.copy_file(os.path.join(staged, SAVED_MODEL), paths.join(version, SAVED_MODEL))
        below = [name for name in claims.claimed_names(folder) if int(name) < int(number)]
        claims.forget(folder, below)
    return version


def remove_older(folder: str, keep: int, needed: Collection[str]) -> list[str]:
    """Removes complete versions of a folder, the oldest first, until `keep` are left.

    Args:
        folder: of the versions.
        keep: how many of the newest stay, at least 1.
        needed: numbers of those that stay in any case.

    Returns:
        The paths that were removed.
    """
    gone = [
        path for path in versions.versions(folder)[keep:] if os.path.basename(path) not in needed
    ]
    for version in reversed(gone):
        if paths.is_remote(folder):
            # Without its graph it is no version any more, whatever becomes of the rest.
            paths.remove_file(paths.join(version, SAVED_MODEL))
            paths.remove_tree(version)
        else:
            unfinished = _unfinished(folder)
            paths.rename(version, unfinished)
            paths.remove_tree(unfinished)
    return gone


def _highest(folder: str) -> int:
    """The highest number there, whole or not; -1 where there is none."""
    return max((int(os.path.basename(path)) for path in versions.numbered(folder)), default=-1)


def _next_number(folder: str) -> int:
    highest = _highest(folder)
    number = max(int(time.time()), highest + 1)
    if number > versions.HIGHEST:
        raise PipelineError(
            f"expected a version below the highest number that servers know; got {highest}; to "
            "fix, remove it"
        )
    return number


@contextlib.contextmanager
def _claimed_number(folder: str) -> Iterator[str]:
    """A number above all in a store's folder, which no other push can take."""
    for attempt in range(_ATTEMPTS):
        number = _next_number(folder) + random.randrange(2 ** min(attempt, 16))
        with claims.claimed(folder, str(number)) as is_own:
            # Who has pushed meanwhile, and let go of a claim, has left a version of a number.
            if is_own and _highest(folder) < number <= versions.HIGHEST:
                yield str(number)
                return
    raise PipelineError(
        f"expected a number for a version in {folder} that no other push claims; got none in "
        f"{_ATTEMPTS} attempts; to fix, push again when fewer do"
    )


def _unfinished(folder: str) -> str:
    """A path in the folder that no server takes for a version, and the next push clears away."""
    return paths.join(folder, f"{_UNFINISHED}{uuid.uuid4().hex}")


def _push_here(folder: str, write: Callable[[str], None]) -> str:
    number = str(_next_number(folder))
    for name in paths.list_folder(folder):
        if name.startswith(_UNFINISHED):  # A killed run left it.
            paths.remove_tree(paths.join(folder, name))
    unfinished, version = _unfinished(folder), paths.join(folder, number)
    try:
        # Under its own name, which is signed with it.
        staged = os.path.join(unfinished, number)
        write(staged)
        paths.flush_tree(staged)
        paths.rename(staged, version)
    finally:
        with contextlib.suppress(OSError):
            paths.remove_tree(unfinished)
    for above in (folder, os.path.dirname(folder.rstrip("/"))):  # Both may be new.
        paths.flush(above)
    return version


def _write(model: str, version: str, added: Mapping[str, bytes]) -> None:
    # What another version said of itself is not so of this one.
    stale = (files.ATTESTATION_FILE, files.SIGNATURE_FILE)
    paths.copy_tree(model, version, without=(SAVED_MODEL, *stale, *added))
    # A model without its graph is none.
    paths.copy_file(paths.join(model, SAVED_MODEL), paths.join(version, SAVED_MODEL))
    for name, data in added.items():
        path = paths.join(version, name)
        paths.make_folder(os.path.dirname(path))
        paths.write_bytes(path, data)
