"""Which version follows which: what a candidate measures up to, what is served, the way back.

A rollback copies an earlier version to a higher number. Every kind of server answers with the
highest, one that was started for a folder as one that polls a `models.config`, so nothing of theirs
has to be changed, and a version's number stays what it was. What a rollback has replaced it takes
back: it is no baseline any more, and a run that makes the same again is refused.
"""

import dataclasses
import os
from datetime import UTC, datetime

from components.errors import ConfigError, NotBlessedError, PipelineError
from components.runtime import Signing
from components.serving import models_config, pushing, versions
from components.serving.signing import attestation, files, signer, verification
from components.storage import paths


def now() -> str:
    """The time as a version's provenance has it: UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def baseline_version(folder: str, made_from: str) -> str | None:
    """The version that a candidate must measure up to: the newest that another run has pushed.

    What an unchanged run has pushed itself is passed over: repeated, it builds on the same as
    before, and everything it did is still valid. So is what a rollback took back.

    Args:
        folder: of the versions of a model, which need not be there.
        made_from: of this run, see `versions.Provenance`.
    """
    back = taken_back(folder)
    for version in versions.versions(folder):
        known = versions.read_provenance(version)
        is_own = known is not None and known.made_from == made_from
        if not is_own and os.path.basename(version) not in back:
            return version
    return None


def taken_back(folder: str) -> dict[str, str]:
    """The numbers of the versions that rollbacks replaced, each with that of its replacement."""
    found = {}
    for version in versions.versions(folder):
        known = versions.read_provenance(version)
        found |= dict.fromkeys(known.took_back if known else (), os.path.basename(version))
    return found


def require_not_taken_back(folder: str, made_from: str) -> None:
    """Refuses a candidate that is made from the same as one that a rollback replaced.

    Pushed again, it would silently undo what a person decided. A later rollback to it lifts that.

    Args:
        folder: of the versions of a model, which need not be there.
        made_from: of the candidate, see `versions.Provenance`.

    Raises:
        NotBlessedError: naming both versions.
    """
    for version in versions.versions(folder):
        known = versions.read_provenance(version)
        if known is None:
            continue
        if known.made_from == made_from:
            return
        for number, replaced in known.took_back.items():
            if replaced == made_from:
                raise NotBlessedError(
                    f"expected a candidate that nobody took back; got the one of version {number}, "
                    f"which a rollback replaced by {version} on {known.pushed_at}; to fix, train "
                    "on other data or with other options, or serve it again: "
                    f"`python -m pipeline rollback {number}`"
                )


def require_served(version: str, folder: str, pushed: str = "") -> str:
    """Refuses to call a model served unless it is what a server answers with.

    Args:
        version: where it was pushed.
        folder: of the versions of the served model.
        pushed: the hash of what was pushed, see `versions.content`; empty where it is not known.

    Returns:
        The version that serves it: the one it was pushed to, or a copy that a rollback made.

    Raises:
        PipelineError: another version has a higher number, or it is gone or was changed, or the
            servers' own configuration names others.
    """
    highest = next(iter(versions.numbered(folder)), None)
    pinned = models_config.pinned(folder)
    if highest is None:
        got = "no version there"
    elif not versions.is_whole(highest):
        got = f"{highest}, which a server would try to load and which holds no model"
    elif os.path.basename(version) not in (os.path.basename(highest), _copied_from(highest)):
        got = highest
    elif not versions.is_unharmed(highest) or pushed not in ("", versions.content(highest)):
        got = "other files there"
    elif pinned is not None and int(os.path.basename(highest)) not in pinned:
        got = f"{models_config.path(folder)}, by which servers load {sorted(pinned)} alone"
    else:
        return highest
    raise PipelineError(
        f"expected {folder} to serve this blessed model, which was pushed to {version}; got {got}; "
        "to fix, push it again: the same command with --from-node Pusher --no-cache"
    )


def _copied_from(version: str) -> str | None:
    known = versions.read_provenance(version)
    return known.republished if known else None


def find(folder: str, number: str | None) -> str:
    """The version that a rollback goes back to.

    Args:
        folder: of the versions of a served model, of which there are some.
        number: of the version; None for the newest before the one that is served that answers
            otherwise and was not taken back.

    Returns:
        Its path.

    Raises:
        ConfigError: there is none, or it is served, or its files are not those that were pushed.
    """
    known = {os.path.basename(path): path for path in versions.versions(folder)}
    served = next(iter(known.values()))
    if number is None:
        current, back = versions.content(served), taken_back(folder)
        for other, path in known.items():
            is_candidate = other not in back and versions.is_unharmed(path)
            if is_candidate and versions.content(path) != current:
                return path
        raise ConfigError(
            f"expected a version in {folder} before {served} that is whole, not taken back and "
            "another model; got none; to fix, name the version to go back to"
        )
    path = known.get(number)
    if path in (None, served):
        raise ConfigError(
            f"expected a version that is not served, one of {', '.join(list(known)[1:]) or 'none'}"
            f"; got {number}; to fix, choose one by `python -m pipeline history`"
        )
    if not versions.is_unharmed(path):
        raise ConfigError(
            f"expected a version whose files are those that were pushed; got {path}, whose are "
            "not, or which something else put there; to fix, choose another one"
        )
    return path


def require_verified(target: str, signing: Signing | None) -> None:
    """Refuses to put a signature under files that were changed, or that it was not under before.

    Args:
        target: path of a version.
        signing: with what a copy of it will be signed; None: it will not be.

    Raises:
        ConfigError: naming what is wrong.
    """
    verifier = signer.own(signing) if signing is not None else None
    found = verification.examine(target, verifier)
    if found.faults:
        raise ConfigError(
            f"expected a version that is what was pushed; got {target}: {found.faults[0]}; to fix, "
            "choose another one, or, if this key has not signed it, take signing out of the "
            "environment: the copy is unsigned then"
        )


def roll_back(folder: str, target: str, signing: Signing | None = None) -> str:
    """Serves an earlier version again, as a copy of a higher number.

    Args:
        folder: of the versions of a served model.
        target: path of the version, see `find`.
        signing: with what the copy is signed; None: it is not.

    Returns:
        The path of the copy.

    Raises:
        ConfigError: the version is not what was pushed, or another's key has signed it.
        PipelineError: there is no higher number.
    """
    require_verified(target, signing)
    known = versions.read_provenance(target)
    number = os.path.basename(target)
    replaced = {}
    for version in versions.versions(folder):
        if version == target:
            break
        other = versions.read_provenance(version)
        replaced[os.path.basename(version)] = other.made_from if other else ""
    provenance = dataclasses.replace(
        known, republished=known.republished or number, took_back=replaced, pushed_at=now()
    )
    said = paths.join(target, files.ATTESTATION_FILE)
    return pushing.push(
        target,
        folder,
        {},
        provenance,
        predicate=attestation.republished(paths.read_text(said), provenance)
        if paths.exists(said)
        else None,
        signing=signing,
    )
