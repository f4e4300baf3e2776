"""What TensorBoard shows of a training: curves by step, pictures, the configuration."""

import json
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from models import metrics
from models.confusion import SegmentationMetrics
from schemas import Dataset

FOLDER = "curves"
"""Of a training's folder of states: it outlives a killed run, as they do, and is copied at the end,
so that what is shown holds every step of all the runs that it took."""


class Curves(keras.callbacks.Callback):
    """Writes scalars, pictures and the configuration below `log_dir`.

    `train/` has loss, mean IoU, pixel accuracy and learning rate at every saved state,
    `validation/` the same without the learning rate, the IoU of every class, and pictures beside
    truth and prediction in the data set's colours, at every validation. With several replicas it
    has no loss: batches that make up for what one has less than another would lower the mean.

    Args:
        log_dir: TensorBoard's folder of this training; a run that goes on adds to what is there.
        network: from images to logits.
        metric: that of the compiled model; after a validation it holds its confusion matrix.
        dataset: names and colours of the classes.
        pictures: images `[N, S, S, 3]` in [-1, 1] and labels `[N, S, S]` of the validation split.
        save_every_steps: steps of one Keras epoch.
        description: the run's whole configuration, JSON.
    """

    def __init__(
        self,
        log_dir: str,
        network: keras.Model,
        metric: SegmentationMetrics,
        dataset: Dataset,
        pictures: tuple[np.ndarray, np.ndarray],
        *,
        save_every_steps: int,
        description: Mapping,
    ):
        super().__init__()
        self._network = network
        self._metric = metric
        self._dataset = dataset
        self._pictures = pictures
        self._save_every_steps = save_every_steps
        self._train, self._validation = (
            tf.summary.create_file_writer(f"{log_dir}/{name}") for name in ("train", "validation")
        )
        self._class_iou: dict[str, float] = {}
        with self._train.as_default(step=0):
            tf.summary.text("configuration", f"```\n{json.dumps(description, indent=2)}\n```")

    def on_test_end(self, logs=None):
        """Reads the validation's confusion matrix, before training starts to count anew."""
        matrix = keras.ops.convert_to_numpy(self._metric.matrix)
        self._class_iou = dict(
            zip(self._dataset.class_names, metrics.iou_per_class(matrix), strict=True)
        )

    def on_epoch_end(self, epoch, logs=None):
        """Writes what there is."""
        step = (epoch + 1) * self._save_every_steps
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        with self._train.as_default(step=step):
            for name in ("loss", "mean_iou", "pixel_accuracy"):
                tf.summary.scalar(name, logs[name])
            tf.summary.scalar("learning_rate", rate)
        if "val_loss" in logs:
            with self._validation.as_default(step=step):
                replicas = self.model.distribute_strategy.num_replicas_in_sync
                for name in ("loss", "mean_iou", "pixel_accuracy")[replicas > 1 :]:
                    tf.summary.scalar(name, logs[f"val_{name}"])
                for name, value in self._class_iou.items():
                    if not np.isnan(value):
                        tf.summary.scalar(f"iou/{name}", value)
                tf.summary.image("image, truth, prediction", self._strips(), max_outputs=8)
        self._train.flush()
        self._validation.flush()

    def _strips(self) -> np.ndarray:
        """uint8 `[N, S, 3 S, 3]`: each picture beside its truth and its prediction."""
        images, labels = self._pictures
        logits = keras.ops.convert_to_numpy(self._network(images, training=False))
        palette = np.uint8(self._dataset.palette)
        image = np.uint8(np.round((images + 1) * 127.5))
        return np.concatenate([image, palette[labels], palette[logits.argmax(-1)]], axis=2)
