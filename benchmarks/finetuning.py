"""What helps a short fine-tuning on few pictures: one choice changed at a time.

    python -m benchmarks.finetuning --data-dir VOCdevkit \
      --backbone-weights mobilenet_v2_imagenet_dogs.weights.h5

MobileNetV2 from ImageNet weights, 300 steps of 8 crops of 193 pixels, judged on the first 150
pictures of the validation list: small enough to compare choices in minutes, too small for a good
score. Prints a row for each choice as it is done.
"""

import argparse
import dataclasses
import functools
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image
from rich.console import Console

from components.trainer import augmentation, optimization
from components.trainer.options import TrainingOptions
from models import DeepLabV3Plus, metrics
from models.checkpoints import load_checkpoint
from models.losses import SegmentationLoss

_CLASSES, _IGNORE, _CROP, _STEPS, _BATCH, _JUDGED_ON = 21, 255, 193, 300, 8, 150
_COVERED = (0, 8, 10, 12, 13, 15, 17)
"""Background, cat, cow, dog, horse, person, sheep: those with enough pixels."""

_COMMON = {
    "steps": _STEPS,
    "steps_per_epoch": _STEPS,
    "batch_size": _BATCH,
    "color_jitter": 0.2,
    "warmup_steps": 30,
    "warmup_mode": "linear",
    "warmup_learning_rate": 1e-5,
}
_ADAMW = {
    **_COMMON,
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "weight_decay": 1e-2,
    "weight_decay_mode": "decoupled",
}
_MOMENTUM = {
    **_COMMON,
    "optimizer": "momentum",
    "learning_rate": 0.02,
    "weight_decay": 4e-5,
    "gradient_clip_norm": 5.0,
}
_SLOW = {"backbone_learning_rate_multiplier": 0.1}
_FROZEN = {"fine_tune_batch_norm": False}
_TUNED = {"batch_norm_decay": 0.95}
_NARROW = {"scale_min": 0.75, "scale_max": 1.5}
_V3 = {"atrous_rates": (), "decoder": False}
_BIASES = {**_V3, "head_batch_norm": False}

