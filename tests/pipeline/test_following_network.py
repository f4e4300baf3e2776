"""What follows another network, and what wrong values must not do to those that follow."""

import json

import pytest

from components.errors import ConfigError
from models.variants import BACKBONES
from pipeline import recipes
from pipeline.config import PipelineConfig, override
from pipeline.following import _divisor_near


def give(recipe: str, **values) -> PipelineConfig:
    """A recipe with values of the model, as the command line gives them."""
    return override(
        recipes.get(recipe), [f"model.{name}={json.dumps(v)}" for name, v in values.items()]
    )


@pytest.mark.parametrize(
    ("recipe", "values", "source"),
    [
        ("pascal", {"backbone": "xception_41"}, "xception_41_imagenet"),
        ("pascal", {"backbone": "xception_65"}, "xception_65_imagenet"),
        ("own_data", {"backbone": "xception_65"}, "xception_65_pascal"),
        ("own_data", {"backbone": "xception_71"}, "xception_71_imagenet"),
        ("own_data", {"width_multiplier": 0.5}, "mobilenet_v2_dm05_pascal"),
        ("own_data", {"width_multiplier": 0.35}, None),
        ("pascal", {"backbone": "mobilenet_v2"}, "mobilenet_v2_pascal"),
        ("pascal", {"backbone": "resnet_v1_50_beta"}, None),
        ("own_data", {"dropout": 0.2}, "mobilenet_v2_pascal"),
        # These are to be judged, not to begin with.
        ("pascal_checkpoint", {"backbone": "xception_41"}, "mobilenet_v2_dm05_pascal"),
    ],
)
def test_published_weights_are_those_of_the_network(recipe, values, source):
    assert give(recipe, **values).initial_weights.source == source


@pytest.mark.parametrize("backbone", BACKBONES)
def test_weights_that_are_given_stay(backbone):
    given = ["initial_weights.source=xception_65_coco", f"model.backbone={backbone}"]
    for recipe in recipes.RECIPES:
        config = override(recipes.get(recipe), given)
        assert config.initial_weights.source == "xception_65_coco"


@pytest.mark.parametrize("value", ["vgg", 1, True, None, [], {}, [1]])
@pytest.mark.parametrize("path", ["model.backbone", "model.width_multiplier", "model.multi_grid"])
def test_what_is_no_network_is_a_fault_and_no_crash(path, value):
    if (path, value) in [("model.width_multiplier", 1), ("model.multi_grid", None)]:
        return
    with pytest.raises(ConfigError, match=r"^expected .*; to fix, ") as error:
        override(recipes.own_data(), [f"{path}={json.dumps(value)}"])
    assert len(str(error.value).split("\n")) == 1


@pytest.mark.parametrize(
    "assignment", ["training.scale_max=-1", "training.scale_min=1e400", "training.max_resize=true"]
)
def test_a_wrong_value_is_one_fault_for_nothing_follows_it(assignment):
    with pytest.raises(ConfigError) as error:
        override(recipes.ade20k(), [assignment])
    (fault,) = str(error.value).split("\n")
    assert assignment.partition("=")[0] in fault


def test_faults_of_the_network_are_said_with_all_others():
    assignments = ["model.backbone=vgg", "training.steps=-1", "data.crop_size=9"]
    with pytest.raises(ConfigError) as error:
        override(recipes.sample(), assignments)
    assert len(str(error.value).split("\n")) == 3


def test_names_may_consist_of_digits():
    config = override(recipes.sample(), ["name=2024", "data.dataset=1e3"])
    assert (config.name, config.data.dataset) == ("2024", "1e3")


def test_a_prime_number_of_steps_is_one_epoch_and_not_as_many_as_steps():
    training = override(recipes.own_data(), ["training.steps=1009"]).training
    assert (training.steps_per_epoch, training.save_every_steps) == (1009, 1009)


@pytest.mark.parametrize("wanted", [1, 4, 10, 99, 600])
@pytest.mark.parametrize("unit", [1, 3, 7, 10])
def test_the_divisor_is_one_and_none_fits_better(wanted, unit):
    for value in range(1, 400):
        divisors = [d for d in range(unit, value + 1, unit) if value % d == 0]
        found = _divisor_near(value, wanted, unit)
        if found is None:
            assert not divisors
        elif found <= wanted:
            assert found == max(d for d in divisors if d <= wanted)
        else:
            assert found == min(d for d in divisors if d > wanted)
            assert all(4 * d < wanted for d in divisors if d <= wanted)
