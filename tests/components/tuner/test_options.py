"""The space of a search: what is taken, and that no trial can be one that is refused later."""

import itertools

import pytest

import schemas
from components.model_options import ModelOptions
from components.trainer.options import TrainerConfig, TrainingOptions
from components.tuner.options import TunerOptions

RATE = {"training.learning_rate": {"min": 1e-4, "max": 1e-2, "scale": "log"}}


def config(**training) -> TrainerConfig:
    return TrainerConfig(
        dataset=schemas.load("sample"),
        canvas_size=97,
        model=ModelOptions(),
        training=TrainingOptions(**{"steps": 10, "steps_per_epoch": 10} | training),
    )


def check(space: dict, *configs: TrainerConfig) -> None:
    TunerOptions(trials=2, space=space).check(*(configs or (config(),)))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"min": 1},
        {"max": 1},
        {"min": 2, "max": 1},
        {"min": 1, "max": 1},
        {"min": 0, "max": 1, "scale": "log"},
        {"min": 1, "max": 9, "scale": "log", "step": 2},
        {"min": 1, "max": 9, "step": 0},
        {"min": True, "max": 9},
        {"min": "1", "max": 9},
        {"min": 1, "max": 9, "scale": "cubic"},
        {"min": 1, "max": 9, "more": 1},
        {"choices": []},
        {"choices": [1]},
        {"choices": [1, 1]},
        {"choices": [1, "a"]},
        {"choices": [1, True]},
        {"choices": [1, 2], "min": 1},
        [1, 2],
        3,
    ],
)
def test_what_is_no_range_and_no_choice_is_refused(values):
    with pytest.raises(ValueError, match=r"expected tuner\.space.*; got .*; to fix, "):
        TunerOptions(trials=2, space={"training.learning_rate": values})


@pytest.mark.parametrize("options", [{"trials": 3}, {"space": RATE}])
def test_trials_and_space_are_given_together(options):
    with pytest.raises(ValueError, match="to fix, give"):
        TunerOptions(**options)


@pytest.mark.parametrize(
    "path",
    ["learning_rate", "training.", "training.rate", "data.canvas_size", "model.to_json",
     "training.steps", "training.seed", "training.learning_rate.more", ""],
)  # fmt: skip
def test_a_path_that_cannot_be_searched_is_refused(path):
    with pytest.raises(ValueError, match=f"got '{path}'; to fix"):
        check({path: {"min": 1, "max": 2}})


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("training.learning_rate", {"min": -1.0, "max": 1.0}),
        ("training.momentum", {"min": 0.5, "max": 1.0}),
        ("training.batch_size", {"min": 0, "max": 16}),
        ("training.batch_size", {"min": 12.0, "max": 16.5}),
        ("training.optimizer", {"choices": ["adam", "adagrad"]}),
        ("model.output_stride", {"choices": [8, 12, 16]}),
        ("model.output_stride", {"min": 8, "max": 16}),
        ("model.aspp_depth", {"choices": [16.0, 32.5]}),
        ("model.decoder", {"choices": [0, 1]}),
        ("model.atrous_rates", {"choices": [1, 2]}),
    ],
)
def test_a_space_with_a_value_that_is_refused_is_refused(path, values):
    with pytest.raises(ValueError, match=f"with {path}=.*expected {path}.*to fix"):
        check({path: values})


def test_corners_are_checked_together():
    scales = {"training.scale_min": {"min": 0.5, "max": 1.2}}
    largest = {"training.scale_max": {"min": 1.0, "max": 2.0}}
    check(scales, config(scale_max=2.0))
    check(largest, config(scale_min=0.5))
    with pytest.raises(ValueError, match=r"scale_min=1.2, training.scale_max=1.0"):
        check(scales | largest, config(scale_min=0.5, scale_max=2.0))


def test_the_training_after_the_search_is_checked_as_the_trials_are():
    space = {"training.warmup_steps": {"min": 0, "max": 20}}
    long = config(steps=40, steps_per_epoch=40)
    check(space, long)
    with pytest.raises(ValueError, match="warmup_steps"):
        check(space, long, config())


def test_a_space_of_too_many_corners_is_refused():
    names = ("learning_rate", "weight_decay", "momentum", "color_jitter")
    values = {"choices": [0.01 * n for n in range(1, 10)]}
    with pytest.raises(ValueError, match=r"at most 4096 corners; got 6561"):
        check({f"training.{name}": values for name in names})


@pytest.mark.parametrize(
    ("current", "values", "whole"),
    [
        (0.1, {"min": 0, "max": 1}, False),
        (4, {"min": 0, "max": 1}, True),
        (None, {"min": 0, "max": 1}, True),
        (None, {"min": 0, "max": 1.0}, False),
        (4, {"min": 0, "max": 2, "step": 0.5}, False),
    ],
)
def test_a_range_is_whole_unless_a_fraction_is_in_it_or_in_the_configuration(
    current, values, whole
):
    (found,) = TunerOptions(trials=1, space={"training.x": values}).space.values()
    assert found.is_whole(current) is whole


def test_values_go_over_a_configuration_and_leave_the_rest():
    before = config()
    after = before.with_values({"training.learning_rate": 0.5, "model.aspp_depth": 8})
    assert (after.training.learning_rate, after.model.aspp_depth) == (0.5, 8)
    assert after.with_values(
        {path: before.value(path) for path in ("training.learning_rate", "model.aspp_depth")}
    ) == before  # fmt: skip
    assert before.with_values({}) == before


def test_equal_options_are_equal_whatever_the_order_and_go_through_json():
    space = RATE | {"model.aspp_depth": {"choices": [8, 16]}}
    for items in itertools.permutations(space.items()):
        options = TunerOptions(trials=2, space=dict(items))
        same = TunerOptions(trials=2, space=space)
        assert options == same and hash(options) == hash(same)
        assert TunerOptions.from_json(options.to_json()) == options
