"""Fetches files and unpacks archives: each appears whole and checked, or not at all.

Beside a target `x` lie, while it is made: `x.part`, the bytes so far; `x.part.json`, the address
they are from; `x.lock`, which keeps other processes away.
"""

import contextlib
import fcntl
import gzip
import hashlib
import http.client
import json
import os
import re
import secrets
import shutil
import stat
import struct
import sys
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from absl import logging
from rich import progress
from rich.console import Console

_CHUNK = 1 << 20
_TIMEOUT = 60.0
_PAUSE = 1.0  # seconds before the second try; doubled before each further one
_LONGEST_LINK = 4096  # PATH_MAX
_TRY_AGAIN = {408, 429}  # HTTP statuses below 500 that may pass
# Headers of a .tar whose content is read into memory.
_LONG_NAMES = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
# What `tarfile`, `zipfile` and the system raise for archives that are no good.
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    gzip.BadGzipFile,
    EOFError,
    RuntimeError,
    ValueError,
    struct.error,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
)


class DownloadError(OSError):
    """Nothing usable could be fetched."""


class ArchiveError(ValueError):
    """An archive is damaged, unsafe or too large."""


def download(
    urls: Sequence[str],
    target: Path,
    *,
    size: int | None = None,
    checksums: Mapping[str, str] | None = None,
    attempts: int = 3,
) -> Path:
    """Fetches a file, unless it is there and right; goes on where an earlier try broke off.

    Args:
        urls: http(s) addresses of the same file, tried in this order.
        target: Where the file goes. A wrong one that is there is removed, with a warning.
        size: How many bytes it must have; None where it is not known.
        checksums: Hexadecimal digests that it must have, by the name of the hash in `hashlib`.
        attempts: Tries at each address, where trying again may help.

    Returns:
        `target`.

    Raises:
        DownloadError: No address gave the right file, or it could not be written.
        ValueError: An address is not http(s), or a hash is unknown.
    """
    checksums = {name: digest.lower() for name, digest in (checksums or {}).items()}
    for name in checksums:
        hashlib.new(name, usedforsecurity=False)  # fails now for an unknown one, not after hours
    for url in urls:
        if not url.startswith(("http://", "https://")):
            raise ValueError(
                f"expected http(s) addresses for {target.name}; got {url!r}; to fix, give its path"
            )
    try:
        with contextlib.suppress(FileNotFoundError):
            if _mismatch(target, size, checksums) is None:
                return target
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target):
            # Another process may have fetched it while this one waited for the lock.
            if target.exists():
                wrong = _mismatch(target, size, checksums)
                if wrong is None:
                    return target
                expected = _describe(target, size, checksums)
                logging.warning("Expected %s; got %s; fetching it again", expected, wrong)
                target.unlink()
            _from_mirrors(urls, target, size, checksums, attempts)
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(
            f"expected to write {target}; got {error}; to fix, make room for it or choose another "
            "folder"
        ) from error
    return target


