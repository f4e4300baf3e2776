"""The learning rate by finished steps."""

from typing import Any

import keras
from keras import ops

from components.trainer.options import TrainingOptions


@keras.saving.register_keras_serializable(package="deeplab")
class SlowStart(keras.optimizers.schedules.LearningRateSchedule):
    """A low learning rate before a schedule, which is delayed by it (official `train_utils.py`).

    Args:
        schedule: float or `LearningRateSchedule`. The learning rate afterwards.
        warmup_steps: int. Steps before; 0 for none.
        warmup_learning_rate: float. Learning rate at step 0.
        linear: bool. Rises in a line to the first learning rate of `schedule`, or stays.
    """

    def __init__(
        self,
        schedule,
        warmup_steps: int = 0,
        warmup_learning_rate: float = 0.0,
        linear: bool = False,
    ):
        self.schedule = schedule
        self.warmup_steps = warmup_steps
        self.warmup_learning_rate = warmup_learning_rate
        self.linear = linear

    def __call__(self, step):
        """The learning rate, float32, after `step` finished steps."""
        step = ops.cast(step, "float32")
        after = self._scheduled(ops.maximum(step - self.warmup_steps, 0.0))
        if self.warmup_steps == 0:
            return after
        before = ops.cast(self.warmup_learning_rate, "float32")
        if self.linear:
            before = before + (self._scheduled(0.0) - before) * step / self.warmup_steps
        return ops.where(step < self.warmup_steps, before, after)

    def _scheduled(self, step):
        value = self.schedule(step) if callable(self.schedule) else self.schedule
        return ops.cast(value, "float32")

    def get_config(self) -> dict[str, Any]:
        """The arguments that build the same schedule again."""
        return {
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "warmup_steps": self.warmup_steps,
            "warmup_learning_rate": self.warmup_learning_rate,
            "linear": self.linear,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SlowStart":
        """The schedule that `get_config` described."""
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(**{**config, "schedule": schedule})


def build_schedule(options: TrainingOptions) -> keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate by finished steps.

    `poly` is (lr - end) (1 - step / steps)^power + end, `step` is lr factor^(step // every); both
    count from the end of the slow start, and `poly` reaches its end with the last step.
    """
    schedules = keras.optimizers.schedules
    if options.schedule == "poly":
        schedule = schedules.PolynomialDecay(
            options.learning_rate,
            options.steps - options.warmup_steps,
            options.end_learning_rate,
            options.power,
        )
    elif options.schedule == "step":
        schedule = schedules.ExponentialDecay(
            options.learning_rate, options.decay_every_steps, options.decay_factor, staircase=True
        )
    else:
        schedule = options.learning_rate
    return SlowStart(
        schedule,
        options.warmup_steps,
        options.warmup_learning_rate,
        options.warmup_mode == "linear",
    )
