"""What happens beside the gradient steps: resume, the best epoch, progress, TensorBoard."""

import math
import time
from pathlib import Path

import keras
import tensorflow as tf
from absl import logging

from components.errors import PipelineError


class Checkpoints(keras.callbacks.Callback):
    """Saves the state of training after every epoch and keeps the best epoch's weights.

    TensorFlow's checkpoints appear whole or not at all, so a run that is killed at any moment goes
    on from the last finished epoch.

    Args:
        folder: stays the same for the same configuration, also when the run is started again.
        monitor: the logged number whose highest value marks the best epoch.
    """

    def __init__(self, model: keras.Model, folder: Path, monitor: str):
        super().__init__()
        self._monitor = monitor
        self.epochs_done = tf.Variable(0, dtype=tf.int64)
        self._best_value = tf.Variable(-math.inf, dtype=tf.float64)
        model.optimizer.build(model.trainable_variables)
        self._state = tf.train.CheckpointManager(
            tf.train.Checkpoint(
                model=model,
                optimizer=model.optimizer,
                epochs_done=self.epochs_done,
                best_value=self._best_value,
            ),
            str(folder / "last"),
            max_to_keep=1,
        )
        self._best = tf.train.CheckpointManager(
            tf.train.Checkpoint(model=model), str(folder / "best"), max_to_keep=1
        )

    def resume(self) -> int:
        """Restores the last saved state, if any, and returns the number of finished epochs."""
        if self._state.latest_checkpoint:
            self._state.checkpoint.restore(self._state.latest_checkpoint).assert_consumed()
            logging.info("Training goes on after epoch %d", self.epochs_done.numpy())
        return int(self.epochs_done.numpy())

    def restore_best(self) -> float:
        """Gives the model the best epoch's weights; returns that epoch's monitored value.

        Raises:
            PipelineError: no epoch ever gave a number.
        """
        if not self._best.latest_checkpoint:
            raise PipelineError(
                f"expected at least one epoch with a {self._monitor}; got none; "
                "to fix, see whether the loss became NaN"
            )
        self._best.checkpoint.restore(self._best.latest_checkpoint).expect_partial()
        return float(self._best_value.numpy())

    def on_epoch_end(self, epoch, logs=None):
        """Saves, the best first: whatever is lost in a crash is done again."""
        value = logs[self._monitor]
        if value > self._best_value.numpy():
            self._best_value.assign(value)
            self._best.save(checkpoint_number=epoch + 1)
        self.epochs_done.assign(epoch + 1)
        self._state.save(checkpoint_number=epoch + 1)


class Progress(keras.callbacks.Callback):
    """Logs a line after every epoch, and one every ten seconds within long ones."""

    def __init__(self, steps: int, steps_per_epoch: int, batch_size: int, first_step: int):
        super().__init__()
        self._steps = steps
        self._steps_per_epoch = steps_per_epoch
        self._batch_size = batch_size
        self._first_step = first_step
        self._epoch_start = first_step
        self._started = self._last_line = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        """Says where training is, at most every ten seconds."""
        if time.monotonic() - self._last_line >= 10:
            self._line(self._epoch_start + batch + 1, logs)

    def on_epoch_end(self, epoch, logs=None):
        """Says what the epoch gave; refuses a loss that is no number."""
        self._epoch_start = (epoch + 1) * self._steps_per_epoch
        if not math.isfinite(logs["loss"]):
            raise PipelineError(
                f"expected a finite loss; got {logs['loss']} in epoch {epoch + 1}; "
                "to fix, lower training.learning_rate"
            )
        self._line(self._epoch_start, logs)

    def _line(self, step: int, logs: dict) -> None:
        self._last_line = time.monotonic()
        per_second = (step - self._first_step) / max(self._last_line - self._started, 1e-9)
        parts = [f"step {step}/{self._steps}", f"loss {logs['loss']:.3f}"]
        parts += [
            f"{label} mIoU {100 * logs[key]:.1f} %"
            for label, key in (("train", "mean_iou"), ("val", "val_mean_iou"))
            if key in logs and math.isfinite(logs[key])
        ]
        parts.append(f"{per_second * self._batch_size:.1f} images/s")
        left = round((self._steps - step) / max(per_second, 1e-9))
        parts.append(f"{left // 60}:{left % 60:02d} left")
        logging.info("%s", ", ".join(parts))


class LearningRateLog(keras.callbacks.Callback):
    """Adds the learning rate to what TensorBoard shows of an epoch."""

    def on_epoch_end(self, epoch, logs=None):
        """Must stand before TensorBoard in the list of callbacks."""
        logs["learning_rate"] = float(
            keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        )
