"""Where a run happens: what is refused, what is never shown, what changes no result."""

import os

import pytest

import schemas
from components.errors import ConfigError
from pipeline import environment, recipes, steps
from pipeline.environment import Environment

PATHS = ("root", "artifacts", "served", "training_states", "records", "metadata")


@pytest.fixture
def load(tmp_path):
    """Loads an environment from text."""

    def load(text: str, **changes) -> Environment:
        path = tmp_path / "place.toml"
        path.write_text(text)
        return environment.load(str(path), **changes)

    return load


def minimal(**values: str) -> str:
    content = {"root": "/data", "metadata": "sqlite:{root}/metadata.sqlite", **values}
    return "".join(f'{name} = "{value}"\n' for name, value in content.items())


@pytest.mark.parametrize("name", environment.available())
def test_shipped_environments_load(name):
    place = environment.load(name)
    assert place.name == name
    assert set(place.runtime().beam_options) == set(steps.ON_BEAM) <= set(steps.ALL)


def test_all_lies_below_the_root_unless_it_is_said_to_lie_elsewhere(load):
    place = load(minimal(served="/srv/models"), root="/other/")
    assert place.artifacts == "/other/artifacts"
    assert place.metadata == "sqlite:/other/metadata.sqlite"
    assert place.served == place.runtime().served == "/srv/models"


def test_relative_paths_are_those_of_the_current_folder(load, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    place = load(minimal(root="out", served="gs://bucket/models")).made_absolute()
    assert place.artifacts == str(tmp_path / "out" / "artifacts")
    assert place.metadata == f"sqlite:{tmp_path}/out/metadata.sqlite"
    assert place.served == "gs://bucket/models"


@pytest.mark.parametrize("character", "*?[]")
@pytest.mark.parametrize("field", PATHS)
def test_no_path_may_be_a_pattern(load, field, character):
    value = f"/data/o{character}1"
    text = minimal(**{field: f"sqlite:{value}" if field == "metadata" else value})
    with pytest.raises(ConfigError, match=f"expected {field} without .*; to fix, choose another"):
        load(text)


def test_folders_of_descriptions_may_be_no_patterns_either(load):
    with pytest.raises(ConfigError, match=r"expected schemas\[1\] without"):
        load(minimal(), schemas=("/a", "/b*"))


def test_all_faults_are_said_at_once(load):
    text = minimal(min_free_disk_gb="much", imgae="x") + "[resources.Trainner]\ngpus = -1\n"
    with pytest.raises(ConfigError) as error:
        load(text)
    for part in ("min_free_disk_gb", "imgae", "resources.Trainner"):
        assert part in str(error.value)


@pytest.mark.parametrize("scheme", ["mysql", "postgresql", "grpc"])
def test_other_databases_parse_and_are_refused_for_a_run_here(load, scheme):
    place = load(minimal(metadata=f"{scheme}://user@host:3306/deeplab"))
    with pytest.raises(ConfigError, match="databases on servers are not supported yet"):
        place.require_local()


def test_an_unknown_database_is_refused(load):
    with pytest.raises(ConfigError, match="expected metadata as sqlite:PATH"):
        load(minimal(metadata="oracle://host"))


def test_no_secret_is_taken_or_shown(load):
    with pytest.raises(ConfigError) as error:
        load(minimal(metadata="mysql://user:hunter2@host/deeplab"))
    assert "without a password" in str(error.value) and "hunter2" not in str(error.value)
    with pytest.raises(ConfigError) as error:
        load(minimal() + '[secrets]\npassword = "hunter2!"\n')
    assert "name of an environment variable" in str(error.value)
    assert "hunter2" not in str(error.value)
    os.environ["DEEPLAB_TEST_SECRET"] = "hunter2"
    try:
        place = load(minimal() + '[secrets]\npassword = "DEEPLAB_TEST_SECRET"\n')
    finally:
        del os.environ["DEEPLAB_TEST_SECRET"]
    assert "DEEPLAB_TEST_SECRET" in place.model_dump_json()
    assert "hunter2" not in place.model_dump_json() + place.runtime().model_dump_json()


def test_beam_options_are_those_of_the_step_or_of_all(load):
    text = minimal() + (
        '[beam]\noptions = ["--runner=A"]\n[beam.steps]\nTransform = ["--runner=B"]\n'
    )
    options = load(text).runtime().beam_options
    assert options["Transform"] == ("--runner=B",)
    assert {options[step] for step in steps.ON_BEAM if step != "Transform"} == {("--runner=A",)}
    with pytest.raises(ConfigError, match="options of Beam that start with --"):
        load(minimal() + '[beam]\noptions = ["runner=A"]\n')
    with pytest.raises(ConfigError, match=r"beam\.steps\.Trainer"):
        load(minimal() + '[beam.steps]\nTrainer = ["--runner=B"]\n')


def test_a_cluster_needs_absolute_paths_and_an_image(load):
    with pytest.raises(ConfigError) as error:
        load(minimal(root="out")).require_cluster(data_source="records")
    for part in ("expected root to be", "expected data.source to be", "expected an image"):
        assert part in str(error.value)
    load(minimal(root="gs://bucket", image="x/y@sha256:" + "0" * 64)).require_cluster("gs://b/r")


def test_resources_of_a_step_or_of_all(load):
    place = load(minimal() + "[resources.default]\ncpu = 2\n[resources.Trainer]\ngpus = 1\n")
    assert place.resources_of("Trainer").gpus == 1 and place.resources_of("Trainer").cpu is None
    assert place.resources_of("Report").cpu == 2


def test_the_place_is_no_part_of_what_a_model_is_made_from():
    """The hash takes the configuration and what the runner saw, and no environment."""
    from pipeline.graph import Inputs

    config = recipes.sample()
    inputs = {"dataset": schemas.load("sample"), "schema": "", "records_digest": "a"}
    first = Inputs(records="/here", **inputs).made_from(config)
    assert first == Inputs(records="/elsewhere", **inputs).made_from(config)
    assert first != Inputs(records="/here", **inputs | {"records_digest": "b"}).made_from(config)
    longer = config.replace(training=config.training.replace(learning_rate=0.1))
    assert first != Inputs(records="/here", **inputs).made_from(longer)
