"""What is served stays what it was, or the run says so."""

import json

import pytest

import schemas
from components.errors import ConfigError, PipelineError
from components.serving import versions as served


@pytest.fixture
def push(tmp_path):
    """Puts a version of a model of a data set into a serving folder, as the Pusher leaves it."""

    def push(version: str, dataset: str = "sample"):
        folder = tmp_path / "serving" / version
        (folder / "assets.extra").mkdir(parents=True)
        (folder / "saved_model.pb").touch()
        description = {"dataset": dataset, "classes": schemas.load(dataset).class_names}
        (folder / "assets.extra" / "model.json").write_text(json.dumps(description))
        return folder

    return push


def test_newest_version_is_that_of_the_highest_number(push, tmp_path):
    assert served.newest_version(tmp_path / "serving") is None
    push("9"), push("temporary")
    newest = push("10")
    (tmp_path / "serving" / "11").mkdir()  # not whole yet
    assert served.newest_version(tmp_path / "serving") == newest


def test_model_of_other_classes_is_not_pushed_over(push, tmp_path):
    sample, pascal = schemas.load("sample"), schemas.load("pascal")
    served.require_same_classes(tmp_path / "serving", pascal)
    push("1", "pascal")
    served.require_same_classes(tmp_path / "serving", pascal)
    with pytest.raises(ConfigError, match=r"got a model of the 21 classes of pascal.*to fix, give"):
        served.require_same_classes(tmp_path / "serving", sample)


def test_an_earlier_push_counts_only_while_it_is_what_is_served(push, tmp_path):
    folder = tmp_path / "serving"
    first = push("1")
    served.require_newest(first, folder)
    push("2")
    with pytest.raises(PipelineError, match=r"got .*/2; to fix, push it again: .* Pusher"):
        served.require_newest(first, folder)
    with pytest.raises(PipelineError, match="got no version there"):
        served.require_newest(first, tmp_path / "emptied")
