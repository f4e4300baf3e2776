"""What is said of a training's curves: over many made-up ones, each of a known kind."""

import numpy as np
import pytest

from components.report.advice import advise
from components.trainer import history
from components.trainer.history import State

SEEDS = range(40)


def curves(seed: int, kind: str, validations: int = 0, every: int = 0) -> list[State]:
    """A training of 4 to 40 validations, each after one to five saved states, with noise."""
    random = np.random.default_rng(seed)
    validations = validations or int(random.integers(4, 41))
    every = every or int(random.integers(1, 6))
    count = validations * every
    done = np.arange(1, count + 1) / count
    top, noise = random.uniform(0.3, 0.9), 0.004
    learned = top * (1 - np.exp(-4 * done))
    judged = 0.9 * learned
    loss = 2 * np.exp(-3 * done) + 0.1
    change = random.uniform(1e-4, 1e-1, count)
    if kind == "overfitted":
        peak = random.uniform(0.2, 0.5)
        judged -= np.maximum(done - peak, 0) / (1 - peak) * random.uniform(0.5, 0.8) * top
        learned = top * done
    if kind in ("flat", "still"):
        learned, judged, loss = (np.full(count, v) for v in (0.3, 0.25, random.uniform(0.1, 3)))
        noise = 0.002
    if kind == "still":
        change[:] = random.choice([0.0, 1e-7 / count])
    learned = learned + noise * random.uniform(-1, 1, count)
    judged = judged + noise * random.uniform(-1, 1, count)
    loss = loss * (1 + noise * random.uniform(-1, 1, count))
    return [
        State(
            step=50 * (i + 1),
            loss=float(loss[i]),
            mean_iou=float(learned[i]),
            change=float(change[i]),
            val_mean_iou=float(judged[i]) if (i + 1) % every == 0 else None,
        )
        for i in range(count)
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_healthy_training_is_not_remarked_on(seed):
    assert advise(curves(seed, "healthy")) == []


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("overfitted", "validation fell while training rose"),
        ("flat", "the loss was flat"),
        ("still", "the network stood still"),
    ],
)
@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_wrong_is_said_in_one_sentence(kind, words, seed):
    states = curves(seed, kind, validations=8 if kind == "overfitted" else 0)
    (line,) = advise(states)
    assert line.startswith(words) and "to fix" in line and "\n" not in line


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["healthy", "overfitted", "flat"])
def test_nothing_is_said_of_fewer_than_four_validations(kind, seed):
    assert advise(curves(seed, kind, validations=1 + seed % 3)) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_one_odd_validation_is_no_fall(seed):
    states = curves(seed, "healthy", every=1)
    odd = np.random.default_rng(seed).integers(len(states))
    values = {name: getattr(states[odd], name) for name in ("step", "loss", "mean_iou", "change")}
    states[odd] = State(**values, val_mean_iou=0.0)
    assert advise(states) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_a_validation_that_falls_with_the_training_is_no_overfitting(seed):
    states = curves(seed, "overfitted", validations=8)
    fallen = [
        State(
            step=state.step,
            loss=state.loss,
            mean_iou=1 - state.mean_iou,
            change=state.change,
            val_mean_iou=state.val_mean_iou,
        )
        for state in states
    ]
    assert not any("validation fell" in line for line in advise(fallen))


def test_a_mined_loss_may_rise_while_the_network_learns():
    states = [
        State(step=i, loss=1 + i, mean_iou=0.05 * i, change=0.1, val_mean_iou=0.05 * i)
        for i in range(1, 9)
    ]
    assert advise(states) == []


def test_a_network_that_moved_little_from_where_it_was_well_is_not_standing_still():
    states = [
        State(step=i, loss=0.5 - 0.02 * i, mean_iou=0.7, change=1e-5, val_mean_iou=0.7)
        for i in range(1, 9)
    ]
    assert advise(states) == []


@pytest.mark.parametrize("states", [[], curves(0, "overfitted"), curves(1, "healthy")])
def test_states_come_back_from_disk(tmp_path, states):
    assert history.read(str(tmp_path)) == []
    history.write(str(tmp_path / "run"), states)
    assert history.read(str(tmp_path / "run")) == states
    assert advise(history.read(str(tmp_path / "run"))) == advise(states)
