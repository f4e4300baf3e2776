"""Files from a real server that does what servers do, and archives of every bad kind."""

import contextlib
import gzip
import hashlib
import http.server
import io
import itertools
import os
import pty
import random
import re
import stat
import struct
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from models import downloads
from models.downloads import ArchiveError, DownloadError, download, unpack
from tests.conftest import REPOSITORY

CONTENT = random.Random(0).randbytes(300_000)
CHECKSUMS = {name: hashlib.new(name, CONTENT).hexdigest() for name in ("md5", "sha256")}
HALF = 150_000
LIMIT = 1 << 20


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(downloads, "_PAUSE", 0.01)


@dataclass
class Remote:
    """A file on the server, and how the server hands it out."""

    content: bytes = CONTENT
    etag: str | None = '"1"'
    modified: str | None = None
    ranges: bool = True
    if_range: bool = True
    most: int | None = None
    """So many bytes of a range at a time."""
    length: int | None = None
    """What the header says; None: the truth; -1: nothing."""
    chunked: bool = False
    statuses: list[int] = field(default_factory=list)
    """Of the next answers, before it gets well."""
    breaks: list[int] = field(default_factory=list)
    """After how many bytes the next answers break off."""
    gate: threading.Event | None = None
    """What an answer waits for where it would break off."""
    asked: list[str | None] = field(default_factory=list)
    """The Range of every request."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: dict[str, Remote]

    def do_GET(self):
        remote = self.files.get(self.path)
        if remote is None:
            return self.send_error(404)
        span = self.headers.get("Range")
        remote.asked.append(span)
        if remote.statuses:
            return self.send_error(remote.statuses.pop(0))
        state = remote.etag or remote.modified
        start = int(re.fullmatch(r"bytes=(\d+)-", span)[1]) if span and remote.ranges else 0
        if remote.if_range and self.headers.get("If-Range", state) != state:
            start = 0
        if start >= len(remote.content) > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(remote.content)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        body = remote.content[start:][: remote.most if start else None]
        self.send_response(206 if start else 200)
        if start:
            last, size = start + len(body) - 1, len(remote.content)
            self.send_header("Content-Range", f"bytes {start}-{last}/{size}")
        for name, value in (("ETag", remote.etag), ("Last-Modified", remote.modified)):
            if value:
                self.send_header(name, value)
        if remote.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        elif remote.length != -1:
            self.send_header("Content-Length", str(remote.length or len(body)))
        self.end_headers()
        self.close_connection = True
        stop = remote.breaks.pop(0) if remote.breaks else len(body)
        self.wfile.write(body[:stop])
        if remote.gate and stop < len(body):
            self.wfile.flush()
            remote.gate.wait()
            with contextlib.suppress(OSError):
                self.wfile.write(body[stop:])

    def log_message(self, *args):
        pass


@pytest.fixture
def serve():
    """Puts files on a server of their own: gives an address for each."""
    with contextlib.ExitStack() as stack:

        def start(**files):
            handler = type("Files", (Handler,), {"files": {f"/{k}": v for k, v in files.items()}})
            httpd = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
            threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
            stack.callback(httpd.shutdown)
            return [f"http://127.0.0.1:{httpd.server_port}/{name}" for name in files]

        yield start


@pytest.fixture
def target(tmp_path):
    return tmp_path / "new" / "data.tar"


def _beside(target):
    """Endings of all that lies where the target should be."""
    return {file.name.removeprefix(target.name) for file in target.parent.iterdir()}


def _assert_only(target, content=CONTENT):
    assert target.read_bytes() == content
    assert _beside(target) == {""}


PARTIAL = {".part", ".part.json"}


def test_file_is_fetched_once_and_checked(serve, target):
    remote = Remote()
    (url,) = serve(data=remote)
    upper = {name: digest.upper() for name, digest in CHECKSUMS.items()}
    for _ in range(2):
        assert download([url], target, size=len(CONTENT), checksums=upper) == target
        _assert_only(target)
    assert remote.asked == [None]


@pytest.mark.parametrize(
    "remote", [Remote(length=-1), Remote(chunked=True), Remote(etag=None), Remote(content=b"")]
)
def test_server_may_say_little(serve, target, remote):
    (url,) = serve(data=remote)
    download([url], target)
    _assert_only(target, remote.content)


def test_file_that_is_there_needs_no_network(target):
    target.parent.mkdir()
    target.write_bytes(CONTENT)
    download(["http://127.0.0.1:1/data"], target, size=len(CONTENT), checksums=CHECKSUMS)
    _assert_only(target)


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT[:-1] + b"?"])
def test_wrong_file_that_is_there_is_fetched_again(serve, target, content, caplog):
    (url,) = serve(data=Remote())
    target.parent.mkdir()
    target.write_bytes(content)
    download([url], target, checksums=CHECKSUMS)
    _assert_only(target)
    assert f"md5 {CHECKSUMS['md5']}" in caplog.text and "fetching it again" in caplog.text


@pytest.mark.parametrize(
    "remote",
    [Remote(breaks=[HALF]), Remote(breaks=[HALF], etag='W/"1"', modified="Mon, 01 Jan 2024")],
)
def test_broken_download_goes_on_where_it_was(serve, target, remote):
    remote.if_range = remote.modified is None
    (url,) = serve(data=remote)
    download([url], target, checksums=CHECKSUMS)
    _assert_only(target)
    assert remote.asked == [None, f"bytes={HALF}-"]


def test_next_run_goes_on_where_the_last_was(serve, target):
    remote = Remote(breaks=[HALF, 50_000])
    (url,) = serve(data=remote)
    with pytest.raises(DownloadError, match=rf"got from {url}: .*broken.* {HALF} of 300000 bytes"):
        download([url], target, attempts=1)
    assert _beside(target) == PARTIAL
    with pytest.raises(DownloadError, match=r"broken.* 200000 of 300000 bytes"):
        download([url], target, attempts=1)
    assert _beside(target) == PARTIAL
    download([url], target, checksums=CHECKSUMS)
    _assert_only(target)
    assert remote.asked == [None, f"bytes={HALF}-", "bytes=200000-"]


def test_server_may_give_less_than_all_of_the_rest(serve, target):
    remote = Remote(breaks=[HALF], most=100_000)
    (url,) = serve(data=remote)
    download([url], target)
    _assert_only(target)
    assert remote.asked == [None, f"bytes={HALF}-", "bytes=250000-"]


@pytest.mark.parametrize("remote", [Remote(ranges=False), Remote(etag=None)])
def test_download_that_cannot_be_resumed_starts_over(serve, target, remote):
    remote.breaks = [HALF]
    (url,) = serve(data=remote)
    download([url], target)
    _assert_only(target)
    assert remote.asked == [None, None if remote.ranges else f"bytes={HALF}-"]


@pytest.mark.parametrize("if_range", [True, False])
def test_file_that_changed_in_between_is_not_glued_to_old_bytes(serve, target, if_range):
    remote = Remote(breaks=[HALF], if_range=if_range)
    (url,) = serve(data=remote)
    with pytest.raises(DownloadError):
        download([url], target, attempts=1)
    remote.content, remote.etag = CONTENT[::-1], '"2"'
    download([url], target)
    _assert_only(target, CONTENT[::-1])
    assert remote.asked == [None, f"bytes={HALF}-"] + [None] * (not if_range)


def test_resumed_file_that_is_wrong_is_fetched_as_a_whole(serve, target):
    remote = Remote(content=CONTENT[::-1], breaks=[HALF])
    (url,) = serve(data=remote)
    with pytest.raises(DownloadError):
        download([url], target, attempts=1)
    # The server says that nothing changed, and is wrong.
    remote.content = CONTENT
    download([url], target, checksums=CHECKSUMS)
    _assert_only(target)
    assert remote.asked == [None, f"bytes={HALF}-", None]


@pytest.mark.parametrize("grown", [b"", b"more"])
def test_part_that_was_whole_already_is_taken_if_it_is_still_the_file(serve, target, grown):
    remote = Remote(length=-1)
    (url,) = serve(data=remote)
    with pytest.raises(DownloadError, match=r"300000 of 300001 bytes"):
        download([url], target, size=len(CONTENT) + 1, attempts=1)
    # The server answers 416 now: there is nothing after the last byte.
    remote.content, remote.if_range = CONTENT[: len(CONTENT) - len(grown)], False
    download([url], target)
    _assert_only(target, remote.content)
    assert remote.asked == [None, f"bytes={len(CONTENT)}-"] + [None] * bool(grown)


@pytest.mark.parametrize("status, tries", [(503, 3), (429, 3), (404, 1), (403, 1)])
def test_only_what_may_pass_is_tried_again(serve, target, status, tries):
    remote = Remote(statuses=[status] * 3)
    (url,) = serve(data=remote)
    with pytest.raises(DownloadError, match=rf"expected data.tar; got from {url}: .*{status}.*fix"):
        download([url], target)
    assert remote.asked == [None] * tries
    assert _beside(target) == set()
    remote.statuses.clear()
    download([url], target)
    _assert_only(target)


@pytest.mark.parametrize(
    "bad, cause",
    [
        (Remote(content=CONTENT[::-1]), f"md5 {hashlib.md5(CONTENT[::-1]).hexdigest()}"),
        (Remote(content=CONTENT[:-7]), "a file of 299993 bytes"),
        (Remote(content=CONTENT[:-7], chunked=True), "299993 of 300000 bytes"),
        (Remote(content=CONTENT + b"more", chunked=True), "300004 bytes"),
        (Remote(statuses=[404] * 9), "HTTP status 404"),
    ],
)
def test_mirrors_are_tried_in_order_and_all_named_in_the_error(serve, target, bad, cause):
    good = Remote()
    first, second = serve(bad=bad, good=good)
    known = {"size": len(CONTENT), "checksums": CHECKSUMS, "attempts": 1}
    other = "http://127.0.0.1:1/data"
    with pytest.raises(DownloadError) as error:
        download([first, other], target, **known)
    text = str(error.value)
    assert text.startswith(f"expected data.tar (300000 bytes, md5 {CHECKSUMS['md5']}, sha256 ")
    assert f"got from {first}: " in text and cause in text
    assert f"; from {other}: " in text and "refused" in text
    assert text.endswith("fetch the file by other means and give its path")
    assert _beside(target) <= PARTIAL
    download([first, second], target, **known)
    _assert_only(target)
    assert good.asked == [None]


def test_part_of_one_mirror_is_not_continued_from_another(serve, target):
    first, second = Remote(breaks=[HALF]), Remote(content=CONTENT[::-1])
    download(serve(first=first, second=second), target, attempts=1)
    _assert_only(target, CONTENT[::-1])
    assert second.asked == [None]


@pytest.mark.parametrize("note", ['{"url": ', "[]", "{}"])
def test_damaged_note_about_the_part_is_no_obstacle(serve, target, note):
    (url,) = serve(data=Remote())
    target.parent.mkdir()
    (target.parent / "data.tar.part").write_bytes(b"old")
    (target.parent / "data.tar.part.json").write_text(note)
    download([url], target)
    _assert_only(target)


def test_full_disk_is_an_error_before_anything_is_written(serve, target):
    (url,) = serve(data=Remote(length=1 << 60))
    with pytest.raises(
        DownloadError, match=rf"expected {1 << 60:,} free bytes in .*got \d.*to fix"
    ):
        download([url], target)
    assert _beside(target) == set()


def test_folder_that_cannot_be_is_an_error(serve, tmp_path):
    (url,) = serve(data=Remote())
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match=r"expected to write .*/file/data; got .*to fix"):
        download([url], tmp_path / "file" / "data")


def test_wrong_arguments_are_refused_before_anything_is_fetched(target):
    with pytest.raises(ValueError, match=r"expected http.*got 'file:///etc/passwd'"):
        download(["file:///etc/passwd"], target)
    with pytest.raises(ValueError, match="md6"):
        download(["http://127.0.0.1:1/data"], target, checksums={"md6": "0"})
    with pytest.raises(DownloadError, match="got no address"):
        download([], target)


def test_processes_that_want_the_same_file_fetch_it_once(serve, target):
    remote = Remote(breaks=[HALF], gate=threading.Event())
    (url,) = serve(data=remote)
    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(download, [url], target, checksums=CHECKSUMS) for _ in range(4)]
        while not remote.asked:
            time.sleep(0.01)
        remote.gate.set()
        assert [future.result() for future in done] == [target] * 4
    _assert_only(target)
    assert remote.asked == [None]


def test_silent_connection_is_given_up_and_resumed(serve, target, monkeypatch):
    monkeypatch.setattr(downloads, "_TIMEOUT", 0.2)
    remote = Remote(breaks=[HALF], gate=threading.Event())
    (url,) = serve(data=remote)
    download([url], target, checksums=CHECKSUMS)
    remote.gate.set()
    _assert_only(target)
    assert remote.asked == [None, f"bytes={HALF}-"]


def test_killed_download_leaves_no_target_and_is_resumed(serve, target):
    remote = Remote(breaks=[HALF], gate=threading.Event())
    (url,) = serve(data=remote)
    code = "import sys; from downloads import *; download([sys.argv[1]], Path(sys.argv[2]))"
    # The file by itself: importing the whole of `models` takes seconds.
    process = subprocess.Popen([sys.executable, "-c", code, url, target], cwd=REPOSITORY / "models")
    part = target.with_name("data.tar.part")
    while not part.exists() or not part.stat().st_size:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    remote.gate.set()
    kept = part.stat().st_size
    assert _beside(target) == {*PARTIAL, ".lock"}
    download([url], target, checksums=CHECKSUMS)
    _assert_only(target)
    assert remote.asked == [None, f"bytes={kept}-"]


def test_progress_is_shown_on_a_terminal_alone(serve, target, monkeypatch, capfd):
    (url,) = serve(data=Remote())
    download([url], target)
    assert "Downloading data.tar ━" not in capfd.readouterr().err
    target.unlink()
    master, slave = pty.openpty()
    with open(master, "rb", buffering=0) as screen, open(slave, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        download([url], target)
        terminal.flush()
        assert b"Downloading data.tar" in screen.read(1 << 16)
    assert capfd.readouterr().out == ""


# Archives


def _tar(path, members, mode="w"):
    """Members are (name, content), or (name, type, where it leads)."""
    with tarfile.open(path, mode) as tar:
        for name, *rest in members:
            info = tarfile.TarInfo(name)
            info.mtime = 1_000_000_000
            if len(rest) == 1:
                info.size = len(rest[0])
                tar.addfile(info, io.BytesIO(rest[0]))
            else:
                info.type, info.linkname = rest
                tar.addfile(info)
    return path


def _zip(path, members):
    modes = {tarfile.SYMTYPE: stat.S_IFLNK, tarfile.CHRTYPE: stat.S_IFCHR}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, *rest in members:
            # Not by its constructor, which cleans the name.
            info = zipfile.ZipInfo("x", (2001, 9, 9, 0, 0, 0))
            info.filename, info.compress_type = name, zipfile.ZIP_DEFLATED
            if len(rest) == 2:
                info.external_attr = (modes[rest[0]] | 0o777) << 16
            archive.writestr(info, rest[-1])
    return path


def _tar_gz(path, members):
    return _tar(path, members, "w:gz")


FORMATS = pytest.mark.parametrize("make", [_tar, _tar_gz, _zip])
GOOD = [("a/b/data", CONTENT), ("a/empty", b""), ("./top", b"top")]


def _files(folder):
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture
def refused(tmp_path):
    """Asserts that an archive is refused, that nothing is left of it, and that a good one works."""

    def check(archive, match, max_bytes=LIMIT):
        folder = tmp_path / "unpacked" / "x"
        with pytest.raises(ArchiveError, match=match) as error:
            unpack(archive, folder, max_bytes=max_bytes)
        text = str(error.value)
        assert "expected a whole and harmless archive" in text and "; to fix, " in text
        assert f"{archive}; got " in text
        assert list(folder.parent.iterdir()) == []
        unpack(_zip(tmp_path / "good", GOOD), folder, max_bytes=LIMIT)
        assert _files(folder) == {"a/b/data": CONTENT, "a/empty": b"", "top": b"top"}
        assert {path.name for path in tmp_path.iterdir()} <= {archive.name, "good", "unpacked"}

    return check


@FORMATS
def test_archive_is_unpacked_whatever_its_name(tmp_path, make):
    archive, folder = make(tmp_path / "archive.bin", GOOD), tmp_path / "new" / "folder"
    (folder.parent / "folder.part").mkdir(parents=True)
    (folder.parent / "folder.part" / "of a killed process").touch()
    assert unpack(archive, folder, max_bytes=len(CONTENT) + 3) == folder
    assert _files(folder) == {"a/b/data": CONTENT, "a/empty": b"", "top": b"top"}
    assert list(folder.parent.iterdir()) == [folder]
    # Both formats know the time, one of them without its zone.
    assert abs((folder / "top").stat().st_mtime - 1_000_000_000) < 2 * 24 * 3600
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(tmp_path.stat().st_mode) | 0o055
    archive.unlink()
    assert unpack(archive, folder, max_bytes=0) == folder


def test_processes_that_want_the_same_folder_all_get_it(tmp_path):
    archive = _tar_gz(tmp_path / "x", GOOD)
    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(unpack, archive, tmp_path / "out", max_bytes=LIMIT) for _ in range(8)]
        assert {future.result() for future in done} == {tmp_path / "out"}
    assert _files(tmp_path / "out") == {"a/b/data": CONTENT, "a/empty": b"", "top": b"top"}
    assert {path.name for path in tmp_path.iterdir()} == {"x", "out"}


def test_archives_of_other_programs_are_unpacked(tmp_path):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "data").write_bytes(CONTENT)
    (tmp_path / "in" / "link").symlink_to("sub")
    os.link(tmp_path / "in" / "sub" / "data", tmp_path / "in" / "zz")
    subprocess.run(["tar", "-czf", "../a.tgz", "."], cwd=tmp_path / "in", check=True)
    folder = unpack(tmp_path / "a.tgz", tmp_path / "out", max_bytes=2 * len(CONTENT))
    assert _files(folder) == {"sub/data": CONTENT, "zz": CONTENT}
    assert (folder / "link" / "data").read_bytes() == CONTENT
    assert os.readlink(folder / "link") == "sub"


@pytest.mark.parametrize("make", [_tar, _zip])
def test_links_within_the_folder_are_kept(tmp_path, make):
    members = [
        ("later/link", tarfile.SYMTYPE, "../b"),
        ("b", tarfile.SYMTYPE, "c/d"),
        ("c/d", b"d"),
    ]
    folder = unpack(make(tmp_path / "x", members), tmp_path / "out", max_bytes=LIMIT)
    assert (folder / "later" / "link").read_bytes() == b"d"


@FORMATS
@pytest.mark.parametrize("name", ["../out", "a/../../out", "/tmp/deeplab-out", "a/.."])
def test_member_that_leaves_the_folder_is_refused(tmp_path, make, name, refused):
    archive = make(tmp_path / "x", [("first", b"1"), (name, b"2")])
    refused(archive, rf"got in member '{name}' a name that leaves the folder")
    assert not os.path.exists("/tmp/deeplab-out")


LINKS = {
    "absolute": [("l", tarfile.SYMTYPE, "/etc/passwd")],
    "up": [("l", tarfile.SYMTYPE, "../../unpacked")],
    # Out and in again while it is unpacked, out alone once the folder has its name.
    "beside": [("x", b"1"), ("l", tarfile.SYMTYPE, "../x.part")],
    "through a link": [
        ("d/e/f", b"1"),
        ("d/e/up", tarfile.SYMTYPE, "../.."),
        ("l", tarfile.SYMTYPE, "d/e/up/../.."),
    ],
    "nowhere": [("l", tarfile.SYMTYPE, "nothing")],
    "loop": [("l", tarfile.SYMTYPE, "m"), ("m", tarfile.SYMTYPE, "l")],
}


@pytest.mark.parametrize("make", [_tar, _zip])
@pytest.mark.parametrize("kind", LINKS)
def test_link_that_leads_out_is_refused(tmp_path, make, kind, refused):
    refused(make(tmp_path / "archive", LINKS[kind]), "got in member 'l' a link to ")


@pytest.mark.parametrize("make", [_tar, _zip])
def test_nothing_is_written_through_a_link(tmp_path, make, refused):
    (tmp_path / "unpacked").mkdir()
    link = ("l", tarfile.SYMTYPE, str(tmp_path / "unpacked"))
    refused(make(tmp_path / "x", [link, ("l/file", b"1")]), "File exists")
    refused_link = [("d/f", b"1"), ("a", tarfile.SYMTYPE, "d"), ("a/b", tarfile.SYMTYPE, "f")]
    with pytest.raises(ArchiveError):
        unpack(make(tmp_path / "x", refused_link), tmp_path / "y", max_bytes=LIMIT)


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_other_bad_members_of_a_tar_are_refused(tmp_path, kind, refused):
    archive = _tar(tmp_path / "x", [("l", kind, "/etc/passwd")])
    refused(archive, "in member 'l' a name that leaves|got 'l', a device or another special file")


def test_hard_link_to_nothing_is_refused(tmp_path, refused):
    refused(_tar(tmp_path / "x", [("l", tarfile.LNKTYPE, "m"), ("m", b"1")]), "a hard link to 'm'")


def test_other_bad_members_of_a_zip_are_refused(tmp_path, refused):
    refused(_zip(tmp_path / "device", [("l", tarfile.CHRTYPE, b"")]), "got 'l', a device")
    archive = tmp_path / "device"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_BZIP2) as file:
        file.writestr("b", CONTENT)
    with pytest.raises(ArchiveError, match="'b', compressed by another method than deflate"):
        unpack(archive, tmp_path / "y", max_bytes=LIMIT)


@FORMATS
def test_member_that_is_file_and_folder_is_refused(tmp_path, make, refused):
    refused(make(tmp_path / "x", [("a", b"1"), ("a/b", b"2")]), "got in member 'a/b' .*a")


@FORMATS
def test_more_than_the_bound_is_refused(tmp_path, make, refused):
    archive = make(
        tmp_path / "x", [("a", bytes(LIMIT // 2)), ("b", bytes(LIMIT // 2)), ("c", b"1")]
    )
    refused(archive, rf"at most {LIMIT:,} bytes .*got .*more, at least {LIMIT + 1:,} bytes")


def test_copies_behind_hard_links_count(tmp_path, refused):
    members = [("a", bytes(LIMIT // 2)), *((str(i), tarfile.LNKTYPE, "a") for i in range(3))]
    refused(_tar(tmp_path / "x", members), "in member '1' more, at least")


@pytest.mark.parametrize("said", [1000, 2 * LIMIT - 1])
def test_zip_whose_header_lies_is_refused(tmp_path, said, refused):
    size = 2 * LIMIT
    archive = _zip(tmp_path / "x", [("bomb", bytes(size))])
    content = archive.read_bytes()
    assert content.count(struct.pack("<L", size)) == 2
    archive.write_bytes(content.replace(struct.pack("<L", size), struct.pack("<L", said)))
    refused(archive, "in member 'bomb' Bad CRC", max_bytes=size)


def test_zip_that_has_less_than_its_header_says_is_refused(tmp_path, refused):
    archive = _zip(tmp_path / "x", [("a", bytes(1000))])
    content = archive.read_bytes().replace(struct.pack("<L", 1000), struct.pack("<L", 2000))
    archive.write_bytes(content)
    refused(archive, "in member 'a' other than the 2000 bytes that its header says")


def test_gzip_that_unpacks_to_endless_zeros_is_refused(tmp_path, refused):
    plain = _tar(tmp_path / "x", [("a", b"1")]).read_bytes()
    (tmp_path / "x").write_bytes(gzip.compress(plain + bytes(8 * LIMIT)))
    refused(tmp_path / "x", "more, at least")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.REGTYPE])
def test_tar_header_with_an_impossible_size_is_refused(tmp_path, kind, refused):
    info = tarfile.TarInfo("name")
    info.type, info.size = kind, -512 if kind == tarfile.REGTYPE else 1 << 40
    first = _tar(tmp_path / "x", [("a", b"1")]).read_bytes()[:1024]
    (tmp_path / "x").write_bytes(first + info.tobuf(tarfile.GNU_FORMAT) + bytes(10240))
    refused(tmp_path / "x", "'name' of impossible size")


@FORMATS
def test_archive_cut_anywhere_is_refused(tmp_path, make, refused):
    members = [(f"{index}", CONTENT[: 700 * index]) for index in range(4)]
    archive = make(tmp_path / "x", members)
    whole = archive.read_bytes()
    # Of a .tar, the zeros behind the last member may be fewer than is usual.
    end = len(whole) if make is not _tar else 512 * (4 + 2 + 3 + 5)
    for size in itertools.chain(range(0, end, 512), [1, end - 1]):
        archive.write_bytes(whole[:size])
        with pytest.raises(ArchiveError, match="expected a whole and harmless archive"):
            unpack(archive, tmp_path / "y", max_bytes=LIMIT)
        assert list(tmp_path.iterdir()) == [archive]
    refused(archive, "expected a whole")


@FORMATS
def test_garbled_archive_is_refused(tmp_path, make, refused):
    archive = make(tmp_path / "x", GOOD)
    content = bytearray(archive.read_bytes())
    # The header of the second member of a plain .tar, compressed data elsewhere.
    position = 512 + -(-len(CONTENT) // 512) * 512 + 10 if make is _tar else len(content) // 2
    content[position] ^= 0xFF
    archive.write_bytes(content)
    refused(archive, "got ")


@pytest.mark.parametrize("content", [b"", b"<html>no archive</html>", b"\x1f\x8b", b"PK\3\4..."])
def test_other_files_are_refused(tmp_path, content, refused):
    (tmp_path / "x").write_bytes(content)
    refused(tmp_path / "x", "got (neither a .tar, a .tar.gz nor a .zip|an end|File is not a zip|C)")


def test_missing_archive_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        unpack(tmp_path / "none.tar", tmp_path / "y", max_bytes=LIMIT)
    assert list(tmp_path.iterdir()) == []
