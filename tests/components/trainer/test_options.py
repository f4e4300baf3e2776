"""What options accept, what they refuse and how, and the way through JSON."""

import math
import subprocess
import sys

import pytest

from components.trainer.options import TrainingOptions


def test_defaults_are_the_official_protocol():
    options = TrainingOptions()
    assert (options.steps, options.batch_size, options.learning_rate) == (30_000, 16, 0.007)
    assert (options.optimizer, options.momentum, options.weight_decay) == ("momentum", 0.9, 4e-5)
    assert (options.schedule, options.power, options.end_learning_rate) == ("poly", 0.9, 0.0)
    assert (options.scale_min, options.scale_max, options.scale_step) == (0.5, 2.0, 0.25)
    assert options.loss == ("cross_entropy",)


@pytest.mark.parametrize(
    "options",
    [
        TrainingOptions(),
        TrainingOptions(class_weights=(1.0, 2.5), loss=("focal", "lovasz"), warmup_steps=5),
        TrainingOptions(
            class_weights="median_frequency",
            hard_mining_step=100,
            top_k_fraction=0.25,
            gradient_clip_norm=1.0,
            min_resize=513,
            max_resize=513,
            resize_factor=16,
            mixed_precision="mixed_bfloat16",
        ),
    ],
)
def test_json_round_trip(options):
    again = TrainingOptions.from_json(options.to_json())
    assert again == options
    assert hash(again) == hash(options)


def test_without_steps_a_recipe_keeps_its_warmup():
    assert TrainingOptions(steps=0, warmup_steps=50).warmup_steps == 50


def test_json_types_are_normalized():
    options = TrainingOptions(loss="dice", class_weights=[1, 2], learning_rate=1, scale_max=3)
    assert options.loss == ("dice",)
    assert options.class_weights == (1, 2)
    assert isinstance(options.learning_rate, float)
    assert isinstance(options.scale_max, float)


WRONG = [
    ("steps", -1),
    ("steps", 1.5),
    ("steps", True),
    ("steps_per_epoch", 7),
    ("batch_size", "16"),
    ("seed", -1),
    ("optimizer", "rmsprop"),
    ("momentum", 1.0),
    ("weight_decay", -1e-4),
    ("weight_decay_mode", "l1"),
    ("gradient_clip_norm", 0.0),
    ("last_layer_gradient_multiplier", -1.0),
    ("bias_gradient_multiplier", "2"),
    ("mixed_precision", True),
    ("learning_rate", 0.0),
    ("learning_rate", math.nan),
    ("learning_rate", math.inf),
    ("schedule", "cosine"),
    ("end_learning_rate", -0.1),
    ("power", 0.0),
    ("decay_every_steps", 0),
    ("decay_factor", 0.0),
    ("warmup_steps", 30_000),
    ("warmup_learning_rate", -1.0),
    ("warmup_mode", "cosine"),
    ("fine_tune_batch_norm", 1),
    ("freeze_backbone", None),
    ("loss", ()),
    ("loss", ("hinge",)),
    ("class_weights", "uniform"),
    ("class_weights", (1.0, -1.0)),
    ("hard_mining_step", 100),
    ("top_k_fraction", 0.0),
    ("top_k_fraction", 25.0),
    ("min_resize", 0),
    ("crop_size", 32),
    ("scale_min", 0.0),
    ("scale_max", 0.25),
    ("scale_step", -0.25),
    ("flip", "yes"),
    ("color_jitter", 1.0),
    ("shuffle_buffer", 0),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_wrong_values_are_named(name, value):
    with pytest.raises(ValueError, match=r"^expected training.*; got .*; to fix, ") as error:
        TrainingOptions(**{name: value})
    assert f"training.{name} " in str(error.value)
    assert repr(value) in str(error.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optimizer": "adamw"}, "training.weight_decay_mode to be decoupled"),
        ({"max_resize": 513}, "training.min_resize to be a size"),
        ({"resize_factor": 16}, "training.min_resize to be a size"),
        ({"min_resize": 513, "max_resize": 257}, "training.max_resize to be at least"),
        ({"steps": 50}, "training.steps_per_epoch to be a divisor"),
        ({"steps_per_epoch": 100, "save_every_steps": 30}, "training.save_every_steps to be null"),
        ({"warmup_steps": 30_000}, "training.warmup_steps to be fewer than"),
        ({"hard_mining_step": 10, "top_k_fraction": 1.0}, "training.hard_mining_step to be 0"),
    ],
)
def test_combinations_are_checked(values, message):
    with pytest.raises(ValueError, match=message):
        TrainingOptions(**values)


def test_options_need_no_heavy_imports():
    code = (
        "import sys; import components.trainer.options; "
        "assert not {'keras', 'tensorflow', 'numpy', 'tfx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["initial_weights", "initial_weights_scope", "epochs"])
def test_unknown_names_are_refused(name):
    with pytest.raises(ValueError, match=rf"expected training\.{name} to be one of steps, "):
        TrainingOptions(**{name: 1})


def test_all_faults_come_at_once():
    with pytest.raises(ValueError) as error:
        TrainingOptions(steps=-1, batch_size="16", flip="yes", epochs=3)
    lines = str(error.value).split("\n")
    for name in ("steps", "batch_size", "flip", "epochs"):
        assert sum(f"training.{name} " in line for line in lines) == 1
    assert len(lines) == 4
    with pytest.raises(ValueError) as error:
        TrainingOptions(steps=50, warmup_steps=60, scale_max=0.25, optimizer="adamw")
    assert len(str(error.value).split("\n")) == 4
