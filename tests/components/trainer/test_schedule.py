"""The learning rate against its formulas."""

import keras
import pytest
import tensorflow as tf

from components.trainer.schedule import build_schedule
from tests.components.trainer.small_net import options


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"schedule": "poly", "learning_rate": 0.007},
            {s: 0.007 * (1 - s / 1000) ** 0.9 for s in (0, 1, 500, 999, 1000)},
        ),
        (
            {"schedule": "poly", "end_learning_rate": 0.01, "power": 2.0},
            {500: 0.09 * 0.5**2 + 0.01, 1000: 0.01, 2000: 0.01},
        ),
        (
            {"schedule": "step", "decay_every_steps": 300, "decay_factor": 0.5},
            {0: 0.1, 299: 0.1, 300: 0.05, 899: 0.025, 900: 0.0125},
        ),
        ({"schedule": "constant"}, {0: 0.1, 999: 0.1}),
        (
            {"schedule": "poly", "warmup_steps": 200, "warmup_learning_rate": 1e-4},
            {0: 1e-4, 199: 1e-4, 200: 0.1, 600: 0.1 * 0.5**0.9, 1000: 0.0},
        ),
        (
            {"schedule": "step", "warmup_steps": 200, "decay_every_steps": 300},
            {199: 1e-4, 200: 0.1, 499: 0.1, 500: 0.01},
        ),
        (
            {"warmup_steps": 200, "warmup_learning_rate": 0.02, "warmup_mode": "linear"},
            {0: 0.02, 100: 0.06, 150: 0.08, 200: 0.1},
        ),
    ],
)
def test_schedule_matches_formula(changes, expected):
    schedule = build_schedule(options(steps=1000, **changes))
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    for step, rate in expected.items():
        assert float(schedule(step)) == pytest.approx(rate, rel=1e-4, abs=1e-9)
        assert float(again(tf.constant(step, tf.int64))) == float(schedule(step))
