"""Finds official checkpoints: in a folder, in an archive, behind an address."""

import hashlib
import os
import re
import tarfile
import tempfile
import urllib.request
import zlib
from pathlib import Path

import keras

from models.variants import OFFICIAL_CHECKPOINTS

_CHUNK = 1 << 20


def find_prefix(path: str, cache: Path) -> str:
    """The prefix of the checkpoint that a path, an address or a name stands for.

    Args:
        path: Prefix, folder, .tar.gz, http(s) address of one, or a name in
            `models.variants.OFFICIAL_CHECKPOINTS`.
        cache: Folder that downloads and unpacked archives stay in.

    Raises:
        OSError: There is nothing at `path`, or it could not be downloaded.
        ValueError: The archive is damaged or unsafe, or not exactly one checkpoint is there.
    """
    path = OFFICIAL_CHECKPOINTS.get(path, path)
    if path.startswith(("http://", "https://")):
        path = os.fspath(_download(path, cache))
    if path.endswith((".tar.gz", ".tgz")):
        path = os.fspath(_unpack(Path(path), cache))
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


def _download(url: str, cache: Path) -> Path:
    """The file at an address, downloaded unless the cache has it; never half of it."""
    target = cache / f"{_digest(url)}-{url.rsplit('/', 1)[-1]}"
    if target.exists():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        part = Path(folder) / target.name
        try:
            with urllib.request.urlopen(url, timeout=60) as response, part.open("wb") as file:
                size = int(response.headers.get("Content-Length") or 0)
                progress = keras.utils.Progbar(size or None, unit_name="byte")
                while chunk := response.read(_CHUNK):
                    file.write(chunk)
                    progress.update(file.tell())
        except OSError as error:
            raise OSError(
                f"expected a checkpoint at {url}; got {error}; to fix, check the connection, or "
                "fetch the file by other means and give its path"
            ) from error
        if size and part.stat().st_size != size:
            raise OSError(
                f"expected {size} bytes from {url}; got {part.stat().st_size}; to fix, try again"
            )
        os.replace(part, target)
    return target


def _unpack(archive: Path, cache: Path) -> Path:
    """The folder with an archive's content, unpacked unless the cache has it; never half of it."""
    if not archive.exists():
        raise nothing_at(os.fspath(archive))
    state = archive.stat()
    target = cache / _digest(f"{archive.resolve()} {state.st_size} {state.st_mtime_ns}")
    if target.exists():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        try:
            with tarfile.open(archive) as tar:
                # Refuses members that would leave the folder.
                tar.extractall(Path(folder) / "content", filter="data")
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise ValueError(
                f"expected a whole and harmless .tar.gz at {archive}; got {error}; to fix, "
                "download it again from its publisher"
            ) from error
        try:
            os.replace(Path(folder) / "content", target)
        except OSError:
            # Another process that unpacks the same archive may have been faster.
            if not target.exists():
                raise
    return target


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
