"""Where initial weights come from: prefixes, folders, archives, addresses, names, served models."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile

import pytest

from components.errors import ConfigError, DownloadFailedError
from components.initial_weights import find as module
from components.initial_weights.find import digest
from components.initial_weights.official import OFFICIAL_CHECKPOINTS
from components.initial_weights.options import InitialWeightsOptions
from components.storage import downloads
from models.variants import BACKBONES
from tests.conftest import REPOSITORY
from tests.file_server import Remote

PREFIX = "deeplabv3/model.ckpt-30000"
INDEX = b"index" + bytes.fromhex("57fb808b247547db")
HDF5 = b"\x89HDF\r\n\x1a\nand more"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def find(tmp_path, cache):
    """Finds a source, as the run of a model named `deeplab` would."""

    def find(source, **options):
        options = InitialWeightsOptions(source=source and str(source), **options)
        return module.find(options, served=str(tmp_path / "serving"), name="deeplab", cache=cache)

    return find


def write_checkpoint(prefix):
    """Files that have the form of a checkpoint."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    prefix.with_name(f"{prefix.name}.index").write_bytes(INDEX)
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(b"data")


@pytest.fixture
def source(tmp_path):
    """A folder with a checkpoint, laid out as in the official archives."""
    write_checkpoint(tmp_path / "source" / PREFIX)
    return tmp_path / "source"


@pytest.fixture
def archive(source, tmp_path):
    """The .tar.gz of it."""
    path = tmp_path / "deeplabv3_tiny.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(source / "deeplabv3", "deeplabv3")
    return path


@pytest.fixture
def push(tmp_path):
    """Puts a version of a model into the serving folder."""

    def push(version, name="deeplab", **description):
        folder = tmp_path / "serving" / name / version
        (folder / "assets.extra").mkdir(parents=True)
        (folder / "saved_model.pb").touch()
        whole = {"classes": ["a"], "model": {}, "identity": f"id{version}"}
        text = json.dumps(whole | description)
        (folder / "assets.extra" / "model.json").write_text(text)
        return folder

    return push


def test_no_source_is_none(find):
    assert find(None) is None and digest(None) == ""


@pytest.mark.parametrize(
    "path",
    [PREFIX, f"{PREFIX}.index", f"{PREFIX}.data-00000-of-00001", "deeplabv3", ""],
)
def test_prefix_files_and_folders_lead_to_it(source, find, path):
    assert find(source / path).path == str(source / PREFIX)


def test_relative_paths_are_made_absolute(source, find, monkeypatch):
    monkeypatch.chdir(source)
    assert find(PREFIX).path == str(source / PREFIX)


def test_archive_is_unpacked_and_anew_when_it_has_changed(archive, find):
    (first,) = {find(archive).path for _ in range(2)}
    assert open(first + ".index", "rb").read() == INDEX
    archive.write_bytes(archive.read_bytes() + bytes(512))
    assert find(archive).path != first


def test_folder_with_two_checkpoints_or_none_is_ambiguous(source, find):
    shutil.copy(source / f"{PREFIX}.index", source / "deeplabv3" / "model.ckpt-7.index")
    with pytest.raises(ConfigError, match=r"expected one checkpoint.*model.ckpt-7.index.*to fix"):
        find(source)
    (source / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"expected one checkpoint in .*empty; got none"):
        find(source / "empty")


@pytest.mark.parametrize("path", ["model.ckpt-1", "archive.tar.gz", "some.weights.h5"])
def test_nothing_there_is_an_error(tmp_path, find, path):
    with pytest.raises(ConfigError, match=f"source: expected a checkpoint at .*{path}.*to fix"):
        find(tmp_path / path)


@pytest.mark.parametrize("content", [b"", INDEX[:-1], b"version https://git-lfs.github.com/"])
def test_damaged_index_is_an_error(source, find, content):
    (source / f"{PREFIX}.index").write_bytes(content)
    with pytest.raises(ConfigError, match=rf"a TensorFlow checkpoint at .*got {len(content)} byt"):
        find(source / PREFIX)


