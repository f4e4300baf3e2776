"""The search around the training: which trials count, and what a kill leaves behind."""

import json
import math
from pathlib import Path

import keras_tuner
import pytest
import tensorflow as tf

import schemas
from components.errors import PipelineError
from components.model_options import ModelOptions
from components.trainer.options import TrainerConfig, TrainingOptions
from components.tuner.options import TunerOptions
from components.tuner.search import Search, build_oracle

pytestmark = pytest.mark.slow

RATE, DEPTH = "training.learning_rate", "model.aspp_depth"
SPACE = {
    RATE: {"min": 1e-4, "max": 1e-2, "scale": "log"},
    DEPTH: {"min": 16, "max": 64, "step": 16},
}
ALL_KINDS = SPACE | {
    "model.decoder": {"choices": [True, False]},
    "training.momentum": {"choices": [0, 0.5]},
    "training.optimizer": {"choices": ["adam", "sgd"]},
    "training.shuffle_buffer": {"min": 1, "max": 9, "scale": "log"},
}
CONFIG = TrainerConfig(
    dataset=schemas.load("sample"),
    canvas_size=97,
    model=ModelOptions(),
    training=TrainingOptions(steps=10, steps_per_epoch=10),
)
ALGORITHMS = ("random", "bayesian")
# Of the Bayesian ones, the first two are random.
TRIALS = 4


def search(folder: Path, train, algorithm: str = "random", seed: int = 0, space=SPACE):
    options = TunerOptions(trials=TRIALS, space=space, algorithm=algorithm, seed=seed)
    return Search(build_oracle(options, CONFIG), train, str(folder / "search"))


def score(values, folder) -> float:
    return 1 - abs(math.log(values[RATE] / 1e-3)) / 10


def tried(found: Search) -> list[dict]:
    trials = found.oracle.trials
    return [trials[name].hyperparameters.values for name in found.oracle.start_order]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_trial_is_a_valid_configuration_and_the_best_wins(tmp_path, algorithm):
    found = search(tmp_path, score, algorithm, space=ALL_KINDS)
    found.search(verbose=0)
    assert len(tried(found)) == TRIALS
    for values in tried(found):
        config = CONFIG.with_values(values)
        assert all(config.value(path) == value for path, value in values.items())
        assert values[DEPTH] in (16, 32, 48, 64)
    (best,) = found.get_best_hyperparameters()
    assert best.values == max(tried(found), key=lambda values: score(values, ""))
    # As the file that TFX writes from it is read again.
    assert json.loads(json.dumps(best.get_config()))["values"] == best.values


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_seed_tries_the_same_values(tmp_path, algorithm, seed):
    once = search(tmp_path / "a", score, algorithm, seed=seed)
    again = search(tmp_path / "b", score, algorithm, seed=seed)
    other = search(tmp_path / "c", score, algorithm, seed=seed + 1)
    for found in (once, again, other):
        found.search(verbose=0)
    assert tried(once) == tried(again) != tried(other)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    "error",
    [PipelineError("expected a finite loss"), tf.errors.ResourceExhaustedError(None, None, "OOM")],
)
def test_a_trial_that_does_not_train_is_passed_over(tmp_path, algorithm, error):
    calls = []

    def train(values, folder):
        calls.append(values)
        if len(calls) in (1, 3):
            raise error
        return score(values, folder)

    found = search(tmp_path, train, algorithm)
    found.search(verbose=0)
    assert len(calls) == TRIALS
    (best,) = found.get_best_hyperparameters()
    assert best.values in (calls[1], calls[3])


def test_a_search_of_which_nothing_trains_is_an_error_that_says_why(tmp_path):
    def train(values, folder):
        raise PipelineError("expected a finite loss; got nan")

    with pytest.raises(PipelineError, match=r"none.*expected a finite loss; got nan.*to fix"):
        search(tmp_path, train).search(verbose=0)


def test_a_fault_of_the_code_ends_the_search(tmp_path):
    def train(values, folder):
        raise TypeError("a fault")

    with pytest.raises(keras_tuner.errors.FatalError, match="a fault"):
        search(tmp_path, train).search(verbose=0)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_killed_search_goes_on_as_if_it_had_not_been(tmp_path, algorithm):
    whole = search(tmp_path / "whole", score, algorithm)
    whole.search(verbose=0)
    folders = []

    def train(values, folder):
        folders.append(folder)
        if len(folders) == 3:
            Path(folder).mkdir(parents=True)
            raise KeyboardInterrupt
        return score(values, folder)

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, train, algorithm).search(verbose=0)
    again = search(tmp_path, train, algorithm)
    again.search(verbose=0)
    assert len(folders) == TRIALS + 1 and folders[2] == folders[3]
    assert tried(again) == tried(whole)
    assert not any(Path(folder).exists() for folder in folders)


@pytest.mark.parametrize("file", ["oracle.json", "tuner0.json", "trial_*/trial.json"])
def test_half_a_file_starts_the_search_anew(tmp_path, file):
    search(tmp_path, score).search(verbose=0)
    path = next((tmp_path / "search").glob(file))
    path.write_text(path.read_text()[:-2] if path.stat().st_size > 2 else "")
    calls = []
    search(tmp_path, lambda values, folder: calls.append(1) or 0.5).search(verbose=0)
    assert len(calls) == TRIALS
