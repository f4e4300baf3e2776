"""Finds the weights that a network begins with: files, archives, addresses, served models.

Used before a run, so that nothing here imports TensorFlow unless a path is of a store, and again
by the step itself.
"""

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from components.errors import ConfigError, DownloadFailedError
from components.initial_weights.official import OFFICIAL_CHECKPOINTS
from components.initial_weights.options import InitialWeightsOptions
from components.serving import exported, versions
from components.storage import paths
from components.storage.archives import ArchiveError, unpack
from components.storage.downloads import DownloadError, digests, download
from components.storage.locks import locked

DEFAULT_CACHE = Path(os.path.expanduser("~/.cache/deeplab"))
"""Folder that downloads and unpacked archives stay in."""

_SERVED = "served"
_ADDRESS = ("http://", "https://")
_ARCHIVE = (".tar.gz", ".tgz")
_KERAS = ".weights.h5"
_SHARD = re.compile(r"\.data-(\d{5})-of-(\d{5})")
# What files of these kinds end or begin with, by the formats of LevelDB's tables and of HDF5.
_INDEX_END = bytes.fromhex("57fb808b247547db")
_HDF5_START = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True, kw_only=True)
class Found:
    """Weights that are there."""

    source: str
    """What the options say."""
    path: str
    """Prefix of a checkpoint or a `.weights.h5`, both on this machine, or the folder of an exported
    model, which may be in a store."""
    identity: str | None = None
    """That of the exported model; None for a checkpoint."""

    def files(self) -> list[str]:
        """The files of a checkpoint, sorted."""
        if self.path.endswith(_KERAS):
            return [self.path]
        return _files_of(self.path)


def find(
    options: InitialWeightsOptions, *, served: str, name: str, cache: Path = DEFAULT_CACHE
) -> Found | None:
    """Finds what the options' source stands for, downloaded and unpacked if need be.

    Args:
        options: See there.
        served: Folder of all served models, here or in a store.
        name: Of the model that `served` alone stands for: its versions are `<served>/<name>/*`.
        cache: Folder that downloads and unpacked archives stay in.

    Returns:
        None where the options name no source.

    Raises:
        ConfigError: There is nothing, something else or something damaged, or no one checkpoint.
        DownloadFailedError: It could not be downloaded, or what came is no good.
    """
    source = options.source
    if source is None:
        return None
    try:
        if source == _SERVED or source.startswith(f"{_SERVED}:"):
            path = _newest_version(paths.join(served, source.partition(":")[2] or name))
            _refuse_sha256(options, path)
        else:
            path = _find(options, cache)
        if exported.is_exported(path):
            identity = exported.read_description(path)["identity"]
            return Found(source=source, path=_here(path, identity, cache), identity=identity)
        return Found(source=source, path=path)
    except DownloadError as error:
        raise DownloadFailedError(f"initial_weights.source: {error}") from error
    except (OSError, ValueError, ConfigError) as error:
        raise ConfigError(f"initial_weights.source: {error}") from error


def digest(found: Found | None) -> str:
    """What tells weights from others: an exported model's identity, else a hash of file states.

    Args:
        found: What `find` gave; the hash is of name, size and time of its files.

    Returns:
        Hexadecimal digits; empty for None.
    """
    if found is None:
        return ""
    return found.identity or _hash_of_states(found.files())


def state(options: InitialWeightsOptions, *, served: str, name: str) -> str:
    """What tells weights from others, without fetching them: for where they are used elsewhere.

    An address stands for what lies there: files there are known by `sha256`, or do not change.

    Args:
        options: See there.
        served: See `find`.
        name: See `find`.

    Returns:
        Hexadecimal digits; empty where the options name no source.

    Raises:
        ConfigError: There are none, or no one checkpoint.
    """
    path = OFFICIAL_CHECKPOINTS.get(options.source, options.source)
    if path is not None and path.startswith(_ADDRESS):
        return _hash(f"{path} {options.sha256}", 16)
    if path is not None and paths.is_remote(path) and not exported.is_exported(path):
        try:
            return _hash_of_states(_remote_files(path)[0])
        except (OSError, ValueError) as error:
            raise ConfigError(f"initial_weights.source: {error}") from error
    return digest(find(options, served=served, name=name))


