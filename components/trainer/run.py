"""The Trainer's function: builds DeepLab v3+, trains it, exports the best epoch."""

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Callable
from typing import Self

import keras
import tensorflow as tf
import tensorflow_transform as tft

import schemas
from components import runtime
from components.initial_weights.loading import load as load_initial_weights
from components.serving import signatures
from components.storage import paths
from components.trainer import (
    augmentation,
    callbacks,
    curves,
    distribution,
    history,
    input_fn,
    optimization,
    progress,
    remote_states,
)
from components.trainer.options import TrainerConfig, TrainingOptions
from components.transform import preprocessing
from components.transform.statistics import read_statistics
from models import DeepLabV3Plus
from models.confusion import SegmentationMetrics
from models.losses import SegmentationLoss, class_weights_from_histogram

_VALIDATION_BATCH = 8
_PICTURES_IN_TENSORBOARD = 4


def run_fn(fn_args) -> None:
    """Called by TFX's Trainer; under several workers, by each of them.

    Args:
        fn_args: `tfx.components.FnArgs`; `custom_config["config"]` is a `TrainerConfig`,
            over which go the `hyperparameters` of the Tuner, where there was one.

    Raises:
        PipelineError: no records, unusable initial weights, or a loss that is no number.
    """
    config = TrainerConfig.from_json(fn_args.custom_config["config"])
    if fn_args.hyperparameters:
        config = config.with_values(fn_args.hyperparameters["values"])
    strategy = distribution.build_strategy(config.training.distribution, config.training.batch_size)
    records = Records.of(fn_args)
    states = paths.join(runtime.current().training_states, run_id(fn_args))
    with remote_states.local(states) as (folder, on_saved):
        _run(fn_args, config, strategy, records, folder, on_saved)
    # The model is safe now; until here a killed run could still go on from its checkpoints.
    if distribution.is_chief(strategy):
        paths.remove_tree(states)


def _run(
    fn_args,
    config: TrainerConfig,
    strategy: tf.distribute.Strategy,
    records: "Records",
    folder: str,
    on_saved: Callable[[], None],
) -> None:
    """Trains in a folder of states, and exports what came of it."""
    dataset = config.dataset
    model, description = train_network(
        config, strategy, records, fn_args.base_model, folder, on_saved
    )
    if _is_cropped(config) or strategy.num_replicas_in_sync > 1:
        # A server has one size and no replicas.
        weights = model.get_weights()
        model = _build(config, config.canvas_size)
        model.set_weights(weights)
    if not distribution.is_chief(strategy):
        return
    # With what was written before the run was killed and given again.
    paths.copy_tree(os.path.join(folder, curves.FOLDER), fn_args.model_run_dir)
    with tf.io.gfile.GFile(os.path.join(fn_args.model_run_dir, "config.json"), "w") as file:
        json.dump(description, file, indent=2)
    history.write(fn_args.model_run_dir, history.read(folder))
    served = signatures.ServedModel(
        model,
        records.transform_output,
        num_classes=dataset.num_classes,
        ignore_label=dataset.ignore_label,
    )
    signatures.export(served, fn_args.serving_model_dir, description)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Records:
    """Serialized records of both splits, and what they go through."""

    transform_output: tft.TFTransformOutput
    transform: input_fn.TransformedRecords
    train: tf.data.Dataset
    val: tf.data.Dataset
    statistics: dict
    """Of the training split, see `components.transform.statistics`."""

    @classmethod
    def of(cls, fn_args) -> Self:
        """Those of TFX's Trainer or Tuner."""
        transform_output = tft.TFTransformOutput(fn_args.transform_graph_path)
        transform = input_fn.TransformedRecords(transform_output)
        train = input_fn.read_records(_files(fn_args.train_files))
        return cls(
            transform_output=transform_output,
            transform=transform,
            train=train,
            val=input_fn.read_records(_files(fn_args.eval_files)),
            statistics=read_statistics(fn_args.transform_graph_path),
        )


