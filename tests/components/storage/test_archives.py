"""Archives of every kind, good and bad."""

import gzip
import io
import itertools
import os
import random
import stat
import struct
import subprocess
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from components.storage.archives import ArchiveError, unpack

CONTENT = random.Random(0).randbytes(300_000)
LIMIT = 1 << 20


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


@pytest.mark.parametrize("change", [{-6: 0xFF}, {-41: 0, -39: 1}])
def test_zip_whose_directory_is_garbled_is_refused(tmp_path, change, refused):
    content = bytearray(_zip(tmp_path / "x", [("a", b"1")]).read_bytes())
    # Where the directory starts, or its one name, whose only byte goes to another field.
    for position, value in change.items():
        content[position] = value
    (tmp_path / "x").write_bytes(content)
    refused(tmp_path / "x", "got ")


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
    # Newer Pythons refuse to go back themselves.
    refused(tmp_path / "x", "of impossible size|invalid offset")


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