def _find(options: InitialWeightsOptions, cache: Path) -> str:
    """The path of what is no served model."""
    path = OFFICIAL_CHECKPOINTS.get(options.source, options.source)
    is_address = path.startswith(_ADDRESS)
    if is_address:
        path = _downloaded(path, options, cache)
    elif paths.is_remote(path):
        path = _fetched(path, options.max_bytes, cache)
    else:
        path = os.path.abspath(os.path.expanduser(path))
    if not path.endswith((*_ARCHIVE, _KERAS)):
        _refuse_sha256(options, path)
    elif not os.path.isfile(path):
        raise _nothing_at(path)
    elif options.sha256 and not is_address:
        _check_sha256(Path(path), options.sha256)
    if path.endswith(_ARCHIVE):
        path = _unpacked(Path(path), options.max_bytes, cache, is_address)
    if path.endswith(_KERAS):
        _check_content(path, Path(path).open("rb").read(len(_HDF5_START)) == _HDF5_START, "HDF5")
        return path
    if exported.is_exported(path):
        return path
    prefix = _prefix_at(path)
    _check_whole(prefix)
    return prefix


def _newest_version(folder: str) -> str:
    """The version that a server answers with.

    Raises:
        ConfigError: There is none.
    """
    version = versions.newest_version(folder)
    if version is None:
        raise ConfigError(
            f"expected a served model in {folder}; got no version there; to fix, push one first, "
            "or give another source"
        )
    return version


def _downloaded(address: str, options: InitialWeightsOptions, cache: Path) -> str:
    name = urlsplit(address).path.rsplit("/", 1)[-1]
    if not name.endswith((*_ARCHIVE, _KERAS)):
        raise ValueError(
            f"expected an address of a {', '.join(_ARCHIVE)} or {_KERAS}; got {address}; to fix, "
            "give that of the file itself"
        )
    target = cache / f"{_hash(address)}-{name}"
    checksums = {"sha256": options.sha256} if options.sha256 else None
    return os.fspath(download([address], target, max_bytes=options.max_bytes, checksums=checksums))


def _fetched(path: str, max_bytes: int, cache: Path) -> str:
    """A copy on this machine of a checkpoint, archive or `.weights.h5` in a store.

    The folder of an exported model, which is read where it is, stays what it is.
    """
    if exported.is_exported(path):
        return path
    files, name = _remote_files(path)
    total = sum(paths.size_and_time(file)[0] for file in files)
    if total > max_bytes:
        raise ValueError(
            f"expected at most {max_bytes:,} bytes at {path}; got {total:,}; to fix, raise "
            "initial_weights.max_bytes"
        )
    folder = cache / f"{_hash(path)}-{_hash_of_states(files)}"

    def fetch(part: Path) -> None:
        part.mkdir()
        for file in files:
            paths.copy_file(file, os.fspath(part / os.path.basename(file)))

    _keep(folder, fetch)
    return os.fspath(folder / name)


def _here(path: str, identity: str, cache: Path) -> str:
    """An exported model as TensorFlow can read it: a copy of one in a store of S3."""
    if not path.startswith(("s3://", "minio://")):
        return path
    folder = cache / f"exported-{_hash(f'{path} {identity}')}" / os.path.basename(path)
    _keep(folder, lambda part: paths.copy_tree(path, os.fspath(part)))
    return os.fspath(folder)


