"""The configuration: recipes that hold together, what the command line changes, what is refused."""

import argparse
import subprocess
import sys

import pytest

import schemas
from components.errors import ConfigError
from pipeline import recipes
from pipeline.commands import arguments
from pipeline.config import PipelineConfig, override


def parse(*words: str) -> PipelineConfig:
    parser = argparse.ArgumentParser()
    arguments.add_config_arguments(parser)
    arguments.add_environment_arguments(parser, default="local")
    return arguments.load(parser.parse_args(words))[0]


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_recipes_hold_together(name):
    config = recipes.get(name)
    assert "Command: `python local_runner.py" in recipes.RECIPES[name].__doc__
    assert config.data.dataset in (*schemas.available(), "sample")


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_recipes_go_through_json_and_back(name):
    config = recipes.get(name)
    again = PipelineConfig.from_json(config.to_json())
    assert again == config == PipelineConfig(**config.model_dump()) == recipes.get(name)
    assert hash(again) == hash(config)
    assert again.to_json() == config.to_json()


@pytest.mark.parametrize("module", ["pipeline.config", "pipeline.commands.run"])
def test_what_is_wrong_with_a_command_is_said_without_the_slow_imports(module):
    code = (
        f"import sys; import {module}; "
        "print(*{'keras', 'tensorflow', 'tfx', 'apache_beam'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_data_set_has_a_recipe_of_its_name():
    assert set(schemas.available()) <= set(recipes.RECIPES)


def test_the_small_gpu_recipe_is_that_of_the_old_system():
    config = recipes.pascal_small_gpu()
    assert (config.training.crop_size, config.training.batch_size) == (321, 12)
    assert (config.model.backbone, config.model.aspp_depth) == ("xception_41", 128)
    assert not config.model.decoder


@pytest.mark.parametrize(
    ("flag", "scope"), [("--checkpoint", "all"), ("--backbone-weights", "backbone")]
)
def test_weights_by_flag(flag, scope):
    weights = parse("--dataset", "pascal", flag, "some/model.ckpt-1").initial_weights
    assert (weights.source, weights.scope) == ("some/model.ckpt-1", scope)


def test_assignments_come_after_the_other_flags():
    config = parse(
        *("--dataset", "pascal", "--checkpoint", "model.ckpt"),
        *(
            "--set",
            "initial_weights.scope=except_logits",
            "--set",
            "model.multi_grid=null",
        ),
        *("--set", "model.backbone=resnet_v1_50_beta", "--set", "model.multi_grid=[1, 2, 4]"),
    )
    assert config.initial_weights.scope == "except_logits"
    assert config.model.multi_grid == (1, 2, 4)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("model.output_strid=8", "use model.output_stride"),
        ("training.steps", "expected --set path=value"),
        ("model=1", "expected a value of the configuration"),
        ("model.output_stride=4", "expected model.output_stride to be one of 8, 16, 32; got 4"),
        ("data.canvas_size=7", "at least 33 pixels; got 7"),
        ("evaluation.min_mean_iou=40", "not a percentage"),
        ("training.distribution=horovod", "training.distribution to be one of one_device"),
        ("serving.requests=0", "serving.requests to be a whole number of at least 1; got 0"),
        ("serving.timeout_seconds=0", "serving.timeout_seconds to be a whole number"),
        ("report.pictures=-1", "report.pictures to be a whole number of at least 1; got -1"),
        ("name=../x", "expected name to be a name of lower-case letters"),
        ("name=", "expected name to be a name of lower-case letters"),
    ],
)
def test_wrong_assignments_are_refused(assignment, message):
    with pytest.raises(ConfigError, match=message):
        override(recipes.sample(), [assignment])


def test_a_recipe_alone_brings_its_data_set():
    assert parse("--recipe", "pascal_checkpoint").data.dataset == "pascal"
    assert parse("--recipe", "own_data", "--dataset", "ade20k").data.dataset == "ade20k"
    assert parse().data.dataset == "sample"


def test_models_of_a_name_and_a_data_set_are_compared():
    assert parse("--dataset", "ade20k", "--set", "name=street").pipeline_name == "street-ade20k"


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("data.crop_size", "use data.canvas_size"),
        ("training.initial_weights", "use initial_weights.source"),
        ("training.initial_weights_scope", "use initial_weights.scope"),
        ("min_free_disk_gb", "write it into a file for --environment"),
        ("beam_pipeline_args", "write beam.options into a file for --environment"),
    ],
)
def test_a_path_of_old_is_refused_with_its_new_place(path, hint):
    with pytest.raises(ConfigError) as error:
        override(recipes.sample(), [f"{path}=1"])
    assert str(error.value) == (
        f"expected a value of the configuration; got {path!r}; to fix, {hint}"
    )


def test_all_faults_of_all_sections_come_at_once():
    wrong = {
        "data.canvas_size": 7,
        "model.output_stride": 4,
        "training.batch_size": '"16"',
        "evaluation.min_mean_iou": 40,
        "initial_weights.sha256": "12",
        "gate.max_class_distance": 2,
        "serving.requests": 0,
        "report.pictures": 0,
        "training.crop": 33,
        "name": "A",
    }
    with pytest.raises(ConfigError) as error:
        override(recipes.sample(), [*(f"{k}={v}" for k, v in wrong.items()), "steps"])
    lines = str(error.value).split("\n")
    assert len(lines) == len(wrong) + 1
    for path in wrong:
        assert sum(f"{path} " in line or repr(path) in line for line in lines) == 1, path


def test_faults_of_configuration_and_environment_come_together():
    with pytest.raises(ConfigError) as error:
        parse("--set", "training.batch_size=0", "--environment", "nowhere")
    assert "training.batch_size" in str(error.value) and "nowhere" in str(error.value)