@pytest.mark.parametrize("there, got", [([], "none of at least one"), ([1, 2], "2 of 3")])
def test_missing_shards_are_an_error(source, find, there, got):
    (source / f"{PREFIX}.data-00000-of-00001").unlink()
    for number in there:
        (source / f"{PREFIX}.data-{number:05d}-of-00003").touch()
    with pytest.raises(ConfigError, match=rf"expected all files .*data-.*; got {got}; to fix"):
        find(source / PREFIX)


def test_keras_weights_are_a_file_of_hdf5(tmp_path, find):
    file = tmp_path / "mobile.weights.h5"
    file.write_bytes(HDF5)
    found = find(file)
    assert (found.path, found.files()) == (str(file), [str(file)])
    file.write_bytes(b"<html>")
    with pytest.raises(ConfigError, match=r"expected HDF5 at .*h5; got 6 bytes of something else"):
        find(file)


def test_sha256_is_of_one_file(archive, source, find, push):
    right = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert find(archive, sha256=right.upper()).path.endswith(PREFIX)
    with pytest.raises(ConfigError, match=rf"expected .*of SHA-256 0{{64}}; got {right}; to fix"):
        find(archive, sha256="0" * 64)
    push("1")
    for other in (source, source / PREFIX, "served"):
        with pytest.raises(ConfigError, match=r"for initial_weights.sha256; got .*leave sha256 ou"):
            find(other, sha256=right)


def test_address_is_downloaded_once(archive, find, serve, monkeypatch):
    remote = Remote(archive.read_bytes())
    (address,) = serve(**{archive.name: remote})
    monkeypatch.setitem(OFFICIAL_CHECKPOINTS, "tiny_one", address)
    (prefix,) = {find(path).path for path in (address, "tiny_one")}
    assert open(prefix + ".index", "rb").read() == INDEX
    assert len(remote.asked) == 1


def test_address_may_be_of_keras_weights_but_not_of_anything(find, serve):
    keras, page = serve(**{"x.weights.h5": Remote(HDF5), "page.html": Remote(b"<html>")})
    assert open(find(keras).path, "rb").read() == HDF5
    with pytest.raises(ConfigError, match=r"expected an address of a .*got http.*page.html; to f"):
        find(page)


def test_address_without_a_file_is_an_error(cache, find, serve):
    (address,) = serve(other=Remote())
    with pytest.raises(
        DownloadFailedError, match=r"expected .*none.tar.gz .*; got from http://.*404.*to fix"
    ):
        find(address.replace("other", "none.tar.gz"))
    assert list(cache.iterdir()) == []


def test_download_of_another_hash_or_too_large_is_refused(archive, cache, find, serve):
    (address,) = serve(**{archive.name: Remote(archive.read_bytes())})
    with pytest.raises(DownloadFailedError, match=r"sha256 0{64}\); got from .*to fix"):
        find(address, sha256="0" * 64)
    with pytest.raises(DownloadFailedError, match=r"at most 10 bytes\); got from .*to fix"):
        find(address, max_bytes=10)
    assert list(cache.iterdir()) == []


def test_content_of_an_archive_is_bounded_too(archive, find):
    with pytest.raises(ConfigError, match=r"archive of at most 10 bytes unpacked .*to fix"):
        find(archive, max_bytes=10)


def test_damaged_download_is_not_kept(archive, cache, find, serve):
    remote = Remote(archive.read_bytes()[:-20])
    (address,) = serve(**{archive.name: remote})
    with pytest.raises(DownloadFailedError, match="expected a whole and harmless archive"):
        find(address)
    assert list(cache.iterdir()) == []
    remote.content = archive.read_bytes()
    assert find(address).path.endswith(PREFIX)


