"""What is served stays what it was, or the run says so; a version is whole or not there."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import schemas
from components.errors import ConfigError, PipelineError
from components.serving import pushing, succession, versions
from components.storage import paths
from tests.components.serving.model_folders import make_model, push
from tests.conftest import REPOSITORY


@pytest.fixture
def folder(tmp_path) -> str:
    return str(tmp_path / "serving" / "deeplab")


@pytest.fixture
def model(tmp_path) -> str:
    """A folder as an export leaves it, as far as pushing goes."""
    return make_model(tmp_path / "model", "sample")


def contents(folder: str) -> dict[str, bytes]:
    root = Path(folder)
    return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}


def test_a_pushed_version_is_the_model_with_what_it_was_made_from(model, folder):
    version = push(model, folder)
    assert versions.newest_version(folder) == version
    names = ("data_report.json", "provenance.json", "attestation.intoto.json")
    added = {f"assets.extra/{name}" for name in names}
    pushed = contents(version)
    assert {name: pushed[name] for name in pushed.keys() - added} == contents(model)
    assert pushed.keys() >= added
    assert versions.read_provenance(version).made_from == "ab"
    assert versions.identity(version) == "sample1weights"


def test_numbers_grow_even_if_a_clock_was_ahead(model, folder):
    ahead = int(time.time()) + 10_000
    os.makedirs(os.path.join(folder, str(ahead)))  # not even a whole one
    first, second = push(model, folder), push(model, folder)
    assert [int(Path(v).name) for v in (first, second)] == [ahead + 1, ahead + 2]
    assert versions.versions(folder) == [second, first]


def test_newest_is_the_highest_number_of_those_that_are_whole(model, folder):
    assert versions.newest_version(folder) is None
    for name in ("9", "10", "temporary"):
        paths.copy_tree(model, os.path.join(folder, name))
    os.makedirs(os.path.join(folder, "11"))
    assert versions.newest_version(folder) == os.path.join(folder, "10")


def test_what_cannot_be_pushed_whole_leaves_nothing(model, folder):
    os.remove(os.path.join(model, "saved_model.pb"))
    with pytest.raises(OSError):
        push(model, folder)
    assert os.listdir(folder) == []


def test_what_a_killed_push_left_is_no_version_and_goes_with_the_next(model, folder):
    left = os.path.join(folder, ".unfinished-0123")
    paths.copy_tree(model, left)
    assert versions.versions(folder) == []
    version = push(model, folder)
    assert os.listdir(folder) == [os.path.basename(version)]


def test_a_store_gets_the_graph_last(model, folder, store):
    """Such a store has no renaming; without its graph a folder is no version."""
    remote = f"{store}served/deeplab"
    version = push(model, remote)
    assert versions.versions(remote) == [version]
    assert versions.read_provenance(version).made_from == "ab"


def test_a_run_builds_on_what_another_has_pushed(model, folder):
    assert succession.baseline_version(folder, "me") is None
    other = push(model, folder, "other")
    assert succession.baseline_version(folder, "me") == other
    push(model, folder, "me")
    assert succession.baseline_version(folder, "me") == other
    newer = push(model, folder, "another")
    assert succession.baseline_version(folder, "me") == newer


@pytest.mark.parametrize("text", [None, "{", "[]", '{"other": 1}'])
def test_a_version_of_something_else_is_a_baseline_too(model, folder, text):
    path = os.path.join(folder, "7")
    paths.copy_tree(model, path)
    if text is not None:
        Path(path, "assets.extra", "provenance.json").write_text(text)
    assert versions.read_provenance(path) is None
    assert succession.baseline_version(folder, "me") == path


def test_model_of_other_classes_is_not_pushed_over(tmp_path, folder):
    pascal, sample = schemas.load("pascal"), schemas.load("sample")
    versions.require_same_classes(folder, pascal.class_names, "pascal")
    push(make_model(tmp_path / "model", "pascal"), folder)
    versions.require_same_classes(folder, pascal.class_names, "pascal")
    with pytest.raises(ConfigError, match=r"got a model of the 21 classes of pascal.*to fix, give"):
        versions.require_same_classes(folder, sample.class_names, "sample")


def test_a_model_that_does_not_say_its_classes_is_not_pushed_over(tmp_path, folder):
    model = make_model(tmp_path / "model", "sample")
    Path(model, "assets.extra", "model.json").write_text("{}")
    push(model, folder)
    with pytest.raises(ConfigError, match="got a model of unknown classes"):
        versions.require_same_classes(folder, ("a", "b"), "sample")


def served(version: str, folder: str) -> None:
    succession.require_served(version, folder, versions.content(version))


def test_pushed_is_only_what_a_server_answers_with(model, folder, tmp_path):
    first = push(model, folder)
    served(first, folder)
    push(model, folder)
    with pytest.raises(PipelineError, match=r"to fix, push it again: .* Pusher"):
        served(first, folder)
    with pytest.raises(PipelineError, match="got no version there"):
        succession.require_served(first, str(tmp_path / "emptied"))


@pytest.mark.parametrize("name", ["99999999999", "09223372036854775807"])
def test_a_higher_number_is_what_a_server_tries_whatever_it_holds(model, folder, name):
    version = push(model, folder)
    other = os.path.join(folder, name)
    os.mkdir(other)
    with pytest.raises(PipelineError, match=f"got {other}, which a server would try to load"):
        served(version, folder)
    paths.copy_tree(model, other)
    with pytest.raises(PipelineError, match=f"got {other}; to fix"):
        served(version, folder)


@pytest.mark.parametrize(
    "name", ["٩٩٩٩٩٩٩٩٩٩٩", "99999999999.old", "-1", "99999999999999999999", "1e99", "²"]
)
def test_what_servers_take_for_no_number_is_no_version(model, folder, name):
    version = push(model, folder)
    paths.copy_tree(model, os.path.join(folder, name))
    served(version, folder)
    assert versions.versions(folder) == [version]


def test_a_number_beyond_the_last_one_is_not_pushed(model, folder):
    os.makedirs(os.path.join(folder, "9223372036854775807"))
    with pytest.raises(PipelineError, match=r"got .*9223372036854775807; to fix, remove it"):
        push(model, folder)


@pytest.mark.parametrize("change", ["gone", "renamed", "file", "weights", "another model"])
def test_a_version_that_was_changed_is_not_what_was_pushed(model, folder, tmp_path, change):
    version = push(model, folder)
    pushed = versions.content(version)
    if change == "gone":
        paths.remove_tree(version)
    elif change == "renamed":
        os.rename(version, os.path.join(folder, "99999999999"))
    elif change == "file":
        os.remove(os.path.join(version, "variables", "data"))
    elif change == "weights":
        Path(version, "variables", "data").write_bytes(b"WEIGHTS")
    else:
        other = make_model(tmp_path / "other", "pascal")
        os.rename(push(other, str(tmp_path / "elsewhere")), version + "0")
        paths.remove_tree(version)
        os.rename(version + "0", version)
    with pytest.raises(PipelineError, match=f"was pushed to {version}; got"):
        succession.require_served(version, folder, pushed)


def test_what_pushing_adds_is_no_part_of_the_model(model, folder, store):
    version = push(model, folder)
    assert versions.content(version) == versions.content(model)
    assert versions.is_unharmed(version)
    remote = push(model, f"{store}content/deeplab")
    assert versions.content(remote) == versions.content(model)


def test_what_older_code_pushed_is_unharmed_as_far_as_one_can_tell(model, folder):
    version = push(model, folder)
    path = Path(version, "assets.extra", "provenance.json")
    known = json.loads(path.read_text())
    del known["content"]
    path.write_text(json.dumps(known))
    assert versions.is_unharmed(version) and versions.read_provenance(version).made_from == "ab"


@pytest.mark.parametrize("place", ["here", "store"])
@pytest.mark.parametrize("keep", [1, 2, 3, 7])
def test_so_many_of_the_newest_stay_and_what_is_needed(model, folder, place, keep, store):
    folder = f"{store}kept-{keep}/deeplab" if place == "store" else folder
    pushed = [push(model, folder) for _ in range(5)][::-1]
    needed = os.path.basename(pushed[3])
    gone = pushing.remove_older(folder, keep, {needed, "999"})
    left = [v for i, v in enumerate(pushed) if i < keep or i == 3]
    assert versions.versions(folder) == versions.numbered(folder) == left
    assert sorted(gone + left) == sorted(pushed)
    assert all(versions.is_unharmed(version) for version in left)


def test_pushes_at_once_all_arrive_each_with_a_number_of_its_own(model, folder):
    script = "import sys; from tests.components.serving import model_folders as m; "
    script += "print(m.push(*sys.argv[1:]))"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, model, folder],
            cwd=REPOSITORY, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(6)
    ]  # fmt: skip
    pushed = [process.communicate()[0].strip() for process in processes]
    assert sorted(pushed) == sorted(versions.versions(folder)) and len(set(pushed)) == 6
    assert all(versions.is_unharmed(version) for version in pushed)
    assert sorted(os.listdir(folder)) == sorted(map(os.path.basename, pushed))
