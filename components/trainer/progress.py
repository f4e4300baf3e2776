"""What a person sees while training runs: a live record, and lines in the log.

Nothing here decides a result, so modules of this name are left out of every source fingerprint
(see `components.fingerprint`): to reword a line does not train a model again. Imports no
TensorFlow, so that a terminal can listen before it is there.
"""

import logging as standard_logging
import math
import time

from absl import logging

PROGRESS = standard_logging.getLogger("deeplab.progress")
"""Where training is, several times a second: records with `step` and `steps`, for a live display.

Whoever wants to see them adds a handler and sets the level INFO.
"""
PROGRESS.propagate = False

_SECONDS_BETWEEN_RECORDS = 0.2


class Progress:
    """Says where training is: live on `PROGRESS`, and a line in the log at every saved state.

    Its methods are those of a `keras.callbacks.Callback` and are called as such.

    Args:
        steps: of the whole run.
        save_every_steps: steps of one Keras epoch.
        batch_size: pictures of a step.
        first_step: finished steps of a run that goes on.
    """

    def __init__(self, steps: int, save_every_steps: int, batch_size: int, first_step: int):
        self._steps = steps
        self._save_every_steps = save_every_steps
        self._batch_size = batch_size
        self._epoch_start = first_step
        self._last_record = 0.0
        # The first step traces the graph; with it the time left would be far off.
        self._clock: tuple[int, float] | None = None

    def on_train_batch_end(self, batch: int, logs: dict) -> None:
        """Says where training is, at most every 0.2 seconds and after the last step."""
        step = self._epoch_start + batch + 1
        now = time.monotonic()
        self._clock = self._clock or (step, now)
        if now - self._last_record >= _SECONDS_BETWEEN_RECORDS or step == self._steps:
            self._last_record = now
            PROGRESS.info(self._text(step, logs), extra={"step": step, "steps": self._steps})

    def on_epoch_end(self, epoch: int, logs: dict) -> None:
        """Says what the steps gave."""
        self._epoch_start = (epoch + 1) * self._save_every_steps
        logging.info("%s", self._text(self._epoch_start, logs))

    def _text(self, step: int, logs: dict) -> str:
        parts = [f"step {step}/{self._steps}", f"loss {logs['loss']:.3f}"]
        parts += [
            f"{label} mIoU {100 * logs[key]:.1f} %"
            for label, key in (("train", "mean_iou"), ("val", "val_mean_iou"))
            if key in logs and math.isfinite(logs[key])
        ]
        since_step, since = self._clock
        if step > since_step:
            per_second = (step - since_step) / max(time.monotonic() - since, 1e-9)
            left = round((self._steps - step) / per_second)
            parts.append(f"{per_second * self._batch_size:.1f} images/s")
            parts.append(f"{left // 60}:{left % 60:02d} left")
        return ", ".join(parts)


def initial_weights(report: object) -> None:
    """Says what was taken from a checkpoint."""
    logging.info("Initial weights: %s", report)


def training_goes_on(step: int) -> None:
    """Says that a saved state was found, of a run with `step` finished steps."""
    logging.info("Training goes on after step %d", step)


def best_epoch(mean_iou: float) -> None:
    """Says how good the exported weights are; `mean_iou` is in [0, 1]."""
    logging.info("The best epoch has a validation mean IoU of %.1f %%", 100 * mean_iou)
