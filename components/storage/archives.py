"""Unpacks archives: a folder appears whole, with nothing that leads out of it, or not at all."""

import gzip
import os
import secrets
import shutil
import stat
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from components.progress import bar
from components.storage.locks import locked
from components.storage.paths import CHUNK, beside

_LONGEST_LINK = 4096  # PATH_MAX
_ZIP_KINDS = {0: "file", stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}
# What `gzip`, `tarfile`, `zipfile` and the system raise for archives that are no good.
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    struct.error,
    EOFError,
    IndexError,
    OverflowError,
    RuntimeError,
    ValueError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
)


class ArchiveError(ValueError):
    """An archive is damaged, unsafe or too large."""


def unpack(archive: Path, folder: Path, *, max_bytes: int) -> Path:
    """Unpacks a .tar, .tar.gz or .zip, known by its content; a folder that is there stays as it is.

    Links to places within the folder are kept, owners and modes are not. While it is made, the
    folder is `x.part`, and `x.lock` keeps other processes away.

    Args:
        archive: The file.
        folder: Where its members go.
        max_bytes: What they may take; more is refused.

    Returns:
        `folder`.

    Raises:
        ArchiveError: The archive is damaged, has members or links that would leave the folder,
            special files, or more than `max_bytes`. There is no folder then.
        OSError: The archive cannot be read, or the folder cannot be written.
    """
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = beside(folder, ".part")
    with locked(folder):
        if folder.exists():  # another process made it while this one waited
            return folder
        shutil.rmtree(staging, ignore_errors=True)  # what a killed process left
        try:
            # A name that no link can know: `../x.part/file` would lead out once it is renamed.
            content = staging / secrets.token_hex()
            content.mkdir(parents=True)
            _extract(archive, content.resolve(), max_bytes)
            os.replace(content, folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return folder


@dataclass(frozen=True)
class _Member:
    """An entry of a .tar or a .zip."""

    name: str
    kind: Literal["file", "folder", "link", "hard link"]
    target: str
    size: int
    mtime: float
    open: Callable[[], IO[bytes]]


def _extract(archive: Path, folder: Path, max_bytes: int) -> None:
    """Unpacks into an empty folder; the rules are the same for both formats, and our own.

    `tarfile`'s filter "data" makes absolute names relative, and its view of links had to be mended
    several times; `zipfile` renames what would leave the folder, and knows no links.
    """
    links: dict[Path, str] = {}
    name, total = "", 0
    length = archive.stat().st_size
    with archive.open("rb") as file, bar(f"Unpacking {archive.name}", length) as show:
        try:
            for member in _members(file, max_bytes):
                name = member.name
                path = _inside(folder, name)
                parent = path if member.kind == "folder" else path.parent
                parent.mkdir(parents=True, exist_ok=True)
                if member.kind == "link":
                    # Made at the end, so that nothing is written through one.
                    links[path] = member.target
                elif member.kind != "folder":
                    size, content = _content(member, folder)
                    total += size
                    _check_total(total, max_bytes)
                    _write(path, content, size, lambda: show(file.tell()))
                    # What is cached by the time of a file stays valid when it is unpacked again.
                    os.utime(path, (member.mtime, member.mtime))
                name = ""
            for path, target in links.items():
                name = os.fspath(path.relative_to(folder))
                path.symlink_to(target)
            for path, target in links.items():
                name = os.fspath(path.relative_to(folder))
                _check_link(path, target, folder)
        except _DAMAGE as error:
            cause = str(error) or "an end in the middle"
            raise ArchiveError(
                f"expected a whole and harmless archive of at most {max_bytes:,} bytes unpacked at "
                f"{archive}; got {f'in member {name!r} ' if name else ''}{cause}; to fix, download "
                "it again from its publisher, or unpack it by other means if you trust it"
            ) from error


def _members(file: IO[bytes], max_bytes: int) -> Iterator[_Member]:
    start = file.read(4)
    file.seek(0)
    if start in (b"PK\3\4", b"PK\5\6"):
        return _zip_members(file)
    return _tar_members(file, start[:2] == b"\x1f\x8b", max_bytes)


def _zip_members(file: IO[bytes]) -> Iterator[_Member]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if info.header_offset < 0:
                raise ArchiveError(f"{info.filename!r}, ahead of the first byte")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                # Of the other methods, Python unpacks a chunk into memory however large it gets.
                raise ArchiveError(f"{info.filename!r}, compressed by another method than deflate")
            kind = _ZIP_KINDS.get(stat.S_IFMT(info.external_attr >> 16))
            if kind is None:
                raise ArchiveError(f"{info.filename!r}, a device or another special file")
            if info.is_dir():
                kind = "folder"
            content, target = partial(archive.open, info), ""
            if kind == "link":
                with content() as source:
                    target = os.fsdecode(source.read(_LONGEST_LINK))
            mtime = time.mktime((*info.date_time, 0, 0, -1))
            yield _Member(info.filename, kind, target, info.file_size, mtime, content)


def _tar_members(file: IO[bytes], is_gzip: bool, max_bytes: int) -> Iterator[_Member]:
    stream = _TarStream(gzip.GzipFile(fileobj=file) if is_gzip else file)
    try:
        tar = tarfile.open(fileobj=stream, mode="r:", tarinfo=_StrictInfo)
    except tarfile.ReadError as error:
        raise ArchiveError(f"neither a .tar, a .tar.gz nor a .zip ({error})") from error
    with tar:
        for info in tar:
            if info.size < 0:  # Older Pythons would go back by as much, and never come to an end.
                raise ArchiveError(f"{info.name!r} of impossible size {info.size}")
            if info.isreg():
                kind = "file"
            elif info.isdir():
                kind = "folder"
            elif info.issym() or info.islnk():
                kind = "link" if info.issym() else "hard link"
            else:
                raise ArchiveError(f"{info.name!r}, a device or another special file")
            content = partial(tar.extractfile, info)
            yield _Member(info.name, kind, info.linkname, info.size, info.mtime, content)
        # The checksum of a .gz is at its end, behind zeros that fill up the last block.
        zeros = 0
        while chunk := stream.read(CHUNK):
            zeros += len(chunk)
            _check_total(zeros, max_bytes + CHUNK)


class _TarStream:
    """A .tar as `tarfile` reads it: with a long name or further fields in one piece of memory."""

    def __init__(self, file: IO[bytes]):
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        """Some bytes, of which there may not be as many as a garbled header says."""
        if not 0 <= size <= 2 * CHUNK:
            raise tarfile.ReadError(f"a header of impossible size {size}")
        return self._file.read(size)


class _StrictInfo(tarfile.TarInfo):
    """A header of a .tar, checked where `tarfile` itself is too trusting."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> tarfile.TarInfo:
        """As in the base class, but a cut or garbled header is not taken for the end."""
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"{error} where a member should be") from error


def _inside(folder: Path, name: str) -> Path:
    if name.startswith("/") or ".." in PurePosixPath(name).parts:
        raise ArchiveError("a name that leaves the folder")
    return folder / name


def _content(member: _Member, folder: Path) -> tuple[int, Callable[[], IO[bytes]]]:
    """Size and bytes of a file; a hard link gets a copy of what it leads to."""
    if member.kind == "file":
        return member.size, member.open
    origin = _inside(folder, member.target)
    if not origin.is_file():
        raise ArchiveError(f"a hard link to {member.target!r}, where no file is")
    return origin.stat().st_size, partial(origin.open, "rb")


def _check_total(total: int, max_bytes: int) -> None:
    if total > max_bytes:
        raise ArchiveError(f"more, at least {total:,} bytes")


def _write(
    path: Path, content: Callable[[], IO[bytes]], size: int, show: Callable[[], None]
) -> None:
    with content() as source, path.open("wb") as file:
        # Neither format's reader gives more than the size in the header.
        while chunk := source.read(CHUNK):
            file.write(chunk)
            show()
        if file.tell() != size:
            raise ArchiveError(f"other than the {size} bytes that its header says")


def _check_link(path: Path, target: str, folder: Path) -> None:
    # `strict` also refuses loops, and what is too long to be resolved.
    try:
        inside = path.resolve(strict=True).is_relative_to(folder)
    except (OSError, RuntimeError) as error:
        raise ArchiveError(f"a link to {target!r}, where nothing is") from error
    if os.path.isabs(target) or not inside:
        raise ArchiveError(f"a link to {target!r}, out of the folder")
