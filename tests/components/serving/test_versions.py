"""What is served stays what it was, or the run says so; a version is whole or not there."""

import json
import os
import time
from pathlib import Path

import pytest

import schemas
from components.errors import ConfigError, PipelineError
from components.serving import versions
from components.storage import paths


@pytest.fixture
def folder(tmp_path) -> str:
    return str(tmp_path / "serving" / "deeplab")


@pytest.fixture
def model(tmp_path) -> str:
    """A folder as an export leaves it, as far as pushing goes."""
    return make_model(tmp_path / "model", "sample")


def make_model(folder: Path, dataset: str) -> str:
    (folder / "assets.extra").mkdir(parents=True)
    (folder / "variables").mkdir()
    (folder / "variables" / "data").write_bytes(b"weights")
    (folder / "saved_model.pb").write_bytes(b"graph")
    classes = list(schemas.load(dataset).class_names)
    description = {"dataset": dataset, "classes": classes, "identity": f"{dataset}1"}
    (folder / "assets.extra" / "model.json").write_text(json.dumps(description))
    return str(folder)


def push(model: str, folder: str, made_from: str = "ab") -> str:
    provenance = versions.Provenance(made_from=made_from, pipeline="p", pushed_at="now")
    return versions.push(model, folder, {versions.DATA_REPORT: "{}"}, provenance)


def contents(folder: str) -> dict[str, bytes]:
    root = Path(folder)
    return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}


def test_a_pushed_version_is_the_model_with_what_it_was_made_from(model, folder):
    version = push(model, folder)
    assert versions.newest_version(folder) == version
    added = {"assets.extra/data_report.json", "assets.extra/provenance.json"}
    pushed = contents(version)
    assert {name: pushed[name] for name in pushed.keys() - added} == contents(model)
    assert pushed.keys() >= added
    assert versions.read_provenance(version).made_from == "ab"
    assert versions.identity(version) == "sample1"


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


def test_a_store_gets_the_graph_last(model, folder):
    """Such a store has no renaming; without its graph a folder is no version."""
    remote = "ram://served/deeplab"
    version = push(model, remote)
    assert versions.versions(remote) == [version]
    assert versions.read_provenance(version).made_from == "ab"


def test_a_run_builds_on_what_another_has_pushed(model, folder):
    assert versions.baseline_version(folder, "me") is None
    other = push(model, folder, "other")
    assert versions.baseline_version(folder, "me") == other
    push(model, folder, "me")
    assert versions.baseline_version(folder, "me") == other
    newer = push(model, folder, "another")
    assert versions.baseline_version(folder, "me") == newer


@pytest.mark.parametrize("text", [None, "{", "[]", '{"other": 1}'])
def test_a_version_of_something_else_is_a_baseline_too(model, folder, text):
    path = os.path.join(folder, "7")
    paths.copy_tree(model, path)
    if text is not None:
        Path(path, "assets.extra", "provenance.json").write_text(text)
    assert versions.read_provenance(path) is None
    assert versions.baseline_version(folder, "me") == path


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


def test_an_earlier_push_counts_only_while_it_is_what_is_served(model, folder, tmp_path):
    first = push(model, folder)
    versions.require_newest(first, folder)
    push(model, folder)
    with pytest.raises(PipelineError, match=r"to fix, push it again: .* Pusher"):
        versions.require_newest(first, folder)
    with pytest.raises(PipelineError, match="got no version there"):
        versions.require_newest(first, str(tmp_path / "emptied"))
