"""A recipe's own values follow a single one that is given, and never the other way round."""

import json

import pytest

from components.errors import ConfigError
from models.variants import BACKBONES
from pipeline import recipes
from pipeline.config import PipelineConfig, override

# Each is right by itself, whatever the recipe.
SINGLE = [
    *(("training.steps", value) for value in (1, 7, 10, 100, 499, 1_000, 29_999, 150_000)),
    *(("training.steps_per_epoch", value) for value in (1, 3, 7, 100, 1_000, 40_000)),
    *(("training.save_every_steps", value) for value in (None, 1, 3, 20, 100, 700)),
    *(("training.warmup_steps", value) for value in (0, 1, 20)),
    *(("training.optimizer", value) for value in ("momentum", "sgd", "adam", "adamw")),
    *(("training.weight_decay_mode", value) for value in ("l2", "decoupled")),
    *(("training.scale_min", value) for value in (0.1, 1.0, 3.0)),
    *(("training.scale_max", value) for value in (0.1, 1.0, 3)),
    *(("training.min_resize", value) for value in (None, 257, 1_025)),
    ("training.top_k_fraction", 1.0),
    ("training.top_k_fraction", 0.25),
    *(("model.backbone", value) for value in BACKBONES),
    *(("data.canvas_size", value) for value in (33, 65, 513)),
]


def value_of(config: PipelineConfig, path: str):
    section, name = path.split(".")
    return getattr(getattr(config, section), name)


def give(config: PipelineConfig, **values) -> PipelineConfig:
    """With values of the training, as the command line gives them."""
    return override(config, [f"training.{name}={json.dumps(v)}" for name, v in values.items()])


@pytest.mark.parametrize("recipe", recipes.RECIPES)
@pytest.mark.parametrize(("path", "value"), SINGLE)
def test_one_value_that_is_right_by_itself_takes_one_try(recipe, path, value):
    config = override(recipes.get(recipe), [f"{path}={json.dumps(value)}"])
    assert value_of(config, path) == value
    assert override(config, []) == config


@pytest.mark.parametrize("recipe", recipes.RECIPES)
def test_no_assignment_changes_nothing(recipe):
    assert override(recipes.get(recipe), []) == recipes.get(recipe)


@pytest.mark.parametrize("recipe", recipes.RECIPES)
def test_only_what_contradicts_changes(recipe):
    before = recipes.get(recipe)
    after = override(before, ["training.learning_rate=0.5"])
    assert after == before.replace(training=before.training.replace(learning_rate=0.5))


def test_a_shorter_run_has_a_shorter_slow_start_and_epochs_that_fit():
    training = give(recipes.own_data(), steps=10).training
    assert (training.steps, training.steps_per_epoch, training.save_every_steps) == (10, 10, 10)
    assert training.warmup_steps == 0
    assert give(recipes.sample(), steps=250).training.warmup_steps == 20


def test_given_values_that_contradict_each_other_are_refused_as_they_are():
    with pytest.raises(ConfigError, match=r"training.steps_per_epoch .*=10; got 7"):
        give(recipes.sample(), steps=10, steps_per_epoch=7)
    with pytest.raises(ConfigError, match=r"weight_decay_mode to be decoupled .*; got 'l2'"):
        give(recipes.pascal(), optimizer="adamw", weight_decay_mode="l2")
    with pytest.raises(ConfigError, match="scale_max to be at least scale_min=2"):
        give(recipes.pascal(), scale_min=2, scale_max=1)
    with pytest.raises(ConfigError, match="multi_grid"):
        chosen = ["model.backbone=mobilenet_v2", "model.multi_grid=[1, 2, 4]"]
        override(recipes.pascal(), chosen)


@pytest.mark.parametrize("value", ["ten", 1.5, -1, True, [], {}, None])
@pytest.mark.parametrize(
    "path", sorted({path for path, _ in SINGLE if path.startswith("training.")})
)
def test_what_is_no_value_at_all_is_a_fault_and_no_crash(path, value):
    try:
        config = override(recipes.sample(), [f"{path}={json.dumps(value)}"])
    except ConfigError as error:
        assert path in str(error)
    else:
        assert value_of(config, path) == value and type(value_of(config, path)) in (
            type(value),
            float,
        )


def test_no_steps_judge_the_whole_of_the_given_weights():
    weights = override(
        recipes.sample(), ["training.steps=0", "initial_weights.source=model.ckpt"]
    ).initial_weights
    assert (weights.source, weights.scope) == ("model.ckpt", "all")
    with pytest.raises(ConfigError, match=r"initial_weights.scope to be all .*; got 'backbone'"):
        override(recipes.pascal(), ["training.steps=0", "initial_weights.scope=backbone"])
    with pytest.raises(ConfigError, match=r"training\.steps to be at least 1 without"):
        override(recipes.sample(), ["training.steps=0"])
