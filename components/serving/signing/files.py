"""Which files a version has, with their hashes, and what has no place in it."""

import dataclasses
import hashlib
import os

from components.serving.versions import ATTESTATION, BILL, EXTRA, SIGNATURE
from components.storage.paths import CHUNK

BILL_FILE = f"{EXTRA}/{BILL}"
ATTESTATION_FILE = f"{EXTRA}/{ATTESTATION}"
SIGNATURE_FILE = f"{EXTRA}/{SIGNATURE}"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """All that lies in a version on this machine."""

    digests: dict[str, str]
    """SHA-256 in hexadecimal digits by the path below the version, sorted, parted by `/`."""

    faults: tuple[str, ...]
    """A sentence for each thing that no push leaves: links, empty folders, what is no file."""


def survey(version: str) -> Survey:
    """Reads every file of a folder; follows no links."""
    digests: dict[str, str] = {}
    faults: list[str] = []
    if os.path.islink(version):
        faults.append("the version itself is a link")
    else:
        _look_into(version, "", digests, faults)
    return Survey(digests=dict(sorted(digests.items())), faults=tuple(sorted(faults)))


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """A sentence for each file that was added, is missing or has other bytes.

    Args:
        expected: hashes by path, as somebody has said.
        found: those that are there.
    """
    kinds = {
        "was added": found.keys() - expected.keys(),
        "is missing": expected.keys() - found.keys(),
        "was changed": {
            name for name in found.keys() & expected.keys() if found[name] != expected[name]
        },
    }
    return [f"{shown(name)} {kind}" for kind, names in kinds.items() for name in sorted(names)]


def shown(name: str) -> str:
    """A path as a terminal can show it, whatever bytes somebody has named a file with."""
    return name if name.isprintable() else ascii(name)


def _look_into(folder: str, below: str, digests: dict[str, str], faults: list[str]) -> None:
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        faults.append(f"{shown(below) or 'the version'} cannot be read ({error.strerror})")
        return
    if not entries:
        faults.append(f"{shown(below) or 'the version'} is an empty folder")
    for entry in entries:
        name = f"{below}/{entry.name}" if below else entry.name
        if entry.is_symlink():
            faults.append(f"{shown(name)} is a link")
        elif entry.is_dir():
            _look_into(entry.path, name, digests, faults)
        elif entry.is_file():
            try:
                digests[name] = sha256(entry.path)
            except OSError as error:
                faults.append(f"{shown(name)} cannot be read ({error.strerror})")
        else:
            faults.append(f"{shown(name)} is neither a file nor a folder")


def sha256(path: str) -> str:
    """Of a file of this machine, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
