"""Which versions are served while folders and configurations change below a running server."""

import os
import shutil

import grpc
import numpy as np
import pytest

from components.errors import ConfigError
from components.serving.protos import ModelSpec
from components.serving.server.models import Models, State, read_config
from components.serving.server.statuses import Refusal

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "m").mkdir()
    return tmp_path / "m"


def config(folder, more: str = ""):
    file = folder.parent / "models.config"
    file.write_text(
        f'model_config_list {{ config {{ name: "m" base_path: "{folder}" '
        f'model_platform: "tensorflow" {more} }} }}'
    )
    return read_config(str(file))


def serving(folder, more: str = "", retries: int = 5, retry_seconds: float = 0) -> Models:
    models = Models(config(folder, more), retries=retries, retry_seconds=retry_seconds)
    models.refresh()
    return models


def served(models: Models, **spec) -> int:
    return models.find(ModelSpec(name="m", **spec))[0]


def states(models: Models) -> dict[int, int]:
    return {s.version: s.state for s in models.statuses(ModelSpec(name="m"))}


def factor(model) -> float:
    inputs = {"x": np.ones((1, 2), np.float32), "y": np.array(0)}
    return model.run(model.signatures["scale"], inputs, ["z"])["z"][0, 0]


def test_nothing_there_then_a_first_version(folder, doubling):
    models = serving(folder)
    with pytest.raises(Refusal, match=r"Latest\(m\)") as caught:
        served(models)
    assert caught.value.code == grpc.StatusCode.NOT_FOUND
    os.symlink(doubling, folder / "1")
    models.refresh()
    assert served(models) == 1


def test_the_highest_number_is_served_and_the_old_one_lives_as_long_as_its_requests(
    folder, doubling, tripling
):
    os.symlink(doubling, folder / "9")
    models = serving(folder)
    _, under_way = models.find(ModelSpec(name="m"))
    for name in ("10", ".unfinished-1", "notes", "11.5"):  # 10 is more than 9, not less
        os.symlink(tripling, folder / name)
    models.refresh()
    assert served(models) == 10
    assert factor(models.find(ModelSpec(name="m"))[1]) == 3
    assert factor(under_way) == 2
    assert states(models) == {9: State.END, 10: State.AVAILABLE}
    with pytest.raises(Refusal, match=r"Specific\(m, 9\)"):
        served(models, version={"value": 9})


def test_a_version_that_does_not_load_leaves_the_old_one_and_is_tried_again(folder, doubling):
    os.symlink(doubling, folder / "1")
    models = serving(folder, retries=2)
    (folder / "2").mkdir()
    for _ in range(5):
        models.refresh()
        assert served(models) == 1
    assert states(models) == {1: State.AVAILABLE, 2: State.END}
    (status,) = models.statuses(ModelSpec(name="m", version={"value": 2}))
    assert status.status.error_code == 5 and "Could not find SavedModel" in (
        status.status.error_message
    )
    # Three tries were all it had; removed and pushed again, it is another one.
    shutil.copytree(doubling, folder / "2", dirs_exist_ok=True)
    models.refresh()
    assert served(models) == 1
    (folder / "2").rename(folder / "hidden")
    models.refresh()
    (folder / "hidden").rename(folder / "2")
    models.refresh()
    assert served(models) == 2


def test_a_version_is_whole_at_a_later_try(folder, doubling):
    (folder / "2").mkdir()
    models = serving(folder)
    assert states(models) == {2: State.END}
    shutil.copytree(doubling, folder / "2", dirs_exist_ok=True)
    models.refresh()
    assert served(models) == 2


def test_a_try_waits_for_its_time(folder, doubling):
    (folder / "2").mkdir()
    models = serving(folder, retry_seconds=10_000)
    shutil.copytree(doubling, folder / "2", dirs_exist_ok=True)
    models.refresh()
    assert states(models) == {2: State.END}


def test_going_back_by_removing_the_newest(folder, doubling, tripling):
    os.symlink(doubling, folder / "1")
    os.symlink(tripling, folder / "2")
    models = serving(folder)
    assert served(models) == 2
    (folder / "2").unlink()
    models.refresh()
    assert served(models) == 1
    (folder / "1").unlink()
    models.refresh()
    with pytest.raises(Refusal, match="Servable not found"):
        served(models)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("", [3]),
        ("model_version_policy { latest { num_versions: 2 } }", [2, 3]),
        ("model_version_policy { all {} }", [1, 2, 3]),
        ("model_version_policy { specific { versions: 1 versions: 3 versions: 8 } }", [1, 3]),
    ],
)
def test_policies(folder, doubling, policy, expected):
    for number in "123":
        os.symlink(doubling, folder / number)
    models = serving(folder, policy)
    assert [n for n, state in states(models).items() if state == State.AVAILABLE] == expected
    assert served(models) == expected[-1]


def test_labels_and_a_configuration_that_is_read_again(folder, doubling):
    for number in "12":
        os.symlink(doubling, folder / number)
    both = "model_version_policy { all {} } version_labels { key: '%s' value: %d }"
    models = serving(folder, both % ("stable", 1))
    assert served(models, version_label="stable") == 1
    models.configure(config(folder, both % ("stable", 2)))
    models.refresh()
    assert served(models, version_label="stable") == 2
    with pytest.raises(Refusal, match="Unrecognized servable version label: canary"):
        served(models, version_label="canary")
    empty = folder.parent / "empty"
    empty.write_text("model_config_list {}")
    models.configure(read_config(str(empty)))
    models.refresh()
    with pytest.raises(Refusal, match="Servable not found"):
        served(models)


@pytest.mark.parametrize(
    "text", [None, "model_config_list {", "\xff", 'model_config_list { config { name: "m" } }']
)
def test_a_configuration_that_is_none_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "f").write_text(text, encoding="latin-1")
    with pytest.raises(ConfigError, match=r"expected .* in .*/f; got (?s:.*); to fix"):
        read_config(str(tmp_path / "f"))
