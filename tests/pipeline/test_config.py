"""The configuration: recipes that hold together, what the command line changes, what is refused."""

import argparse
import json

import pytest

import schemas
from components.errors import ConfigError
from models.deeplab import check_options
from pipeline import cli, recipes
from pipeline.config import from_dict, override


def parse(*words: str):
    parser = argparse.ArgumentParser()
    cli.add_config_arguments(parser)
    return cli.load_config(parser.parse_args(words))


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_recipes_hold_together(name):
    config = recipes.get(name)
    assert from_dict(json.loads(config.to_json())) == config
    assert "Command: `python local_runner.py" in recipes.RECIPES[name].__doc__
    classes = schemas.load(config.data.dataset).num_classes
    options = json.loads(config.to_json())["model"]
    check_options(num_classes=classes, input_shape=(None, None, 3), **options)


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
    training = parse("--dataset", "pascal", flag, "some/model.ckpt-1").training
    assert training.initial_weights == "some/model.ckpt-1"
    assert training.initial_weights_scope == scope


def test_assignments_come_after_the_other_flags():
    config = parse(
        *("--dataset", "pascal", "--checkpoint", "model.ckpt"),
        *(
            "--set",
            "training.initial_weights_scope=except_logits",
            "--set",
            "model.multi_grid=null",
        ),
        *("--set", "model.backbone=resnet_v1_50_beta", "--set", "model.multi_grid=[1, 2, 4]"),
    )
    assert config.training.initial_weights_scope == "except_logits"
    assert config.model.multi_grid == (1, 2, 4)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("model.output_strid=8", "use model.output_stride"),
        ("training.steps", "expected --set path=value"),
        ("model=1", "expected a value of the configuration"),
        ("model.output_stride=4", "expected model.output_stride to be valid; got 4"),
        ("data.canvas_size=7", "at least 33 pixels; got 7"),
        ("evaluation.min_mean_iou=40", "not a percentage"),
        ("training.distribution=horovod", "training.distribution to be one of one_device"),
        ("training.save_every_steps=3", "a divisor of steps_per_epoch"),
        ("serving.requests=0", "serving.requests to be a whole number of at least 1; got 0"),
        ("serving.timeout_seconds=0", "serving.timeout_seconds to be a whole number"),
        ("report.pictures=-1", "report.pictures to be a whole number of at least 1; got -1"),
        ("name=../x", "expected a name of lower-case letters"),
        ("name=", "expected a name of lower-case letters"),
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
