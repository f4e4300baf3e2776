"""Finds official checkpoints: in a folder, in an archive, behind an address."""

import hashlib
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from components.storage.archives import unpack
from components.storage.downloads import download
from models.variants import OFFICIAL_CHECKPOINTS

# Far above any official checkpoint: it stops archives that are made to fill the disk.
_MAX_BYTES = 4 << 30


def find_prefix(path: str, cache: Path) -> str:
    """The prefix of the checkpoint that a path, an address or a name stands for.

    Args:
        path: Prefix, folder, .tar.gz, http(s) address of one, or a name in
            `models.variants.OFFICIAL_CHECKPOINTS`.
        cache: Folder that downloads and unpacked archives stay in.

    Raises:
        OSError: There is nothing at `path`, or it could not be downloaded.
        ValueError: The archive is damaged, unsafe or too large, or not exactly one checkpoint is
            there.
    """
    path = OFFICIAL_CHECKPOINTS.get(path, path)
    if path.startswith(("http://", "https://")):
        name = urlsplit(path).path.rsplit("/", 1)[-1]
        target = cache / f"{_digest(path)}-{name}"
        path = os.fspath(download([path], target))
    if path.endswith((".tar.gz", ".tgz")):
        path = os.fspath(_unpacked(Path(path), cache))
    if os.path.isdir(path):
        found = sorted(Path(path).rglob("*.index"))
        if len(found) != 1:
            names = ", ".join(file.name for file in found)
            raise ValueError(
                f"expected one checkpoint in {path}; got {names or 'none'}; to fix, "
                "give the prefix of one, as in model.ckpt-30000"
            )
        path = os.fspath(found[0])
    prefix = re.sub(r"\.(index|data-\d+-of-\d+)$", "", path)
    if not os.path.exists(prefix + ".index"):
        raise nothing_at(prefix)
    return prefix


def nothing_at(path: str) -> FileNotFoundError:
    """The error for a path that leads nowhere."""
    return FileNotFoundError(
        f"expected a checkpoint at {path}; got no such file; to fix, give the prefix, folder, "
        f".tar.gz or address of one, or a name among {', '.join(OFFICIAL_CHECKPOINTS)}"
    )


def _unpacked(archive: Path, cache: Path) -> Path:
    """The folder with an archive's content; another one as soon as the archive changes."""
    if not archive.exists():
        raise nothing_at(os.fspath(archive))
    state = archive.stat()
    digest = _digest(f"{archive.resolve()} {state.st_size} {state.st_mtime_ns}")
    return unpack(archive, cache / digest, max_bytes=_MAX_BYTES)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