def train_network(
    config: TrainerConfig,
    strategy: tf.distribute.Strategy,
    records: Records,
    initial_weights: str,
    folder: str,
    on_saved: Callable[[], None] = lambda: None,
) -> tuple[DeepLabV3Plus, dict]:
    """Builds the network, gives it its initial weights and trains it up to the best epoch.

    Args:
        config: of the training.
        strategy: on what devices.
        records: of both splits.
        initial_weights: folder of the weights to start from.
        folder: of the saved states, from which a killed training goes on.
        on_saved: called when a state was saved.

    Returns:
        The network, and the description of its training; that has `validation_mean_iou` if there
        were any steps.

    Raises:
        PipelineError: see `run_fn`.
    """
    options, dataset = config.training, config.dataset
    # Not 0: a shuffle whose seed is a tensor fails beside a global seed of 0.
    keras.utils.set_random_seed(options.seed + 1)
    description = {
        "dataset": dataset.name,
        "classes": list(dataset.class_names),
        "ignore_label": dataset.ignore_label,
        "canvas_size": config.canvas_size,
        "model": config.model.model_dump(),
        "training": options.model_dump(),
        "training_data": records.statistics,
    }
    with strategy.scope():
        # Crops and the whole pictures of the validation differ in size, so it takes any.
        model = _build(config, None if _is_cropped(config) else config.canvas_size)
        line = load_initial_weights(model, initial_weights)
        progress.initial_weights(line)
    if options.steps:
        description["validation_mean_iou"] = _train(
            model, strategy, options, dataset, records, description, folder, on_saved
        )
    return model, description


def _build(config: TrainerConfig, canvas_size: int | None) -> DeepLabV3Plus:
    arguments = config.model.arguments(config.dataset.num_classes, canvas_size)
    return DeepLabV3Plus(dtype=config.training.mixed_precision, **arguments)


def _is_cropped(config: TrainerConfig) -> bool:
    return config.training.crop_size not in (None, config.canvas_size)


def _train(
    model: DeepLabV3Plus,
    strategy: tf.distribute.Strategy,
    options: TrainingOptions,
    dataset: schemas.Dataset,
    records: Records,
    description: dict,
    folder: str,
    on_saved: Callable[[], None],
) -> float:
    """Trains the model, from `folder` on if that holds a saved state, up to the best epoch.

    Returns:
        The mean IoU of the best epoch on the validation split.
    """
    statistics = description["training_data"]
    save_every = options.save_every_steps or options.steps_per_epoch
    with distribution.own_folder(strategy, folder) as own_folder:
        with strategy.scope():
            fitted = distribution.fitted(model, strategy)
            metric = compile_network(fitted, model, options, dataset, statistics)
            checkpoints = callbacks.Checkpoints(
                model,
                fitted.optimizer,
                folder,
                own_folder,
                save_every_steps=save_every,
                monitor="val_mean_iou",
            )
        first_step = checkpoints.resume()
        is_chief = distribution.is_chief(strategy)
        watchers = [
            curves.Curves(
                # On all workers, for together they read what replicas average.
                os.path.join(own_folder, curves.FOLDER),
                model,
                metric,
                dataset,
                _some_pictures(records),
                save_every_steps=save_every,
                description=description,
            )
        ]
        saved = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: on_saved() if is_chief else None
        )
        measured = []
        if is_chief:
            measured = [callbacks.History(folder, first_step, save_every)]
            shown = progress.Progress(options.steps, save_every, options.batch_size, first_step)
            watchers.append(
                keras.callbacks.LambdaCallback(
                    on_train_batch_end=shown.on_train_batch_end, on_epoch_end=shown.on_epoch_end
                )
            )
        if first_step < options.steps:
            fitted.fit(
                _distributed(
                    strategy,
                    lambda context: input_fn.training_batches(
                        records.train,
                        records.transform,
                        _augment(options, description["canvas_size"], dataset.ignore_label),
                        num_records=statistics["num_pictures"],
                        batch_size=options.batch_size,
                        shuffle_buffer=options.shuffle_buffer,
                        seed=options.seed,
                        first_step=first_step,
                        context=context,
                    ),
                ),
                steps_per_epoch=save_every,
                initial_epoch=first_step // save_every,
                epochs=options.steps // save_every,
                validation_data=_distributed(
                    strategy,
                    lambda context: input_fn.evaluation_batches(
                        records.val,
                        records.transform,
                        _VALIDATION_BATCH,
                        ignore_label=dataset.ignore_label,
                        context=context,
                    ),
                ),
                validation_freq=options.steps_per_epoch // save_every,
                # The curves first: a step that is saved is not done again, and would be missing.
                callbacks=[*measured, watchers[0], checkpoints, saved, *watchers[1:]],
                verbose=0,
            )
        best = checkpoints.restore_best()
    progress.best_epoch(best)
    return best


