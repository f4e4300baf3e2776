"""Fetches files: each appears whole and checked, or not at all.

Beside a target `x` lie, while it is made: `x.HASH.part`, the bytes so far from the address of that
hash; `x.HASH.part.json`, a note of where they are from; `x.lock`, which keeps other processes away.
"""

import contextlib
import glob
import hashlib
import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from absl import logging

from components.progress import bar
from components.storage.locks import locked
from components.storage.paths import CHUNK, beside

_TIMEOUT = 60.0
_PAUSE = 1.0  # seconds before the second try; doubled before each further one
_TRY_AGAIN = {408, 429}  # HTTP statuses below 500 that may pass
_HASH = 8  # hexadecimal digits


class DownloadError(OSError):
    """Nothing usable could be fetched."""


def download(
    urls: Sequence[str],
    target: Path,
    *,
    size: int | None = None,
    max_bytes: int | None = None,
    checksums: Mapping[str, str] | None = None,
    attempts: int = 3,
) -> Path:
    """Fetches a file, unless it is there and right; goes on where an earlier try broke off.

    Args:
        urls: http(s) addresses of the same file, tried in this order.
        target: Where the file goes. A wrong one that is there is removed, with a warning.
        size: How many bytes it must have; None where it is not known.
        max_bytes: How many it may have; None for any number. A server that announces more is not
            read from, and one that announces nothing no further than this.
        checksums: Hexadecimal digests that it must have, by the name of the hash in `hashlib`.
        attempts: Tries at each address, where trying again may help; counted anew after one that
            got further than all before it.

    Returns:
        `target`.

    Raises:
        DownloadError: No address gave the right file, or it could not be written.
        ValueError: An address is not http(s), or a hash is unknown.
    """
    wanted = _Wanted(
        target.name, size, max_bytes, {name: d.lower() for name, d in (checksums or {}).items()}
    )
    for name in wanted.checksums:
        hashlib.new(name, usedforsecurity=False)  # fails now for an unknown one, not after hours
    for url in urls:
        if not url.startswith(("http://", "https://")):
            raise ValueError(
                f"expected http(s) addresses for {target.name}; got {url!r}; to fix, give its path"
            )
    try:
        with contextlib.suppress(FileNotFoundError):
            if wanted.mismatch(target) is None:
                return target
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target):
            # Another process may have fetched it while this one waited for the lock.
            if target.exists():
                wrong = wanted.mismatch(target)
                if wrong is None:
                    return target
                logging.warning("Expected %s; got %s; fetching it again", wanted, wrong)
                target.unlink()
            _from_mirrors(urls, target, wanted, attempts)
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(
            f"expected to write {target}; got {error}; to fix, make room for it or choose another "
            "folder"
        ) from error
    return target


@dataclass(frozen=True)
class _Wanted:
    """What is known of a file before it is there."""

    name: str
    size: int | None
    max_bytes: int | None
    checksums: Mapping[str, str]

    def __str__(self) -> str:
        known = [f"{self.size} bytes"] if self.size is not None else []
        known += [f"at most {self.max_bytes} bytes"] if self.max_bytes is not None else []
        known += [f"{name} {digest}" for name, digest in self.checksums.items()]
        return f"{self.name} ({', '.join(known)})" if known else self.name

    def allows(self, length: int) -> bool:
        """Whether a whole file may be so long."""
        return self.size in (None, length) and not self.is_exceeded(length)

    def is_exceeded(self, length: int) -> bool:
        """Whether these are too many bytes, whatever else comes."""
        return self.max_bytes is not None and length > self.max_bytes

    def mismatch(self, file: Path) -> str | None:
        """What is wrong with a file."""
        found = file.stat().st_size
        if not self.allows(found):
            return f"{found} bytes"
        if self.checksums:
            for name, digest in digests(file, self.checksums).items():
                if digest != self.checksums[name]:
                    return f"{found} bytes with {name} {digest}"
        return None


class _MirrorError(Exception):
    """What came in place of the file."""

    def __init__(self, got: str, *, again: bool = False):
        super().__init__(got)
        self.again = again  # whether the same address may have it at the next try


def _from_mirrors(urls: Sequence[str], target: Path, wanted: _Wanted, attempts: int) -> None:
    causes = []
    for url in urls:
        logging.info("Downloading %s from %s", target.name, url)
        try:
            _from_mirror(url, target, wanted, attempts)
        except _MirrorError as failure:
            logging.warning("%s gave %s", url, failure)
            causes.append(f"from {url}: {failure}")
            continue
        os.replace(_part(target, url), target)
        _forget_all(target)
        return
    raise DownloadError(
        f"expected {wanted}; got {'; '.join(causes) or 'no address'}; "
        "to fix, check the connection, or fetch the file by other means and give its path"
    )


def _from_mirror(url: str, target: Path, wanted: _Wanted, attempts: int) -> None:
    """Makes the part whole and checks it, or raises a `_MirrorError`."""
    part = _part(target, url)
    tries, most = 0, _length(part)
    while True:
        try:
            resumed = _fetch(url, target, wanted)
            wrong = wanted.mismatch(part)
            if wrong is None:
                return
            _forget(part)
            # Bytes of an earlier try may be what was wrong.
            raise _MirrorError(wrong, again=resumed)
        except _MirrorError as failure:
            # More than ever before, not than last time: a server that starts over at every try
            # would be asked for ever.
            tries = 1 if _length(part) > most else tries + 1
            most = max(most, _length(part))
            if not failure.again or tries >= attempts:
                raise
            pause = _PAUSE * 2 ** (tries - 1)
            logging.warning("%s gave %s; trying again in %g s", url, failure, pause)
            time.sleep(pause)


