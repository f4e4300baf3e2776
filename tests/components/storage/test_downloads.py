"""Files from a real server that does what servers do."""

import hashlib
import pty
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from components.storage import downloads
from components.storage.downloads import DownloadError, download
from tests.conftest import REPOSITORY
from tests.file_server import CONTENT, Remote

CHECKSUMS = {name: hashlib.new(name, CONTENT).hexdigest() for name in ("md5", "sha256")}
HALF = 150_000


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(downloads, "_PAUSE", 0.01)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "new" / "data.tar"


def _beside(target):
    """Endings of all that lies where the target should be, without the hashes of addresses."""
    endings = {file.name.removeprefix(target.name) for file in target.parent.iterdir()}
    return {re.sub(r"^\.[0-9a-f]{8}(?=\.part)", "", ending) for ending in endings}


def _part(target, url):
    return target.with_name(f"data.tar.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part")


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


@pytest.mark.parametrize(
    "bad", [Remote(content=b"<html>"), Remote(content=b"<html>", breaks=[2], chunked=True)]
)
def test_bad_mirror_costs_nothing_of_what_has_come_from_another(serve, target, bad):
    good = Remote(breaks=[HALF])
    urls = serve(good=good, bad=bad)
    with pytest.raises(DownloadError, match=r" 150000 of 300000 bytes"):
        download(urls, target, checksums=CHECKSUMS, attempts=1)
    assert _part(target, urls[0]).stat().st_size == HALF
    download(urls, target, checksums=CHECKSUMS, attempts=1)
    assert good.asked == [None, f"bytes={HALF}-"]
    _assert_only(target)


def test_parts_of_other_addresses_end_with_the_download_and_those_of_other_files_stay(
    serve, target
):
    remote = Remote(breaks=[HALF])
    first, second = serve(first=remote, second=Remote())
    longer = target.with_name("data.tar.gz")
    for unfinished in (target, longer):
        remote.breaks = [HALF]
        with pytest.raises(DownloadError):
            download([first], unfinished, attempts=1)
    kept = set(target.parent.glob("data.tar.gz.*"))
    download([second], target)
    assert len(kept) == 2 and set(target.parent.iterdir()) == {target, *kept}


def test_tries_are_counted_anew_after_one_that_got_further(serve, target):
    remote = Remote(breaks=[50_000, 0, 50_000, 0, 50_000, 0])
    download(serve(data=remote), target, checksums=CHECKSUMS, attempts=3)
    _assert_only(target)
    assert len(remote.asked) == 7


def test_server_that_starts_over_and_breaks_off_is_not_asked_for_ever(serve, target):
    remote = Remote(ranges=False, breaks=[HALF] * 9)
    with pytest.raises(DownloadError, match=r"broken"):
        download(serve(data=remote), target, attempts=3)
    assert len(remote.asked) == 3


@pytest.mark.parametrize("note", ['{"url": ', "[]", "{}"])
def test_damaged_note_about_the_part_is_no_obstacle(serve, target, note):
    (url,) = serve(data=Remote())
    target.parent.mkdir()
    _part(target, url).write_bytes(b"old")
    _part(target, url).with_suffix(".part.json").write_text(note)
    download([url], target)
    _assert_only(target)


@pytest.mark.parametrize("remote", [Remote(), Remote(length=-1), Remote(chunked=True)])
def test_more_bytes_than_allowed_are_refused_and_none_is_kept(serve, target, remote):
    (url,) = serve(data=remote)
    with pytest.raises(DownloadError, match=r"\(at most 299999 bytes\); got from .* bytes"):
        download([url], target, max_bytes=len(CONTENT) - 1)
    assert _beside(target) == set()
    assert remote.asked == [None]
    download([url], target, max_bytes=len(CONTENT))
    _assert_only(target)
    with pytest.raises(DownloadError, match="at most 7 bytes"):
        download([url], target, max_bytes=7)


def test_full_disk_is_an_error_before_anything_is_written(serve, target):
    (url,) = serve(data=Remote(length=1 << 60))
    target.parent.mkdir()
    # Parts of other addresses make room first.
    _part(target, "http://other").write_bytes(b"old")
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


BY_ITSELF = """
import sys
from pathlib import Path
from components.storage.downloads import download
download([sys.argv[1]], Path(sys.argv[2]))
"""


def test_killed_download_leaves_no_target_and_is_resumed(serve, target):
    remote = Remote(breaks=[HALF], gate=threading.Event())
    (url,) = serve(data=remote)
    process = subprocess.Popen([sys.executable, "-c", BY_ITSELF, url, target], cwd=REPOSITORY)
    part = _part(target, url)
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