_BEST = _ADAMW | _SLOW | _FROZEN | _NARROW | {"loss": ("cross_entropy", "dice")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """What one run does."""

    training: dict
    network: dict
    freeze_backbone_norm: bool = False
    canvas: int = _CROP
    """Pixels of the side that whole pictures are shrunk to, before crops are cut out."""


CHOICES = {
    "AdamW, frozen batch norm, biases in the head": Choice(
        training=_ADAMW | _SLOW | _FROZEN, network=_BIASES
    ),
    "… batch norm tuned in the head": Choice(
        training=_ADAMW | _SLOW | _TUNED, network=_V3, freeze_backbone_norm=True
    ),
    "… batch norm tuned everywhere": Choice(training=_ADAMW | _SLOW | _TUNED, network=_V3),
    "… with ASPP branches and decoder (v3+)": Choice(
        training=_ADAMW | _SLOW | _TUNED, network={}, freeze_backbone_norm=True
    ),
    "momentum, frozen batch norm": Choice(training=_MOMENTUM | _FROZEN, network=_BIASES),
    "momentum, batch norm tuned in the head": Choice(
        training=_MOMENTUM | _TUNED, network=_V3, freeze_backbone_norm=True
    ),
    "AdamW as first, scales 0.75 to 1.5": Choice(
        training=_ADAMW | _SLOW | _FROZEN | _NARROW, network=_BIASES
    ),
    "… backbone at 0.3 of the rate": Choice(
        training=_ADAMW | _FROZEN | _NARROW | {"backbone_learning_rate_multiplier": 0.3},
        network=_BIASES,
    ),
    "… with Dice": Choice(training=_BEST, network=_BIASES),
    "… pictures of 321 pixels": Choice(training=_BEST, network=_BIASES, canvas=321),
    "… pictures of 321 pixels, scales 0.5 to 1.25": Choice(
        training=_BEST | {"scale_min": 0.5, "scale_max": 1.25}, network=_BIASES, canvas=321
    ),
    "… pictures of 321 pixels, scales 0.5 to 1": Choice(
        training=_BEST | {"scale_min": 0.5, "scale_max": 1.0}, network=_BIASES, canvas=321
    ),
}


@functools.lru_cache(maxsize=2)
def load(root: Path, split: str, limit: int | None, side: int) -> tuple[np.ndarray, ...]:
    """Images [N, S, S, 3] in [-1, 1], labels [N, S, S] and sizes [N, 2] inside the canvas."""
    images, labels, sizes = [], [], []
    names = (root / f"ImageSets/Segmentation/{split}.txt").read_text().split()
    for name in names[:limit]:
        image = Image.open(root / f"JPEGImages/{name}.jpg").convert("RGB")
        label = Image.open(root / f"SegmentationClass/{name}.png")
        scale = min(1, side / max(image.size))
        width, height = (round(edge * scale) for edge in image.size)
        canvas = np.full((side, side, 3), 127.5, np.float32)
        ids = np.full((side, side), _IGNORE, np.uint8)
        canvas[:height, :width] = image.resize((width, height), Image.Resampling.BILINEAR)
        ids[:height, :width] = label.resize((width, height), Image.Resampling.NEAREST)
        images.append((canvas / 127.5 - 1).astype(np.float16))
        labels.append(ids)
        sizes.append((height, width))
    return np.stack(images), np.stack(labels), np.array(sizes)


def run(choice: Choice, weights: str, root: Path) -> tuple[float, float, float, float]:
    """Trains with one choice; mean IoU, that of the covered classes, accuracy, and seconds."""
    train = load(root, "train", None, choice.canvas)
    val = load(root, "val", _JUDGED_ON, choice.canvas)
    start = time.perf_counter()
    keras.utils.set_random_seed(1)
    options = TrainingOptions(**choice.training)
    model = DeepLabV3Plus("mobilenet_v2", _CLASSES, **choice.network)
    load_checkpoint(model, weights, scope="backbone")
    optimization.freeze(model, options)
    for layer in model.batch_norm_layers:
        if choice.freeze_backbone_norm and layer in model.backbone_layers:
            layer.trainable = False
        if options.batch_norm_decay:
            layer.momentum = options.batch_norm_decay
    optimizer = optimization.build_optimizer(options, model)
    loss = SegmentationLoss(_CLASSES, _IGNORE, options.loss, step=optimizer.iterations)
    model.compile(optimizer=optimizer, loss=loss)
    augment = functools.partial(
        augmentation.augment, options=options, crop_size=_CROP, ignore_label=_IGNORE
    )

    def prepare(number, picture):
        image, label, size = picture
        return augment(
            tf.cast(image, tf.float32)[: size[0], : size[1]],
            tf.cast(label, tf.int64)[: size[0], : size[1]],
            tf.stack([tf.constant(0, tf.int64), number]),
        )

    pictures = tf.data.Dataset.from_tensor_slices(train).shuffle(len(train[0]), seed=1).repeat()
    batches = (
        tf.data.Dataset.zip(tf.data.Dataset.range(_STEPS * _BATCH), pictures)
        .map(prepare, num_parallel_calls=2)
        .batch(_BATCH)
        .prefetch(2)
    )
    model.fit(batches, epochs=1, verbose=0)
    matrix, predict = np.zeros((_CLASSES, _CLASSES), np.int64), tf.function(model)
    for first in range(0, len(val[0]), 15):
        part = slice(first, first + 15)
        predicted = predict(val[0][part].astype(np.float32)).numpy().argmax(-1)
        counted = val[1][part] != _IGNORE
        np.add.at(matrix, (val[1][part][counted], predicted[counted]), 1)
    covered = float(np.mean(metrics.iou_per_class(matrix)[list(_COVERED)]))
    seconds = time.perf_counter() - start
    return metrics.mean_iou(matrix), covered, metrics.pixel_accuracy(matrix), seconds


def main() -> None:
    """Prints a row for each choice."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of a PASCAL VOC")
    parser.add_argument("--backbone-weights", required=True)
    parser.add_argument("--choice", default="", help="only those whose name holds this")
    arguments = parser.parse_args()
    root = next(arguments.data_dir.glob("**/ImageSets/Segmentation")).parents[1]
    console = Console()
    console.print("mean IoU  7 classes  accuracy  seconds")
    for name, choice in CHOICES.items():
        if arguments.choice not in name:
            continue
        mean, covered, accuracy, seconds = run(choice, arguments.backbone_weights, root)
        console.print(
            f"{mean:8.3f}  {covered:9.3f}  {accuracy:8.3f}  {seconds:7.0f}  {name}",
            highlight=False,
        )


if __name__ == "__main__":
    main()
