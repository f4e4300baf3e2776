"""A push is on the disk before anybody sees it, and many at once to one store take turns."""

import os
import threading
import uuid
from pathlib import Path

import pytest

from components.errors import ConfigError, PipelineError
from components.runtime import Signing
from components.serving import models_config, pushing, succession, versions
from components.serving.signing import keys, signer, verification
from components.serving.signing.files import SIGNATURE_FILE
from components.storage import paths
from tests.components.serving.model_folders import make_model, push


@pytest.fixture
def folder(tmp_path) -> str:
    return str(tmp_path / "serving" / "deeplab")


@pytest.fixture
def model(tmp_path) -> str:
    return make_model(tmp_path / "model", "sample")


@pytest.fixture
def signing(tmp_path) -> Signing:
    keys.make_pair(str(tmp_path / "keys"), None)
    return Signing(private_key=str(tmp_path / "keys" / keys.PRIVATE))


def provenance() -> versions.Provenance:
    return versions.Provenance(made_from="ab", pipeline="p", pushed_at="2026-01-02T03:04:05")


# === A loss of power ===


class Disk:
    """What a loss of power would leave: the inodes that were flushed, and when names changed."""

    def __init__(self, monkeypatch):
        self.flushed: set[tuple[int, int]] = set()
        self.events: list[tuple[str, str]] = []
        self.unflushed_at_rename: dict[str, list[str]] = {}
        fsync, rename = os.fsync, os.rename

        def note_fsync(handle):
            fsync(handle)
            status = os.fstat(handle)
            self.flushed.add((status.st_dev, status.st_ino))
            self.events.append(("flushed", os.readlink(f"/proc/self/fd/{handle}")))

        def note_rename(source, target):
            below = [source, *(str(path) for path in Path(source).rglob("*"))]
            self.unflushed_at_rename[target] = [p for p in below if not self._is_flushed(p)]
            rename(source, target)
            self.events.append(("renamed", target))

        monkeypatch.setattr(os, "fsync", note_fsync)
        monkeypatch.setattr(os, "rename", note_rename)

    def _is_flushed(self, path: str) -> bool:
        status = os.stat(path)
        return (status.st_dev, status.st_ino) in self.flushed


@pytest.mark.parametrize("is_signed", [False, True])
def test_all_is_on_the_disk_before_a_version_has_its_name_and_the_name_after(
    model, folder, signing, is_signed, monkeypatch
):
    disk = Disk(monkeypatch)
    version = pushing.push(
        model, folder, {}, provenance(), data={}, signing=signing if is_signed else None
    )
    assert disk.unflushed_at_rename == {version: []}
    after = disk.events[disk.events.index(("renamed", version)) + 1 :]
    assert ("flushed", folder) in after and ("flushed", os.path.dirname(folder)) in after
    # Each folder after all that lies in it.
    order = [path for event, path in disk.events if event == "flushed" and ".unfinished-" in path]
    last = {path: index for index, path in enumerate(order)}
    assert all(last[os.path.dirname(path)] > last[path] for path in last if path.count("/") > 1
               and os.path.dirname(path) in last)  # fmt: skip