def _fetch(url: str, target: Path, wanted: _Wanted) -> bool:
    """Fetches what is missing of the part; says whether bytes of an earlier try were kept."""
    part = _part(target, url)
    done, validator = _earlier_bytes(part, url)
    headers = {"User-Agent": "deeplab-pipeline"}
    if done:
        headers |= {"Range": f"bytes={done}-", "If-Range": validator}
    try:
        request = urllib.request.Request(url, headers=headers)
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and done:  # nothing comes behind the earlier bytes
            if error.headers.get("Content-Range") == f"bytes */{done}":
                return True
            _forget(part)
            return _fetch(url, target, wanted)
        again = error.code >= 500 or error.code in _TRY_AGAIN
        raise _MirrorError(f"HTTP status {error.code} {error.reason}", again=again) from error
    except (OSError, http.client.HTTPException) as error:
        raise _MirrorError(str(getattr(error, "reason", "") or error), again=True) from error
    with response:
        total = response.length
        if response.status == 206 and done:
            span = response.headers.get("Content-Range", "")
            match = re.fullmatch(rf"bytes {done}-\d+/(\d+)", span)
            # A server that does not know If-Range may send the rest of another file.
            if not match or _validator(response.headers) not in (None, validator):
                _forget(part)
                return _fetch(url, target, wanted)
            # The answer may be less than all of the rest; the next try then asks for more.
            total = int(match[1])
        elif response.status == 200:
            done = 0
        else:
            raise _MirrorError(f"HTTP status {response.status} {response.reason}")
        if total is not None and not wanted.allows(total):
            raise _MirrorError(f"a file of {total} bytes")
        _write(response, target, done, wanted, wanted.size or total, url)
    return done > 0


def _write(
    response: http.client.HTTPResponse,
    target: Path,
    done: int,
    wanted: _Wanted,
    total: int | None,
    url: str,
) -> None:
    part = _part(target, url)
    if not done:
        _forget(part)
    needed = 0 if total is None else total - done
    if needed > shutil.disk_usage(target.parent).free:
        # What this address can give is worth more than what others may go on with.
        _forget_all(target, but=part)
    free = shutil.disk_usage(target.parent).free
    if needed > free:
        raise DownloadError(
            f"expected {needed:,} free bytes in {target.parent} for {target.name}; got {free:,}; "
            "to fix, make room or choose another folder"
        )
    if not done:
        # It comes before the bytes, and `_forget` removes it before them: whenever the process is
        # killed, no note stands beside bytes of another source.
        note = {"url": url, "validator": _validator(response.headers)}
        _source_of(part).write_text(json.dumps(note))
    with part.open("ab") as file, bar(f"Downloading {target.name}", total, done) as show:
        while chunk := _read(response):
            done += len(chunk)
            if wanted.is_exceeded(done):
                _forget(part)
                raise _MirrorError(f"more, at least {done} bytes")
            file.write(chunk)
            show(done)
        file.flush()
        os.fsync(file.fileno())
    if total is not None and done < total:
        raise _MirrorError(f"a broken connection after {done} of {total} bytes", again=True)


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _MirrorError(f"a broken connection ({error!r})", again=True) from error


def _earlier_bytes(part: Path, url: str) -> tuple[int, str]:
    """How many bytes of the part can be kept, and the validator of the file they are from."""
    try:
        note = json.loads(_source_of(part).read_text())
        if note["url"] == url and note["validator"]:
            return part.stat().st_size, note["validator"]
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        pass
    return 0, ""


def _part(target: Path, url: str) -> Path:
    """One for each address: what one gives must not cost what has come from another."""
    return beside(target, f".{hashlib.sha256(url.encode()).hexdigest()[:_HASH]}.part")


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _forget_all(target: Path, but: Path | None = None) -> None:
    for file in target.parent.glob(f"{glob.escape(target.name)}.{'[0-9a-f]' * _HASH}.part*"):
        if but is None or not file.name.startswith(but.name):
            file.unlink(missing_ok=True)


def _forget(part: Path) -> None:
    _source_of(part).unlink(missing_ok=True)
    part.unlink(missing_ok=True)


def _source_of(part: Path) -> Path:
    return beside(part, ".json")


def _validator(headers: Mapping[str, str]) -> str | None:
    """What tells one state of a remote file from another; If-Range allows no weak ETag."""
    etag = headers.get("ETag")
    return etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")


def digests(file: Path, names: Iterable[str]) -> dict[str, str]:
    """Hexadecimal digests of a file by the names of the hashes."""
    hashes = {name: hashlib.new(name, usedforsecurity=False) for name in names}
    total = file.stat().st_size
    with file.open("rb") as stream, bar(f"Checking {file.name}", total) as show:
        while chunk := stream.read(CHUNK):
            for digest in hashes.values():
                digest.update(chunk)
            show(stream.tell())
    return {name: digest.hexdigest() for name, digest in hashes.items()}
