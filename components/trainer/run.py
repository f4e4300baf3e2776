"""The Trainer's function: builds DeepLab v3+, trains it, exports the best epoch."""

import dataclasses
import functools
import hashlib
import json
import os
from pathlib import Path

import keras
import tensorflow as tf
import tensorflow_transform as tft
from absl import logging

import schemas
from components import signatures
from components.errors import ConfigError
from components.trainer import augmentation, callbacks, input_fn, optimization
from components.trainer.options import TrainingOptions
from models import DeepLabV3Plus
from models.checkpoints import load_checkpoint
from models.confusion import SegmentationMetrics
from models.losses import SegmentationLoss, class_weights_from_histogram

_VALIDATION_BATCH = 8


def run_fn(fn_args) -> None:
    """Called by TFX's Trainer.

    Args:
        fn_args: `tfx.components.FnArgs`; `custom_config` holds what `pipeline.graph` gives.

    Raises:
        PipelineError: no records, unusable initial weights, or a loss that is no number.
    """
    config = fn_args.custom_config
    options = TrainingOptions(**config["training"])
    dataset = schemas.load(config["dataset"])
    # Not 0: a shuffle whose seed is a tensor fails beside a global seed of 0.
    keras.utils.set_random_seed(options.seed + 1)

    transform_output = tft.TFTransformOutput(fn_args.transform_graph_path)
    transform = input_fn.TransformedRecords(transform_output)
    train_records = input_fn.read_records(_files(fn_args.train_files))
    val_records = input_fn.read_records(_files(fn_args.eval_files))
    statistics = input_fn.dataset_statistics(train_records, transform)

    crop_size = config["crop_size"]
    model = DeepLabV3Plus(
        num_classes=dataset.num_classes,
        input_shape=(crop_size, crop_size, 3),
        dtype=options.mixed_precision,
        **config["model"],
    )
    _load_initial_weights(model, options)
    _compile(model, options, dataset, statistics)

    folder = Path(config["training_dir"]) / _run_id(fn_args)
    checkpoints = callbacks.Checkpoints(model, folder, monitor="val_mean_iou")
    epochs_done = checkpoints.resume()
    first_step = epochs_done * options.steps_per_epoch
    batches = input_fn.training_batches(
        train_records,
        transform,
        _augment(options, crop_size, dataset.ignore_label),
        num_records=statistics["num_pictures"],
        batch_size=options.batch_size,
        shuffle_buffer=options.shuffle_buffer,
        seed=options.seed,
        first_step=first_step,
    )
    epochs = -(-options.steps // options.steps_per_epoch)
    if epochs_done < epochs:
        model.fit(
            batches,
            steps_per_epoch=options.steps_per_epoch,
            initial_epoch=epochs_done,
            epochs=epochs,
            validation_data=input_fn.evaluation_batches(val_records, transform, _VALIDATION_BATCH),
            callbacks=[
                checkpoints,
                callbacks.Progress(
                    epochs * options.steps_per_epoch,
                    options.steps_per_epoch,
                    options.batch_size,
                    first_step,
                ),
                callbacks.LearningRateLog(),
                keras.callbacks.TensorBoard(fn_args.model_run_dir, write_graph=False),
            ],
            verbose=0,
        )
    best = checkpoints.restore_best()
    logging.info("The best epoch has a validation mean IoU of %.1f %%", 100 * best)
    description = {
        "dataset": dataset.name,
        "classes": list(dataset.class_names),
        "ignore_label": dataset.ignore_label,
        "crop_size": crop_size,
        "model": config["model"],
        "training": dataclasses.asdict(options),
        "training_data": statistics,
        "validation_mean_iou": best,
    }
    with tf.io.gfile.GFile(os.path.join(fn_args.model_run_dir, "config.json"), "w") as file:
        json.dump(description, file, indent=2)
    served = signatures.ServedModel(
        model,
        transform_output,
        num_classes=dataset.num_classes,
        ignore_label=dataset.ignore_label,
    )
    signatures.export(served, fn_args.serving_model_dir, description)
    # The model is safe now; until here a killed run could still go on from its checkpoints.
    tf.io.gfile.rmtree(str(folder))


def _files(patterns: list[str]) -> list[str]:
    return [path for pattern in patterns for path in tf.io.gfile.glob(pattern)]


def _run_id(fn_args) -> str:
    """The same for the same configuration, code, data and Transform graph, in any process."""
    identity = [
        fn_args.custom_config,
        sorted(fn_args.train_files),
        sorted(fn_args.eval_files),
        fn_args.transform_graph_path,
    ]
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def _load_initial_weights(model: DeepLabV3Plus, options: TrainingOptions) -> None:
    if options.initial_weights is None:
        return
    try:
        report = load_checkpoint(
            model, options.initial_weights, scope=options.initial_weights_scope
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"training.initial_weights: {error}") from error
    logging.info("Initial weights: %s", report)


def _compile(model: DeepLabV3Plus, options: TrainingOptions, dataset, statistics: dict) -> None:
    """Freezes what the options freeze, sets batch norm, optimizer, loss and metrics."""
    optimization.freeze(model, options)
    if options.batch_norm_decay is not None:
        for layer in model.batch_norm_layers:
            layer.momentum = options.batch_norm_decay
    weights = options.class_weights
    if isinstance(weights, str):
        weights = class_weights_from_histogram(statistics["class_pixels"], weights)
    optimizer = optimization.build_optimizer(options, model)
    model.compile(
        optimizer=optimizer,
        loss=SegmentationLoss(
            dataset.num_classes,
            dataset.ignore_label,
            options.loss,
            class_weights=weights,
            hard_mining_step=options.hard_mining_step,
            top_k_fraction=options.top_k_fraction,
            step=optimizer.iterations,
        ),
        metrics=[SegmentationMetrics(dataset.num_classes, dataset.ignore_label)],
    )


def _augment(options: TrainingOptions, crop_size: int, ignore_label: int) -> input_fn.Augment:
    """Augments the picture itself, without the padding that Transform put around it."""
    augment = functools.partial(
        augmentation.augment, options=options, crop_size=crop_size, ignore_label=ignore_label
    )

    def inside(image, label, size, seed):
        height, width = size[0], size[1]
        return augment(image[:height, :width], label[:height, :width], seed)

    return inside
