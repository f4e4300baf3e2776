"""Time and memory of a training: measured for real, kept, and said in a line."""

import argparse
import io
import json

import numpy as np
import pytest
from rich.console import Console

import schemas
from pipeline import estimate, recipes
from pipeline.commands import arguments, run
from pipeline.config import PipelineConfig, override

TINY = (
    *("data.canvas_size=65", "model.width_multiplier=0.35", "model.aspp_depth=8"),
    *("model.decoder=false", "model.atrous_rates=[]", "initial_weights.source=null"),
    *("training.batch_size=2", "training.steps=1000"),
)


@pytest.fixture
def tiny() -> PipelineConfig:
    return override(recipes.own_data(), list(TINY))


def trial(**changes) -> estimate.Trial:
    values = {"device": "CPU", "seconds": (9.0, 1.0, 3.0, 2.0), "memory": 6_100_000_000}
    return estimate.Trial(**values | changes)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((0.2, "1 s"), (50, "50 s"), (89.4, "89 s"), (90, "2 min"), (49 * 60, "49 min")),
        *((7800, "2 h 10 min"), (3600 * 47, "47 h 0 min"), (86400 * 5, "5 days")),
    ],
)
def test_times_are_said_as_people_say_them(seconds, words):
    assert estimate.duration(seconds) == words


def test_a_longer_time_is_never_said_to_be_a_shorter_one():
    units = {"s": 1, "min": 60, "h": 3600, "days": 86400}

    def said(seconds: float) -> float:
        words = estimate.duration(seconds).split()
        pairs = zip(words[::2], words[1::2], strict=True)
        return sum(int(number) * units[unit] for number, unit in pairs)

    seconds = np.geomspace(1, 1e7, 2000)
    values = [said(value) for value in seconds]
    assert values == sorted(values)
    np.testing.assert_allclose(values, seconds, rtol=0.5)
    np.testing.assert_allclose(values[400:], seconds[400:], rtol=0.35)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (trial(), "about 2 h 47 min and 6.1 GB on this machine (measured: 3 steps of 8 pi"),
        (trial(seconds=(9.0,)), "at most 12 h 30 min and 6.1 GB on this machine (measured: 1 step"),
        (trial(device="GPU"), "and 6.1 GB of the GPU on this machine"),
        (trial(seconds=()), "could not be measured: the first step of 8 pictures took longer than"),
        (trial(fault="no room"), "could not be tried: no room; to fix, lower training.batch_size"),
    ],
)  # fmt: skip
def test_what_a_trial_says(found, words):
    assert words in estimate.sentence(found, recipes.own_data())


LINES = [{"device": "CPU"}, *({"seconds": 2.0 - i / 2, "bytes": 100 + i} for i in range(3))]


@pytest.mark.parametrize("length", range(0, 180, 7))
def test_a_trial_that_is_ended_anywhere_is_read_up_to_there(length):
    whole = "libraries print\n" + "\n".join(json.dumps(line) for line in LINES) + "\n"
    found = estimate._read(whole[:length], "", 0)
    assert found.seconds == (2.0, 1.5, 1.0)[: len(found.seconds)] and found.fault == ""
    assert found.device == ("CPU" if '{"device": "CPU"}' in whole[:length] else "")
    assert len(found.seconds) == whole[:length].count("}") - bool(found.device)
    assert found.memory == (100 + len(found.seconds) - 1 if found.seconds else 0)


@pytest.mark.parametrize(
    ("code", "errors", "fault"),
    [
        (-9, "", "want of memory"),
        (1, "Traceback\nResourceExhaustedError: OOM\n", "ResourceExhaustedError: OOM"),
        (1, "", "exit status 1"),
    ],
)
def test_a_trial_that_fails_says_why(code, errors, fault):
    assert fault in estimate._read("", errors, code).fault


def test_only_long_trainings_are_tried_before_a_run():
    long = {name for name in recipes.RECIPES if estimate.is_long(recipes.get(name))}
    assert long == recipes.RECIPES.keys() - {"sample", "pascal_checkpoint"}
    assert not estimate.can_be_tried(recipes.pascal_checkpoint())
    mirrored = override(recipes.own_data(), ["training.distribution=mirrored"])
    assert not estimate.can_be_tried(mirrored) and estimate.can_be_tried(recipes.own_data())


@pytest.mark.parametrize(
    ("words", "is_tried"),
    [
        (["--dataset", "mine"], True),
        (["--dataset", "mine", "--to-node", "Trainer"], True),
        (["--dataset", "mine", "--to-node", "Transform"], False),
        (["--dataset", "mine", "--from-node", "Evaluator"], False),
        (["--recipe", "sample"], False),
        (["--recipe", "sample", "--dry-run"], True),
        (["--recipe", "sample", "--set", "training.steps=50000"], True),
        (["--recipe", "pascal_checkpoint", "--dry-run"], False),
    ],
)
def test_a_trial_is_for_a_run_that_trains_for_long_and_for_a_dry_run(words, is_tried):
    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    parsed = parser.parse_args(words)
    config = arguments.load(parsed)[0]
    assert run._is_worth_a_trial(config, parsed) == is_tried


def test_recipes_for_a_cpu_are_for_the_same_kind_of_data():
    assert recipes.name_for("mine") == "own_data" and recipes.name_for("pascal") == "pascal"
    for recipe, on_cpu in recipes.ON_CPU.items():
        heavy, light = recipes.get(recipe), recipes.get(on_cpu)
        assert light.data.dataset == heavy.data.dataset
        cost = [c.training.steps * c.training.batch_size * c.data.canvas_size**2
                for c in (heavy, light)]  # fmt: skip
        assert cost[1] < cost[0] / 4


@pytest.mark.slow
def test_a_trial_measures_the_network_that_is_configured_and_is_kept(tiny, tmp_path):
    dataset = schemas.load("sample")
    # As much time as any machine needs; the test has no say in how fast it is.
    found = estimate.measure(tiny, dataset, str(tmp_path), seconds=600)
    assert len(found.seconds) == 4 and min(found.seconds) > 0 and found.fault == ""
    assert found.memory > 100e6 and found.device in ("CPU", "GPU")
    # To the last digit: it was not measured again.
    assert estimate.measure(tiny, dataset, str(tmp_path)) == found
    out = io.StringIO()
    for recipe in ("own_data", "own_data_cpu"):
        console = Console(file=out, width=300)
        estimate.show(console, tiny, dataset, str(tmp_path), recipe)
    said = out.getvalue()
    assert said.count("Training takes about") == 2
    assert said.count("--recipe own_data_cpu") == (found.device == "CPU")


@pytest.mark.slow
def test_a_trial_without_time_has_its_first_step_and_is_not_kept(tiny, tmp_path):
    found = estimate.measure(tiny, schemas.load("sample"), str(tmp_path), seconds=0, patience=600)
    assert len(found.seconds) == 1
    assert "at most" in estimate.sentence(found, tiny)
    assert list(tmp_path.iterdir()) == []