def _distributed(
    strategy: tf.distribute.Strategy,
    batches: Callable[[tf.distribute.InputContext | None], tf.data.Dataset],
):
    """What to give to `fit`: each worker reads, decodes and augments its own pictures only."""
    if strategy.num_replicas_in_sync == 1:
        return batches(None)
    return strategy.distribute_datasets_from_function(batches)


def _some_pictures(records: Records):
    features = next(iter(records.val.batch(_PICTURES_IN_TENSORBOARD).map(records.transform)))
    return tuple(features[name].numpy() for name in (preprocessing.IMAGE, preprocessing.LABEL))


def _files(patterns: list[str]) -> list[str]:
    return [path for pattern in patterns for path in tf.io.gfile.glob(pattern)]


def run_id(fn_args) -> str:
    """The same for the same configuration, code, data and Transform graph, in any process."""
    identity = [
        fn_args.custom_config,
        fn_args.hyperparameters,
        fn_args.base_model,
        sorted(fn_args.train_files),
        sorted(fn_args.eval_files),
        fn_args.transform_graph_path,
    ]
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def compile_network(
    fitted: keras.Model,
    model: DeepLabV3Plus,
    options: TrainingOptions,
    dataset: schemas.Dataset,
    statistics: dict,
) -> SegmentationMetrics:
    """Freezes what the options freeze, sets batch norm, optimizer, loss and the metric returned."""
    optimization.freeze(model, options)
    if options.batch_norm_decay is not None:
        for layer in model.batch_norm_layers:
            layer.momentum = options.batch_norm_decay
    weights = options.class_weights
    if isinstance(weights, str):
        weights = class_weights_from_histogram(statistics["class_pixels"], weights)
    optimizer = optimization.build_optimizer(options, model)
    metric = SegmentationMetrics(dataset.num_classes, dataset.ignore_label)
    loss = SegmentationLoss(
        dataset.num_classes,
        dataset.ignore_label,
        options.loss,
        class_weights=weights,
        hard_mining_step=options.hard_mining_step,
        top_k_fraction=options.top_k_fraction,
        step=optimizer.iterations,
    )
    if options.mixed_precision == "mixed_float16":
        # Keras itself does so only for models, not for layers, of that policy.
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    fitted.compile(optimizer=optimizer, loss=loss, metrics=[metric])
    return metric


def _augment(options: TrainingOptions, canvas: int, ignore_label: int) -> input_fn.Augment:
    """Augments the picture itself, without the padding that Transform put around it."""
    augment = functools.partial(
        augmentation.augment,
        options=options,
        crop_size=options.crop_size or canvas,
        ignore_label=ignore_label,
    )

    def inside(image, label, size, seed):
        height, width = size[0], size[1]
        return augment(image[:height, :width], label[:height, :width], seed)

    return inside