def test_a_file_written_whole_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(handle):
        order.append(os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    def note_replace(source, target):
        order.append((str(source), str(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    target = str(tmp_path / "models.config")
    paths.write_text(target, "text")
    (part, moved, above) = order
    assert moved == (part, target) and above == str(tmp_path)


# === Many at once ===


def test_pushes_to_a_store_at_once_all_arrive_each_whole_with_a_number_of_its_own(tmp_path, store):
    folder = f"{store}at-once/{uuid.uuid4().hex}/deeplab"
    models = [make_model(tmp_path / str(i), "sample", b"%d" % i) for i in range(8)]
    pushed: list[str] = []
    threads = [threading.Thread(target=lambda m=m: pushed.append(push(m, folder))) for m in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(pushed)) == 8
    assert sorted(pushed) == sorted(versions.versions(folder)) == sorted(versions.numbered(folder))
    for version in pushed:
        assert verification.examine(version, None).faults == ()
    assert {versions.content(v) for v in pushed} == {versions.content(m) for m in models}
    assert sorted(paths.list_folder(folder)) == sorted(map(os.path.basename, pushed))


def test_a_push_to_a_store_that_another_overtakes_is_whole_and_below_it(
    tmp_path, monkeypatch, store
):
    """While the first writes, the second comes and ends."""
    folder = f"{store}overtaken/{uuid.uuid4().hex}/deeplab"
    first, second = (make_model(tmp_path / name, "sample", name.encode()) for name in "ab")
    copy_tree, pushed = paths.copy_tree, []

    def overtaken(source, target, without=()):
        if paths.is_remote(target) and not pushed:
            pushed.append("")
            pushed[0] = push(second, folder, "b")
        copy_tree(source, target, without)

    monkeypatch.setattr(paths, "copy_tree", overtaken)
    version = push(first, folder, "a")
    assert versions.versions(folder) == [pushed[0], version]
    assert versions.content(version) == versions.content(first)
    assert all(verification.examine(each, None).faults == () for each in (version, pushed[0]))
    with pytest.raises(PipelineError, match=rf"got {store}.*to fix, push it again"):
        succession.require_served(version, folder)


def test_a_claim_that_a_killed_push_left_keeps_nobody_from_pushing(model, store):
    folder = f"{store}left/{uuid.uuid4().hex}/deeplab"
    paths.make_folder(folder)
    first = int(os.path.basename(push(model, folder)))
    for number in range(first, first + 40):
        paths.write_bytes(f"{folder}/.claim-{number}-{uuid.uuid4().hex}", b"")
    version = push(model, folder)
    assert verification.examine(version, None).faults == ()
    number = int(os.path.basename(version))
    left = [int(name.split("-")[1]) for name in paths.list_folder(folder) if name[0] == "."]
    assert all(each > number for each in left)
    assert versions.versions(folder)[0] == version


def test_a_number_beyond_the_last_one_is_not_claimed(model, store):
    folder = f"{store}last/{uuid.uuid4().hex}/deeplab"
    paths.make_folder(f"{folder}/{versions.HIGHEST - 1}")
    paths.write_bytes(f"{folder}/{versions.HIGHEST - 1}/saved_model.pb", b"")
    assert push(model, folder).endswith(f"/{versions.HIGHEST}")
    with pytest.raises(PipelineError, match="to fix, remove it"):
        push(model, folder)


# === Signed ===


@pytest.mark.parametrize("place", ["here", "store"])
def test_a_copy_is_signed_anew_under_its_own_number(model, folder, signing, tmp_path, place, store):
    folder = folder if place == "here" else f"{store}signed/{uuid.uuid4().hex}/deeplab"
    verifier = signer.own(signing)
    first = pushing.push(model, folder, {}, provenance(), data={}, signing=signing)
    push(make_model(tmp_path / "other", "sample", b"other"), folder, "cd")
    copy = succession.roll_back(folder, first, signing)
    for version in (first, copy):
        found = verification.examine(version, verifier)
        assert found.faults == () and f"the number {os.path.basename(version)}" in found.holds[-1]
    assert paths.read_bytes(f"{first}/{SIGNATURE_FILE}") != paths.read_bytes(
        f"{copy}/{SIGNATURE_FILE}"
    )
    # Without a key it is copied, and says that it is not signed.
    unsigned = succession.roll_back(folder, first)
    assert verification.examine(unsigned, None).faults == ()
    assert not versions.read_provenance(unsigned).signed
    assert not paths.exists(f"{unsigned}/{SIGNATURE_FILE}")


def test_nothing_is_signed_that_was_changed_or_is_anothers(model, folder, signing, tmp_path):
    keys.make_pair(str(tmp_path / "other"), None)
    others = Signing(private_key=str(tmp_path / "other" / keys.PRIVATE))
    first = pushing.push(model, folder, {}, provenance(), data={}, signing=signing)
    push(make_model(tmp_path / "more", "sample", b"more"), folder, "cd")
    before = versions.versions(folder)
    with pytest.raises(ConfigError, match=r"got .*the signature: .*to fix, choose another one"):
        succession.roll_back(folder, first, others)
    Path(first, "assets.extra", "model.json").write_text("{}")
    for how in (signing, None):
        with pytest.raises(ConfigError, match=r"assets.extra/model.json was changed"):
            succession.roll_back(folder, first, how)
    assert versions.versions(folder) == before


def test_a_key_that_is_gone_by_then_leaves_no_version(model, folder, signing, store):
    os.remove(signing.private_key)
    for place in (folder, f"{store}keyless/{uuid.uuid4().hex}/deeplab"):
        with pytest.raises(ConfigError, match="expected a private key"):
            pushing.push(model, place, {}, provenance(), signing=signing)
        assert versions.numbered(place) == [] and paths.list_folder(place) == []


def test_labels_of_models_that_are_pushed_to_one_store_at_once_are_all_kept(tmp_path):
    # TensorFlow's store in memory adds to a file of one name, where others replace it.
    root = f"file://{tmp_path}/store"
    model = make_model(tmp_path / "model", "sample")

    def work(name: str) -> None:
        version = push(model, f"{root}/{name}")
        models_config.label(f"{root}/{name}", int(os.path.basename(version)), "stable")

    names = [f"model-{index}" for index in range(6)]
    threads = [threading.Thread(target=work, args=[name]) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in names:
        (version,) = versions.versions(f"{root}/{name}")
        assert models_config.labels(f"{root}/{name}") == {"stable": int(os.path.basename(version))}
    assert paths.list_folder(root) == [*names, models_config.FILE]