def test_interrupted_download_is_never_taken_for_the_archive(
    archive, cache, find, serve, monkeypatch
):
    monkeypatch.setattr(downloads, "_PAUSE", 0)
    content = archive.read_bytes()
    half = len(content) // 2
    remote = Remote(content, breaks=[half, 0, 0])
    (address,) = serve(**{archive.name: remote})
    with pytest.raises(
        DownloadFailedError, match=rf"got from {address}: .*{half} of {len(content)} bytes"
    ):
        find(address)
    # What has come so far stays, under names that nothing else reads.
    part = f".{hashlib.sha256(address.encode()).hexdigest()[:8]}.part"
    assert {file.name.partition(archive.name)[2] for file in cache.iterdir()} == {
        part,
        f"{part}.json",
    }
    prefix = find(address).path
    assert open(prefix + ".index", "rb").read() == INDEX
    assert remote.asked == [None, *[f"bytes={half}-"] * 3]


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside"])
def test_archive_that_leaves_its_folder_is_refused(tmp_path, cache, find, name):
    with tarfile.open(tmp_path / "bad.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(ConfigError, match=r"expected a whole and harmless"):
        find(tmp_path / "bad.tar.gz")
    assert list(cache.iterdir()) == []


def test_served_is_the_newest_whole_version_of_the_own_name_or_of_another(find, push, tmp_path):
    push("9"), push("11", "street"), push("temporary")
    newest = push("10")
    (tmp_path / "serving" / "deeplab" / "12").mkdir()  # not whole yet
    found = find("served")
    assert (found.path, found.identity, digest(found)) == (str(newest), "id10", "id10")
    assert find("served:street").identity == "id11"
    assert find(newest).identity == "id10"


def test_nothing_served_is_an_error(find):
    with pytest.raises(ConfigError, match=r"expected a served model in .*/serving/other; got no v"):
        find("served:other")


def test_model_of_another_program_is_an_error(find, push):
    folder = push("1")
    description = folder / "assets.extra" / "model.json"
    for text in ('{"classes": []}', "[]", "{"):
        description.write_text(text)
        with pytest.raises(ConfigError, match="expected a model that this pipeline exported in "):
            find("served")
    description.unlink()
    with pytest.raises(ConfigError, match=r"got model.json without classes, .* or none; to fix"):
        find(folder)


def test_digest_sees_other_files(source, find):
    before = digest(find(source))
    assert before == digest(find(source / PREFIX)) and len(before) == 16
    os.utime(source / f"{PREFIX}.data-00000-of-00001", (1, 1))
    assert digest(find(source)) != before


def test_checkpoint_beside_others_is_known_by_its_own_files_alone(source, find):
    before = digest(find(source / PREFIX))
    write_checkpoint(source / f"{PREFIX}7")
    assert find(source / PREFIX).files() == [
        str(source / f"{PREFIX}.data-00000-of-00001"),
        str(source / f"{PREFIX}.index"),
    ]
    assert digest(find(source / PREFIX)) == before


def test_everything_local_is_found_without_tensorflow(archive, push, tmp_path):
    push("1")
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from components.initial_weights import find\n"
        "from components.initial_weights.options import InitialWeightsOptions\n"
        "for source in sys.argv[2:]:\n"
        "    options = InitialWeightsOptions(source=source)\n"
        "    root = Path(sys.argv[1])\n"
        "    found = find.find(\n"
        "        options, served=str(root / 'serving'), name='deeplab', cache=root / 'cache'\n"
        "    )\n"
        "    assert find.digest(found)\n"
        "slow = {'tensorflow', 'keras', 'tfx', 'h5py'} & set(sys.modules)\n"
        "assert not slow, slow\n"
    )
    sources = [str(archive), str(tmp_path / "source"), "served"]
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), *sources], cwd=REPOSITORY, check=True
    )


def test_every_backbone_but_the_resnets_has_published_weights():
    backbones = {"_".join(name.split("_")[:2]) for name in OFFICIAL_CHECKPOINTS}
    assert backbones == {name for name in BACKBONES if not name.startswith("resnet")}
    assert all(url.endswith(".tar.gz") for url in OFFICIAL_CHECKPOINTS.values())