def unpack(archive: Path, folder: Path, *, max_bytes: int) -> Path:
    """Unpacks a .tar, .tar.gz or .zip, told by its content; a folder that is there stays as it is.

    Links to places within the folder are kept, owners and modes are not.

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
    staging = _beside(folder, ".part")
    with _locked(folder):
        if folder.exists():
            return folder
        # What a killed process left.
        shutil.rmtree(staging, ignore_errors=True)
        try:
            # A name that no link can know: `../x.part/file` would lead out once it is renamed.
            content = staging / secrets.token_hex()
            content.mkdir(parents=True)
            _extract(archive, content.resolve(), max_bytes)
            os.replace(content, folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return folder


# Downloads


class _MirrorError(Exception):
    """What came in place of the file."""

    def __init__(self, got: str, *, again: bool = False):
        super().__init__(got)
        self.again = again  # whether the same address may have it at the next try


def _from_mirrors(
    urls: Sequence[str], target: Path, size: int | None, checksums: dict[str, str], attempts: int
) -> None:
    part = _beside(target, ".part")
    causes = []
    for url in urls:
        logging.info("Downloading %s from %s", target.name, url)
        try:
            _from_mirror(url, part, size, checksums, attempts)
        except _MirrorError as failure:
            logging.warning("%s gave %s", url, failure)
            causes.append(f"from {url}: {failure}")
            continue
        os.replace(part, target)
        _source_of(part).unlink(missing_ok=True)
        return
    raise DownloadError(
        f"expected {_describe(target, size, checksums)}; got {'; '.join(causes) or 'no address'}; "
        "to fix, check the connection, or fetch the file by other means and give its path"
    )


def _from_mirror(
    url: str, part: Path, size: int | None, checksums: dict[str, str], attempts: int
) -> None:
    """Makes the part whole and checks it, or raises a `_MirrorError`."""
    for attempt in range(attempts):
        try:
            resumed = _fetch(url, part, size)
            wrong = _mismatch(part, size, checksums)
            if wrong is None:
                return
            _forget(part)
            # Bytes of an earlier try may be what was wrong.
            raise _MirrorError(wrong, again=resumed)
        except _MirrorError as failure:
            if not failure.again or attempt == attempts - 1:
                raise
            pause = _PAUSE * 2**attempt
            logging.warning("%s gave %s; trying again in %g s", url, failure, pause)
            time.sleep(pause)


def _fetch(url: str, part: Path, size: int | None) -> bool:
    """Fetches what is missing of the part; says whether bytes of an earlier try were kept."""
    done, source = _earlier_bytes(part, url)
    if done and source["total"] == done:
        return True
    headers = {"User-Agent": "deeplab-pipeline"}
    if done:
        headers |= {"Range": f"bytes={done}-", "If-Range": source["validator"]}
    try:
        request = urllib.request.Request(url, headers=headers)
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and done:
            if error.headers.get("Content-Range") == f"bytes */{done}":
                return True
            _forget(part)
            return _fetch(url, part, size)
        again = error.code >= 500 or error.code in _TRY_AGAIN
        raise _MirrorError(f"HTTP status {error.code} {error.reason}", again=again) from error
    except (OSError, http.client.HTTPException) as error:
        raise _MirrorError(str(getattr(error, "reason", "") or error), again=True) from error
    with response:
        total = response.length
        if response.status == 206 and done:
            # A server that does not know If-Range may send the rest of another file.
            same = _validator(response.headers) in (None, source["validator"])
            span = response.headers.get("Content-Range", "")
            match = re.fullmatch(rf"bytes {done}-\d+/(\d+)", span)
            if not same or not match or source["total"] not in (None, int(match[1])):
                _forget(part)
                return _fetch(url, part, size)
            # The answer may be less than all of the rest; the next try then asks for more.
            total = int(match[1])
        elif response.status == 200:
            done = 0
        else:
            raise _MirrorError(f"HTTP status {response.status} {response.reason}")
        if None not in (size, total) and size != total:
            raise _MirrorError(f"a file of {total} bytes")
        _write_part(response, part, done, size or total, url)
    return done > 0


def _write_part(
    response: http.client.HTTPResponse, part: Path, done: int, total: int | None, url: str
) -> None:
    before = part.stat().st_size if part.exists() else 0
    free = shutil.disk_usage(part.parent).free
    if total is not None and total - before > free:
        raise DownloadError(
            f"expected {total - before:,} free bytes in {part.parent} for {part.stem}; got "
            f"{free:,}; to fix, make room or choose another folder"
        )
    if not done:
        # In this order: whenever the process is killed, no source stands for another's bytes.
        _forget(part)
        source = {"url": url, "validator": _validator(response.headers), "total": total}
        _source_of(part).write_text(json.dumps(source))
    with part.open("ab") as file, _bar(f"Downloading {part.stem}", total, done) as show:
        while chunk := _read(response):
            file.write(chunk)
            done += len(chunk)
            show(done)
            if total is not None and done > total:
                break
        file.flush()
        os.fsync(file.fileno())
    if total is not None and done < total:
        raise _MirrorError(f"a broken connection after {done} of {total} bytes", again=True)


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _MirrorError(f"a broken connection ({error!r})", again=True) from error


def _earlier_bytes(part: Path, url: str) -> tuple[int, dict]:
    """How many bytes of the part can be kept, and what is known of the file they are from."""
    try:
        source = json.loads(_source_of(part).read_text())
        if source["url"] == url and source["validator"] and "total" in source:
            return part.stat().st_size, source
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        pass
    return 0, {}


def _forget(part: Path) -> None:
    _source_of(part).unlink(missing_ok=True)
    part.unlink(missing_ok=True)


def _source_of(part: Path) -> Path:
    return _beside(part, ".json")


def _validator(headers: Mapping[str, str]) -> str | None:
    """What tells one state of a remote file from another; If-Range allows no weak ETag."""
    etag = headers.get("ETag")
    return etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")


def _describe(target: Path, size: int | None, checksums: Mapping[str, str]) -> str:
    known = [f"{size} bytes"] if size is not None else []
    known += [f"{name} {digest}" for name, digest in checksums.items()]
    return f"{target.name} ({', '.join(known)})" if known else target.name


def _mismatch(file: Path, size: int | None, checksums: Mapping[str, str]) -> str | None:
    """What is wrong with a file."""
    found = file.stat().st_size
    if size is not None and found != size:
        return f"{found} bytes"
    if checksums:
        hashes = {name: hashlib.new(name, usedforsecurity=False) for name in checksums}
        with file.open("rb") as stream, _bar(f"Checking {file.name}", found) as show:
            while chunk := stream.read(_CHUNK):
                for digest in hashes.values():
                    digest.update(chunk)
                show(stream.tell())
        for name, digest in hashes.items():
            if digest.hexdigest() != checksums[name]:
                return f"{found} bytes with {name} {digest.hexdigest()}"
    return None


# Archives


@dataclass(frozen=True)
class _Member:
    """An entry of a .tar or a .zip."""

    name: str
    kind: Literal["file", "folder", "link", "hard link"]
    size: int
    mtime: float
    open: Callable[[], IO[bytes]]
    target: str = ""  # of a link in a .tar; in a .zip that is its content


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

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> tarfile.TarInfo:
        """As in the base class, but long names must fit into memory, and nothing leads back."""
        info = super().frombuf(buf, encoding, errors)
        if info.size < 0 or (info.type in _LONG_NAMES and info.size > _CHUNK):
            raise tarfile.ReadError(f"{info.name!r} of impossible size {info.size}")
        return info


def _tar_members(file: IO[bytes], mode: str, max_bytes: int) -> Iterator[_Member]:
    try:
        tar = tarfile.open(fileobj=file, mode=mode, tarinfo=_StrictInfo)
    except tarfile.ReadError as error:
        raise ArchiveError(f"neither a .tar, a .tar.gz nor a .zip ({error})") from error
    with tar:
        for info in tar:
            if info.isreg():
                kind = "file"
            elif info.isdir():
                kind = "folder"
            elif info.issym() or info.islnk():
                kind = "link" if info.issym() else "hard link"
            else:
                raise ArchiveError(f"{info.name!r}, a device or another special file")
            content = partial(tar.extractfile, info)
            yield _Member(info.name, kind, info.size, info.mtime, content, info.linkname)
        # The checksum of a .gz is at its end, behind zeros that fill up the last block.
        zeros = 0
        while chunk := tar.fileobj.read(_CHUNK):
            zeros += len(chunk)
            _check_total(zeros, max_bytes + _CHUNK)


def _zip_members(file: IO[bytes], max_bytes: int) -> Iterator[_Member]:
    kinds = {0: "file", stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}
    with zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
        _check_total(sum(info.file_size for info in infos), max_bytes)
        for info in infos:
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                # Of the other methods, Python unpacks a chunk into memory however large it gets.
                raise ArchiveError(f"{info.filename!r}, compressed by another method than deflate")
            kind = kinds.get(stat.S_IFMT(info.external_attr >> 16))
            if kind is None:
                raise ArchiveError(f"{info.filename!r}, a device or another special file")
            kind = "folder" if info.is_dir() else kind
            mtime = time.mktime((*info.date_time, 0, 0, -1))
            content = partial(archive.open, info)
            yield _Member(info.filename, kind, info.file_size, mtime, content)


def _extract(archive: Path, folder: Path, max_bytes: int) -> None:
    """Unpacks into an empty folder; the rules are the same for both formats, and our own.

    `tarfile`'s filter "data" makes absolute names relative, and its view of links had to be mended
    several times; `zipfile` renames what would leave the folder, and knows no links.
    """
    links: dict[Path, str] = {}
    name, total = "", 0
    size = archive.stat().st_size
    with archive.open("rb") as file, _bar(f"Unpacking {archive.name}", size) as show:
        try:
            for member in _members(file, max_bytes):
                name = member.name
                path = _place(folder, name)
                if member.kind == "folder":
                    path.mkdir(parents=True, exist_ok=True)
                else:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    if member.kind == "link":
                        # Made at the end, so that nothing is written through one.
                        links[path] = member.target or os.fsdecode(_read_link(member))
                    else:
                        size, content = _content(member, folder)
                        total += size
                        _check_total(total, max_bytes)
                        _write(path, content, size, member.mtime, lambda: show(file.tell()))
                name = ""
            for path, target in links.items():
                name = os.fspath(path.relative_to(folder))
                if path.parent.resolve() != path.parent:
                    raise ArchiveError("a path that leads through a link")
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
        return _zip_members(file, max_bytes)
    return _tar_members(file, "r:gz" if start[:2] == b"\x1f\x8b" else "r:", max_bytes)


def _place(folder: Path, name: str) -> Path:
    if name.startswith("/") or ".." in PurePosixPath(name).parts:
        raise ArchiveError("a name that leaves the folder")
    return folder / name


def _check_total(total: int, max_bytes: int) -> None:
    if total > max_bytes:
        raise ArchiveError(f"more, at least {total:,} bytes")


def _content(member: _Member, folder: Path) -> tuple[int, Callable[[], IO[bytes]]]:
    """Size and bytes of a file; a hard link gets a copy of what it leads to."""
    if member.kind == "file":
        return member.size, member.open
    origin = _place(folder, member.target)
    if not origin.is_file():
        raise ArchiveError(f"a hard link to {member.target!r}, where no file is")
    return origin.stat().st_size, partial(origin.open, "rb")


def _write(
    path: Path,
    content: Callable[[], IO[bytes]],
    size: int,
    mtime: float,
    show: Callable[[], None],
) -> None:
    """Writes exactly as many bytes as a header says, whatever comes."""
    left = size
    with content() as source, path.open("wb") as file:
        while left >= 0 and (chunk := source.read(_CHUNK)):
            left -= len(chunk)
            if left >= 0:
                file.write(chunk)
            show()
    if left:
        raise ArchiveError(f"other than the {size} bytes that its header says")
    with contextlib.suppress(OverflowError, ValueError):
        # What is cached by the time of a file stays valid when the file is unpacked again.
        os.utime(path, (mtime, mtime))


def _read_link(member: _Member) -> bytes:
    with member.open() as source:
        return source.read(_LONGEST_LINK)


def _check_link(path: Path, target: str, folder: Path) -> None:
    # `strict` also refuses loops, and what is too long to be resolved.
    try:
        inside = path.resolve(strict=True).is_relative_to(folder)
    except (OSError, RuntimeError) as error:
        raise ArchiveError(f"a link to {target!r}, where nothing is") from error
    if os.path.isabs(target) or not inside:
        raise ArchiveError(f"a link to {target!r}, out of the folder")


# Both


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


@contextlib.contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Lets one process at a time make the target; a lock ends with its process."""
    path = _beside(target, ".lock")
    while True:
        with path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logging.info("Waiting for another process that makes %s", target)
                fcntl.flock(file, fcntl.LOCK_EX)
            try:
                # The one that held it has removed the file, and a third may hold a new one.
                held = os.path.samestat(os.fstat(file.fileno()), path.stat())
            except FileNotFoundError:
                held = False
            if held:
                try:
                    yield
                finally:
                    path.unlink()
                return


@contextlib.contextmanager
def _bar(text: str, total: int | None, done: int = 0) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, and nothing elsewhere; gives what to call with the bytes done."""
    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    console, hidden = Console(stderr=True), not sys.stderr.isatty()
    with progress.Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(text, total=total, completed=done)
        yield lambda done: bar.update(task, completed=done)