def _keep(folder: Path, fetch: Callable[[Path], None]) -> None:
    """Makes a folder of the cache, whole or not at all, unless it is there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        if not folder.exists():
            part = paths.beside(folder, ".part")
            paths.remove_tree(os.fspath(part))  # what a killed process left
            fetch(part)
            os.replace(part, folder)


def _remote_files(path: str) -> tuple[list[str], str]:
    """The files of a checkpoint, archive or `.weights.h5` in a store, and what it is called."""
    if not path.endswith((*_ARCHIVE, _KERAS)):
        prefix = _prefix_at(path)
        return _files_of(prefix), os.path.basename(prefix)
    if not paths.exists(path):
        raise _nothing_at(path)
    return [path], os.path.basename(path)


def _unpacked(archive: Path, max_bytes: int, cache: Path, is_download: bool) -> str:
    """The folder with an archive's content; another one as soon as the archive changes."""
    folder = cache / _hash(f"{archive} {paths.size_and_time(os.fspath(archive))}")
    try:
        return os.fspath(unpack(archive, folder, max_bytes=max_bytes))
    except ArchiveError as error:
        if not is_download:
            raise
        archive.unlink()  # Else the next run would find the same damage.
        raise DownloadError(str(error)) from error


def _prefix_at(path: str) -> str:
    """The prefix of the checkpoint that a folder holds, or that a prefix or a file of it names."""
    prefix = re.sub(rf"(\.index|{_SHARD.pattern})$", "", path)
    if paths.exists(f"{prefix}.index"):
        return prefix
    if paths.is_folder(path):
        found = [file for file in paths.walk_files(path) if file.endswith(".index")]
        if len(found) != 1:
            names = ", ".join(map(os.path.basename, found))
            raise ValueError(
                f"expected one checkpoint in {path}; got {names or 'none'}; to fix, "
                "give the prefix of one, as in model.ckpt-30000"
            )
        return found[0].removesuffix(".index")
    raise _nothing_at(prefix)


def _files_of(prefix: str) -> list[str]:
    """The files of a checkpoint, sorted."""
    folder, name = os.path.split(prefix)
    return [
        paths.join(folder, file)
        for file in paths.list_folder(folder)
        if file == f"{name}.index"
        or (file.startswith(name) and _SHARD.fullmatch(file.removeprefix(name)))
    ]


def _check_whole(prefix: str) -> None:
    """Refuses a checkpoint with a damaged index or without some of its shards."""
    index = Path(f"{prefix}.index").read_bytes()
    _check_content(f"{prefix}.index", index.endswith(_INDEX_END), "a TensorFlow checkpoint")
    shards = {match[1]: match[2] for file in _files_of(prefix) if (match := _SHARD.search(file))}
    counts = set(shards.values())
    if len(counts) != 1 or len(shards) != int(*counts):
        raise ValueError(
            f"expected all files {prefix}.data-*; got {len(shards) or 'none'} of "
            f"{' or '.join(map(str, map(int, sorted(counts)))) or 'at least one'}; to fix, copy "
            "them all beside the .index"
        )


def _check_content(path: str, is_good: bool, kind: str) -> None:
    if not is_good:
        raise ValueError(
            f"expected {kind} at {path}; got {os.path.getsize(path):,} bytes of something else, or "
            "of a file that was cut off; to fix, download or copy it again"
        )


def _refuse_sha256(options: InitialWeightsOptions, path: str) -> None:
    if options.sha256:
        raise ValueError(
            f"expected a {', '.join(_ARCHIVE)} or {_KERAS} for initial_weights.sha256; got {path}; "
            "to fix, leave sha256 out"
        )


def _check_sha256(file: Path, wanted: str) -> None:
    found = digests(file, ["sha256"])["sha256"]
    if found != wanted.lower():
        raise ValueError(
            f"expected {file} of SHA-256 {wanted}; got {found}; to fix, copy it again, or correct "
            "initial_weights.sha256"
        )


def _nothing_at(path: str) -> FileNotFoundError:
    return FileNotFoundError(
        f"expected a checkpoint at {path}; got no such file; to fix, give the prefix, folder, "
        f".tar.gz or address of one, or a name among {', '.join(OFFICIAL_CHECKPOINTS)}"
    )


def _hash_of_states(files: list[str]) -> str:
    lines = [f"{os.path.basename(file)} {paths.size_and_time(file)}\n" for file in files]
    return _hash("".join(lines), 16)


def _hash(text: str, digits: int = 12) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]
