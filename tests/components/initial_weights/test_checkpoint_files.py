"""Where checkpoints come from: prefixes, folders, archives, addresses, names."""

import hashlib
import shutil
import tarfile

import pytest

from components.initial_weights.checkpoint_files import find_prefix
from components.storage import downloads
from models import variants
from tests.file_server import Remote

PREFIX = "deeplabv3/model.ckpt-30000"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def source(tmp_path):
    """A folder with a checkpoint, laid out as in the official archives."""
    folder = tmp_path / "source"
    for ending in (".index", ".data-00000-of-00001"):
        path = folder / f"{PREFIX}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(ending.encode())
    return folder


@pytest.fixture
def archive(source, tmp_path):
    """The .tar.gz of it."""
    path = tmp_path / "deeplabv3_tiny.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(source / "deeplabv3", "deeplabv3")
    return path


@pytest.mark.parametrize(
    "path",
    [PREFIX, f"{PREFIX}.index", f"{PREFIX}.data-00000-of-00001", "deeplabv3", ""],
)
def test_prefix_files_and_folders_lead_to_it(source, cache, path):
    assert find_prefix(str(source / path), cache) == str(source / PREFIX)


def test_archive_is_unpacked_and_anew_when_it_has_changed(archive, cache):
    (first,) = {find_prefix(str(archive), cache) for _ in range(2)}
    assert open(first + ".index", "rb").read() == b".index"
    archive.write_bytes(archive.read_bytes() + bytes(512))
    assert find_prefix(str(archive), cache) != first


def test_folder_with_two_checkpoints_or_none_is_ambiguous(source, cache):
    shutil.copy(source / f"{PREFIX}.index", source / "deeplabv3" / "model.ckpt-7.index")
    with pytest.raises(ValueError, match=r"expected one checkpoint.*model.ckpt-7.index.*to fix"):
        find_prefix(str(source), cache)
    (source / "empty").mkdir()
    with pytest.raises(ValueError, match=r"expected one checkpoint in .*empty; got none"):
        find_prefix(str(source / "empty"), cache)


@pytest.mark.parametrize("path", ["model.ckpt-1", "archive.tar.gz"])
def test_nothing_there_is_an_error(tmp_path, cache, path):
    with pytest.raises(FileNotFoundError, match=f"expected a checkpoint at .*{path}.*to fix"):
        find_prefix(str(tmp_path / path), cache)


def test_address_is_downloaded_once(archive, cache, serve, monkeypatch):
    remote = Remote(archive.read_bytes())
    (address,) = serve(**{archive.name: remote})
    monkeypatch.setitem(variants.OFFICIAL_CHECKPOINTS, "tiny_one", address)
    (prefix,) = {find_prefix(path, cache) for path in (address, "tiny_one")}
    assert open(prefix + ".index", "rb").read() == b".index"
    assert len(remote.asked) == 1


def test_address_without_a_file_is_an_error(cache, serve):
    (address,) = serve(other=Remote())
    with pytest.raises(OSError, match=r"expected .*none.tar.gz; got from http://.*404.*to fix"):
        find_prefix(address.replace("other", "none.tar.gz"), cache)
    assert list(cache.iterdir()) == []


def test_interrupted_download_is_never_taken_for_the_archive(archive, cache, serve, monkeypatch):
    monkeypatch.setattr(downloads, "_PAUSE", 0)
    content = archive.read_bytes()
    half = len(content) // 2
    remote = Remote(content, breaks=[half, 0, 0])
    (address,) = serve(**{archive.name: remote})
    with pytest.raises(OSError, match=rf"got from {address}: .*{half} of {len(content)} bytes"):
        find_prefix(address, cache)
    # What has come so far stays, under names that nothing else reads.
    part = f".{hashlib.sha256(address.encode()).hexdigest()[:8]}.part"
    assert {file.name.partition(archive.name)[2] for file in cache.iterdir()} == {
        part,
        f"{part}.json",
    }
    prefix = find_prefix(address, cache)
    assert open(prefix + ".index", "rb").read() == b".index"
    assert remote.asked == [None, *[f"bytes={half}-"] * 3]


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside"])
def test_archive_that_leaves_its_folder_is_refused(tmp_path, cache, name):
    with tarfile.open(tmp_path / "bad.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(ValueError, match=r"expected a whole and harmless"):
        find_prefix(str(tmp_path / "bad.tar.gz"), cache)
    assert list(cache.iterdir()) == []


def test_every_backbone_but_the_resnets_has_published_weights():
    backbones = {"_".join(name.split("_")[:2]) for name in variants.OFFICIAL_CHECKPOINTS}
    assert backbones == {name for name in variants.BACKBONES if not name.startswith("resnet")}
    assert all(url.endswith(".tar.gz") for url in variants.OFFICIAL_CHECKPOINTS.values())
