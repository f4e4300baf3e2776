"""What is saved beside the gradient steps: the state to resume from, and the best epoch.

`fit` is called with one Keras epoch for every saved state, so `epoch` here counts saved states;
only those that end an epoch of the options come with a validation.
"""

import math
import os

import keras
import numpy as np
import tensorflow as tf

from components.errors import PipelineError
from components.trainer import history, progress


class Checkpoints(keras.callbacks.Callback):
    """Saves the state of training every few steps and keeps the best epoch's weights.

    TensorFlow's checkpoints appear whole or not at all, so a run that is killed at any moment goes
    on from the last saved step, with the same order of pictures and the same dropout.

    Args:
        model: the network.
        optimizer: that of the compiled model.
        folder: on this machine or in a bucket; stays the same for the same configuration, also
            when the run is started again.
        own_folder: where this process writes; `folder`, except for workers that are not the chief.
        save_every_steps: steps of one Keras epoch.
        monitor: the logged number whose highest value marks the best epoch.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        folder: str,
        own_folder: str,
        *,
        save_every_steps: int,
        monitor: str,
    ):
        super().__init__()
        self._monitor = monitor
        self._folder = folder
        self._save_every_steps = save_every_steps
        self._steps_done = tf.Variable(0, dtype=tf.int64)
        self._best_value = tf.Variable(-math.inf, dtype=tf.float64)
        optimizer.build(model.trainable_variables)
        self._state = tf.train.CheckpointManager(
            tf.train.Checkpoint(
                # All variables, for a Keras model's own dependencies leave out the dropout's seeds.
                variables=[variable.value for variable in model.variables],
                optimizer=optimizer,
                steps_done=self._steps_done,
                best_value=self._best_value,
            ),
            os.path.join(own_folder, "last"),
            max_to_keep=1,
        )
        self._best = tf.train.CheckpointManager(
            tf.train.Checkpoint(variables=[variable.value for variable in model.variables]),
            os.path.join(own_folder, "best"),
            max_to_keep=1,
        )

    def resume(self) -> int:
        """Restores the last saved state, if any, and returns the number of finished steps."""
        last = tf.train.latest_checkpoint(os.path.join(self._folder, "last"))
        if last:
            self._state.checkpoint.restore(last).assert_consumed()
            progress.training_goes_on(self._steps_done.numpy())
        return int(self._steps_done.numpy())

    def restore_best(self) -> float:
        """Gives the model the best epoch's weights; returns that epoch's monitored value.

        Raises:
            PipelineError: no epoch ever gave a number.
        """
        best = self._best.latest_checkpoint or tf.train.latest_checkpoint(
            os.path.join(self._folder, "best")
        )
        if not best:
            raise PipelineError(
                f"expected at least one epoch with a {self._monitor}; got none; "
                "to fix, see that validation labels hold more than the ignore label"
            )
        self._best.checkpoint.restore(best).assert_existing_objects_matched()
        return float(self._best_value.numpy())

    def on_epoch_end(self, epoch, logs=None):
        """Saves, the best first: whatever is lost in a crash is done again.

        Raises:
            PipelineError: the loss is no number; nothing of this epoch is saved.
        """
        steps = (epoch + 1) * self._save_every_steps
        if not math.isfinite(logs["loss"]):
            raise PipelineError(
                f"expected a finite loss; got {logs['loss']} before step {steps}; "
                "to fix, lower training.learning_rate"
            )
        value = logs.get(self._monitor, -math.inf)
        if value > self._best_value.numpy():
            self._best_value.assign(value)
            self._best.save(checkpoint_number=steps)
        self._steps_done.assign(steps)
        self._state.save(checkpoint_number=steps)


class History(keras.callbacks.Callback):
    """Writes what every saved state measured, see `components.trainer.history`.

    Comes before `Checkpoints`, so that nothing that was saved is missing from it; what is beyond
    the last saved state is measured again.

    Args:
        folder: that of `Checkpoints`.
        first_step: finished steps of a run that goes on.
        save_every_steps: steps of one Keras epoch.
    """

    def __init__(self, folder: str, first_step: int, save_every_steps: int):
        super().__init__()
        self._folder = folder
        self._save_every_steps = save_every_steps
        self.states = [s for s in history.read(folder) if s.step <= first_step]
        self._before: list[np.ndarray] = []

    def on_train_begin(self, logs=None):
        """Remembers the weights."""
        self._before = self._weights()

    def on_epoch_end(self, epoch, logs=None):
        """Measures and writes."""
        now = self._weights()
        self.states.append(
            history.State(
                step=(epoch + 1) * self._save_every_steps,
                loss=float(logs["loss"]),
                mean_iou=float(logs["mean_iou"]),
                val_mean_iou=float(logs["val_mean_iou"]) if "val_mean_iou" in logs else None,
                change=_norm([a - b for a, b in zip(now, self._before, strict=True)])
                / max(_norm(self._before), 1e-12),
            )
        )
        self._before = now
        history.write(self._folder, self.states)

    def _weights(self) -> list[np.ndarray]:
        return [keras.ops.convert_to_numpy(v) for v in self.model.trainable_variables]


def _norm(arrays: list[np.ndarray]) -> float:
    return math.sqrt(sum(float(np.sum(np.square(a, dtype=np.float64))) for a in arrays))
