"""After a rollback what is served, measured up to and refused is what a person would say it is."""

import itertools
import os
import random
from pathlib import Path

import pytest

from components.errors import ConfigError, NotBlessedError, PipelineError
from components.serving import models_config, succession, versions
from components.storage import paths
from tests.components.serving.model_folders import make_model, push


@pytest.fixture
def folder(tmp_path) -> str:
    return str(tmp_path / "serving" / "deeplab")


@pytest.fixture
def model(tmp_path):
    """A model of its own weights for each letter."""
    return lambda letter: make_model(tmp_path / f"model-{letter}", "sample", letter.encode())


@pytest.fixture
def pushed(model, folder):
    """Pushes models A, B, … of made_from a, b, …; gives their paths."""
    return lambda letters: [push(model(a), folder, a.lower()) for a in letters]


def number(version: str) -> str:
    return os.path.basename(version)


def served(version: str, folder: str) -> str:
    return succession.require_served(version, folder, versions.content(version))


def back(folder: str, wanted: str | None = None) -> str:
    return succession.roll_back(folder, succession.find(folder, wanted))


def test_a_rollback_serves_the_earlier_files_under_the_highest_number(pushed, folder):
    a, b = pushed("AB")
    copy = back(folder)
    assert versions.versions(folder) == [copy, b, a]
    assert versions.content(copy) == versions.content(a) and versions.is_unharmed(copy)
    known = versions.read_provenance(copy)
    assert (known.made_from, known.republished) == ("a", number(a))
    assert known.took_back == {number(b): "b"}
    assert paths.read_text(f"{copy}/assets.extra/data_report.json") == "{}"


def test_what_was_pushed_to_the_earlier_version_is_served_by_its_copy(pushed, folder):
    a, b = pushed("AB")
    copy = back(folder)
    assert served(a, folder) == copy == served(copy, folder)
    with pytest.raises(PipelineError, match="to fix, push it again"):
        served(b, folder)


def test_the_rolled_back_version_is_the_baseline_and_never_what_it_replaced(pushed, folder):
    _, b = pushed("AB")
    copy = back(folder)
    assert succession.baseline_version(folder, "new") == copy
    # The run behind what is served builds on what it built on then: nothing is done again.
    assert succession.baseline_version(folder, "a") is None
    assert b not in {succession.baseline_version(folder, run) for run in ("a", "b", "new")}


def test_the_same_again_is_refused_until_a_person_goes_back_to_it(pushed, folder):
    _, b = pushed("AB")
    succession.require_not_taken_back(folder, "b")
    copy = back(folder)
    for run in ("a", "new"):
        succession.require_not_taken_back(folder, run)
    with pytest.raises(NotBlessedError, match=rf"{number(b)}, which .* by {copy} on .*rollback"):
        succession.require_not_taken_back(folder, "b")
    again = back(folder, number(b))
    succession.require_not_taken_back(folder, "b")
    assert served(b, folder) == again
    with pytest.raises(NotBlessedError):
        succession.require_not_taken_back(folder, "a")


def test_it_is_refused_even_if_its_version_is_removed(pushed, folder):
    _, b = pushed("AB")
    back(folder)
    paths.remove_tree(b)
    with pytest.raises(NotBlessedError):
        succession.require_not_taken_back(folder, "b")


def test_step_by_step_back_to_the_first(pushed, folder):
    first, second, _ = pushed("ABC")
    copy = back(folder)
    assert versions.content(copy) == versions.content(second)
    copy = back(folder)
    assert versions.content(copy) == versions.content(first)
    with pytest.raises(ConfigError, match="got none; to fix, name the version"):
        back(folder)


def test_a_copy_of_a_copy_names_the_version_that_was_pushed(pushed, folder):
    a, b = pushed("AB")
    copy = back(folder)
    back(folder, number(b))
    last = back(folder, number(copy))
    assert versions.read_provenance(last).republished == number(a)
    assert served(a, folder) == last


def test_whatever_people_do_the_served_model_is_the_last_that_they_chose(model, folder):
    """Pushes and rollbacks at random: the pipeline's own ideas agree with who did what last."""
    order = random.Random(5)
    models = {letter: model(letter) for letter in "ABCD"}
    newest = push(models["A"], folder, "a")
    refused: set[str] = set()
    for _ in range(60):
        older = versions.versions(folder)[1:]
        if older and order.random() < 0.5:
            target = order.choice(older)
            wanted = versions.read_provenance(target)
            later = itertools.takewhile(lambda v, t=target: v != t, versions.versions(folder))
            refused |= {versions.read_provenance(version).made_from for version in later}
            refused.discard(wanted.made_from)
            newest, expected = back(folder, number(target)), wanted.made_from
        else:
            expected = order.choice(sorted({"a", "b", "c", "d"} - refused))
            newest = push(models[expected.upper()], folder, expected)
        assert served(newest, folder) == newest == versions.newest_version(folder)
        assert versions.read_provenance(newest).made_from == expected
        for run in "abcd":
            if run in refused:
                with pytest.raises(NotBlessedError):
                    succession.require_not_taken_back(folder, run)
            else:
                succession.require_not_taken_back(folder, run)
            baseline = succession.baseline_version(folder, run)
            if run != expected:
                assert baseline == newest
            elif baseline is not None:
                assert number(baseline) not in succession.taken_back(folder)


@pytest.mark.parametrize("wanted", ["7", "served", "nonsense", "-1"])
def test_what_is_not_there_or_served_is_no_way_back(pushed, folder, wanted):
    a, b = pushed("AB")
    with pytest.raises(ConfigError, match=rf"one of {number(a)}; got .*to fix, choose"):
        back(folder, number(b) if wanted == "served" else wanted)


@pytest.mark.parametrize("harm", ["weights", "foreign"])
def test_a_version_of_other_files_is_no_way_back(pushed, folder, harm):
    a, _ = pushed("AB")
    if harm == "weights":
        Path(a, "variables", "data").write_bytes(b"other")
    else:
        os.remove(os.path.join(a, "assets.extra", "provenance.json"))
    with pytest.raises(ConfigError, match="got none; to fix, name"):
        back(folder)
    with pytest.raises(ConfigError, match="whose files are those that were pushed; got"):
        back(folder, number(a))


def test_by_a_configuration_of_somebody_else_it_is_not_served(pushed, folder):
    a, b = pushed("AB")
    models_config.label(folder, int(number(b)), models_config.STABLE)
    assert served(b, folder) == b
    file = Path(models_config.path(folder))
    file.write_text(file.read_text().replace("latest", "all").replace("num_versions: 2", ""))
    assert served(b, folder) == b
    file.write_text(file.read_text().replace("all {", f"specific {{ versions: {number(a)} "))
    with pytest.raises(PipelineError, match=rf"servers load \[{number(a)}\] alone; to fix"):
        served(b, folder)


def test_in_a_store_it_is_the_same(pushed, model, store):
    store = f"{store}rollback/deeplab"
    a, b = (push(model(letter), store, letter.lower()) for letter in "AB")
    copy = back(store)
    assert versions.versions(store) == [copy, b, a]
    assert served(a, store) == copy
    with pytest.raises(NotBlessedError):
        succession.require_not_taken_back(store, "b")
