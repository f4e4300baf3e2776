"""What all options have in common: JSON types, exact round trips, all faults in one answer."""

import json

import pytest

import schemas
from components.data_gate.options import GateOptions
from components.evaluator.options import EvaluationOptions
from components.initial_weights.options import InitialWeightsOptions
from components.model_options import ModelOptions
from components.trainer.options import TrainerConfig, TrainingOptions

EXAMPLES = [
    ModelOptions(backbone="xception_65", multi_grid=(1, 2, 4), atrous_rates=()),
    TrainingOptions(loss=("focal", "dice"), class_weights=(0.1, 1.0)),
    InitialWeightsOptions(source="model.ckpt", scope="all", sha256="a1" * 32),
    EvaluationOptions(min_mean_iou=1 / 3, slices=()),
    GateOptions(max_class_distance=0.1 + 0.2, on_drift="stop"),
    TrainerConfig(
        dataset=schemas.load("pascal"),
        canvas_size=65,
        model=ModelOptions(atrous_rates=(1, 2)),
        training=TrainingOptions(),
    ),
]


def by_class(example) -> str:
    return type(example).__name__


@pytest.mark.parametrize("options", EXAMPLES, ids=by_class)
def test_options_go_through_json_and_back(options):
    again = type(options).from_json(options.to_json())
    assert again == options and again.to_json() == options.to_json()
    assert type(options)(**json.loads(options.to_json())) == options


@pytest.mark.parametrize("options", EXAMPLES, ids=by_class)
def test_options_are_immutable(options):
    name = next(iter(type(options).model_fields))
    with pytest.raises(ValueError, match="frozen"):
        setattr(options, name, getattr(options, name))


@pytest.mark.parametrize("options", EXAMPLES, ids=by_class)
def test_unknown_names_are_refused_with_the_known_ones(options):
    section = type(options).SECTION
    with pytest.raises(ValueError, match=rf"^expected {section}\.colour to be one of ") as error:
        options.replace(colour="red")
    assert str(error.value).endswith("; got 'red'; to fix, correct it")
    for name in type(options).model_fields:
        assert name in str(error.value)


def test_a_change_is_checked_and_leaves_the_original():
    options = ModelOptions()
    assert options.replace(dropout=0.5) == ModelOptions(dropout=0.5)
    assert options == ModelOptions()
    with pytest.raises(ValueError, match=r"expected model\.dropout to be a number in \[0, 1\)"):
        options.replace(dropout=1)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"dropout": True}, "dropout to be a number in [0, 1); got True"),
        ({"dropout": "0.1"}, "dropout to be a number in [0, 1); got '0.1'"),
        ({"dropout": float("nan")}, "dropout to be a number in [0, 1); got nan"),
        ({"aspp_depth": 1.0}, "aspp_depth to be a whole number of at least 1; got 1.0"),
        ({"width_multiplier": 0}, "width_multiplier to be a number above 0; got 0"),
        ({"aspp": 1}, "aspp to be true or false; got 1"),
        ({"backbone": None}, "backbone to be a text; got None"),
        ({"output_stride": 4}, "output_stride to be one of 8, 16, 32; got 4"),
        ({"multi_grid": [1, 2]}, "multi_grid to be a list of three whole numbers"),
        ({"atrous_rates": [6, 0]}, "atrous_rates to be a list of whole numbers of at least 1"),
    ],
)
def test_types_are_those_of_json(change, line):
    with pytest.raises(ValueError) as error:
        ModelOptions(**change)
    (name,) = change
    assert str(error.value).startswith(f"expected model.{line}")
    assert f"leave it out for the default, {getattr(ModelOptions(), name)!r}" in str(error.value)


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match=r"expected evaluation\.min_mean_iou; got none; to fix"):
        EvaluationOptions()


def test_a_network_that_cannot_be_built_is_refused_without_building_it():
    with pytest.raises(ValueError, match=r"expected a backbone among .*; got 'vgg'; to fix, "):
        ModelOptions(backbone="vgg")
    with pytest.raises(ValueError) as error:
        ModelOptions(backbone="mobilenet_v2").replace(
            backbone="xception_41", width_multiplier=0.5, multi_grid=(1, 2, 4)
        )
    assert "expected width_multiplier=1 for xception_41" in str(error.value)
    with pytest.raises(ValueError, match="expected no multi_grid") as error:
        ModelOptions(backbone="mobilenet_v2", multi_grid=(1, 2, 4))
    assert len(str(error.value).split("\n")) == 1
