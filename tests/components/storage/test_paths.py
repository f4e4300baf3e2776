"""The same functions on this machine's disk, on TensorFlow's in-memory store and on one of S3."""

import subprocess
import sys
import uuid

import pytest

from components.storage import paths
from tests.conftest import REPOSITORY


@pytest.fixture(params=["local", "remote", "s3", pytest.param("minio", marks=pytest.mark.slow)])
def root(request, tmp_path):
    if request.param == "local":
        return str(tmp_path)
    if request.param != "remote":
        return f"{request.param}://{request.getfixturevalue('s3_bucket')}/run"
    return f"ram://paths-{uuid.uuid4().hex}"


def test_files_and_folders(root):
    folder = paths.join(root, "a", "b")
    assert not paths.exists(folder) and paths.list_folder(folder) == []
    paths.make_folder(folder)
    paths.make_folder(folder)
    paths.write_text(paths.join(folder, "text"), "grün")
    paths.write_bytes(paths.join(folder, "bytes"), b"\xff\x00")
    assert paths.list_folder(folder) == ["bytes", "text"]
    assert paths.list_folder(root) == ["a"]
    assert paths.read_text(paths.join(folder, "text")) == "grün"
    assert paths.read_bytes(paths.join(folder, "bytes")) == b"\xff\x00"
    assert paths.is_folder(folder) and not paths.is_folder(paths.join(folder, "text"))
    size, time = paths.size_and_time(paths.join(folder, "bytes"))
    assert size == 2
    assert time > 0 or paths.is_remote(root)  # which keeps no times in memory
    paths.remove_tree(folder)
    paths.remove_tree(folder)
    assert not paths.exists(folder)


def test_trees_are_copied_in_every_direction(root, tmp_path):
    source = tmp_path / "source"
    (source / "in").mkdir(parents=True)
    (source / "in" / "file").write_bytes(b"1")
    (source / "top").write_bytes(b"2")
    for start, end in (
        (str(source), paths.join(root, "x")),
        (paths.join(root, "x"), paths.join(root, "y")),
        (paths.join(root, "y"), str(tmp_path / "z")),
    ):
        paths.copy_tree(start, end)
        found = paths.walk_files(end)
        assert found == [paths.join(end, "in", "file"), paths.join(end, "top")]
        assert [paths.read_bytes(path) for path in found] == [b"1", b"2"]


def test_some_files_of_a_tree_may_be_left_out(root):
    folder = paths.join(root, "some", "tree")
    paths.make_folder(paths.join(folder, "in"))
    for name in ("kept", "left", "in/left"):
        paths.write_text(paths.join(folder, name), name)
    paths.copy_tree(folder, paths.join(root, "copy"), without=("left",))
    assert paths.walk_files(paths.join(root, "copy")) == [
        paths.join(root, "copy", "in", "left"),
        paths.join(root, "copy", "kept"),
    ]


def test_a_folder_of_this_machine_is_renamed(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "file").touch()
    paths.rename(str(tmp_path / "old"), str(tmp_path / "new"))
    assert paths.walk_files(str(tmp_path)) == [str(tmp_path / "new" / "file")]


def test_errors_of_a_store_are_those_of_a_disk(root):
    with pytest.raises(FileNotFoundError, match="nothing"):
        paths.read_text(paths.join(root, "nothing"))


def test_files_are_replaced(tmp_path):
    """Not tried on the in-memory file system, which appends to a file that is there."""
    (tmp_path / "source").mkdir()
    for content in (b"long content", b"short"):
        paths.write_bytes(str(tmp_path / "source" / "file"), content)
        paths.copy_tree(str(tmp_path / "source"), str(tmp_path / "copy"))
        assert (tmp_path / "copy" / "file").read_bytes() == content


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_nothing_beside(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(TypeError):
        paths.write_bytes(str(tmp_path / "file"), "no bytes")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize("path", ["gs://bucket/x", "s3://b", "ram://x/y", "hdfs://host/x"])
def test_stores_are_remote_and_keep_their_slashes(path):
    assert paths.is_remote(path)
    assert paths.join(path + "/", "a", "b") == path + "/a/b"


@pytest.mark.parametrize("path", ["/x", "x", "./gs:/x", "C:/x", "model.ckpt-1"])
def test_other_paths_are_of_this_machine(path):
    assert not paths.is_remote(path)


def test_patterns_are_known():
    assert all(paths.has_glob(f"/data/{name}") for name in ("a*", "a?", "[ab]", "a]"))
    assert not paths.has_glob("gs://bucket/data-1_(2){3}")


def test_the_room_works_without_tensorflow(tmp_path):
    modules = "archives, downloads, folders, locks, paths"
    program = (
        f"import sys; from components.storage import {modules}\n"
        f"paths.copy_tree({str(REPOSITORY / 'schemas')!r}, {str(tmp_path / 'copy')!r})\n"
        "slow = {'tensorflow', 'keras', 'tfx', 'apache_beam'} & set(sys.modules)\n"
        "assert not slow, slow"
    )
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True)
    assert (tmp_path / "copy" / "sample" / "dataset.toml").exists()


def test_what_knows_no_flushing_is_left_alone_and_what_is_not_there_is_said(tmp_path):
    paths.flush("/proc")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("text")
    paths.flush_tree(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        paths.flush(str(tmp_path / "gone"))
