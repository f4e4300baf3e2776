"""Recipes: functions that return a whole configuration. Each header states command and result."""

from collections.abc import Callable

from components.errors import ConfigError
from components.evaluator.options import EvaluationOptions
from components.initial_weights.options import InitialWeightsOptions
from components.model_options import ModelOptions
from components.trainer.options import TrainingOptions
from pipeline.config import DataOptions, PipelineConfig


def sample() -> PipelineConfig:
    """The default run: the embedded data set, from random weights.

    Command: `python local_runner.py`; 5 minutes on two cores, mean IoU 63 %. The floor is far above
    a constant answer, which has at most one of seven classes right, 14 %.
    """
    return PipelineConfig(
        data=DataOptions(dataset="sample", train_limit=480, val_limit=96, canvas_size=97),
        model=ModelOptions(width_multiplier=0.5, aspp_depth=64, decoder_depth=64),
        training=TrainingOptions(
            steps=800,
            steps_per_epoch=160,
            batch_size=12,
            batch_norm_decay=0.95,
            optimizer="adamw",
            loss=("cross_entropy", "dice"),
            learning_rate=4e-3,
            warmup_steps=64,
            warmup_mode="linear",
            weight_decay=1e-4,
            weight_decay_mode="decoupled",
            scale_min=0.75,
            scale_max=1.25,
        ),
        evaluation=EvaluationOptions(min_mean_iou=0.40),
    )


def pascal() -> PipelineConfig:
    """The paper's protocol on PASCAL VOC 2012: Xception-65 from ImageNet weights.

    Command: `python local_runner.py --dataset pascal --data-dir data/pascal --set
    'data.train_pattern=train_aug-*'` on the paper's 10,582 pictures, that `python -m
    components.dataset build pascal --split train_aug --split val` puts there; with `--data-dir
    VOCdevkit` alone it trains on VOC's own 1,464. It needs a GPU and has not been run here; arXiv
    1802.02611 gives a mean IoU of 79.79 % (output stride 16, one scale).
    """
    return PipelineConfig(
        data=DataOptions(dataset="pascal", canvas_size=513),
        model=ModelOptions(backbone="xception_65", output_stride=16),
        training=TrainingOptions(
            steps=30_000,
            steps_per_epoch=1_000,
            save_every_steps=100,
            batch_size=16,
            learning_rate=0.007,
        ),
        initial_weights=InitialWeightsOptions(source="xception_65_imagenet"),
        evaluation=EvaluationOptions(min_mean_iou=0.70),
    )


def pascal_small_gpu() -> PipelineConfig:
    """PASCAL VOC 2012 on a small GPU: Xception-41 without decoder, crops of 321 pixels.

    Command: `python local_runner.py --dataset pascal --data-dir VOCdevkit --recipe
    pascal_small_gpu`. Not run here. Its predecessor on TensorFlow 1.3 reports a mean IoU of 72 %
    for Xception-41, on random crops of 513 pixels.
    """
    return PipelineConfig(
        data=DataOptions(dataset="pascal", canvas_size=513),
        model=ModelOptions(backbone="xception_41", aspp_depth=128, decoder=False),
        training=TrainingOptions(
            steps=30_000,
            steps_per_epoch=1_000,
            save_every_steps=100,
            batch_size=12,
            crop_size=321,
            learning_rate=0.001,
        ),
        initial_weights=InitialWeightsOptions(source="xception_41_imagenet"),
        evaluation=EvaluationOptions(min_mean_iou=0.60),
    )


def pascal_finetune() -> PipelineConfig:
    """MobileNetV2 from ImageNet weights to PASCAL VOC on two CPU cores.

    Command: `python local_runner.py --dataset pascal --data-dir VOCdevkit --recipe pascal_finetune
    --backbone-weights mobilenet_v2_imagenet_dogs.weights.h5`. With 441 pictures of train and 300 of
    val: 20 minutes beside other work, mean IoU 63.9 % over the seven classes that have enough
    pixels, 29.1 % over the 19 that occur.
    """
    return PipelineConfig(
        data=DataOptions(dataset="pascal", canvas_size=321),
        # Frozen batch norm trains twice as fast on a CPU; the head then has biases instead.
        model=ModelOptions(atrous_rates=(), decoder=False, head_batch_norm=False),
        training=TrainingOptions(
            steps=2_000,
            steps_per_epoch=250,
            save_every_steps=50,
            batch_size=8,
            optimizer="adamw",
            learning_rate=1e-3,
            backbone_learning_rate_multiplier=0.1,
            weight_decay=1e-2,
            weight_decay_mode="decoupled",
            warmup_steps=50,
            warmup_learning_rate=1e-5,
            warmup_mode="linear",
            fine_tune_batch_norm=False,
            loss=("cross_entropy", "dice"),
            scale_min=0.75,
            scale_max=1.5,
            color_jitter=0.2,
        ),
        # Twelve of the 19 classes have next to no training pictures; some of them are never found.
        evaluation=EvaluationOptions(min_mean_iou=0.25, allow_dead_classes=True),
    )


def pascal_checkpoint() -> PipelineConfig:
    """Judges an official MobileNetV2 0.5 checkpoint as it is: no training, everything else.

    Command: `python local_runner.py --dataset pascal --data-dir VOCdevkit --recipe
    pascal_checkpoint --checkpoint deeplabv3_mnv2_dm05_pascal`. The README has its result.
    """
    return PipelineConfig(
        data=DataOptions(dataset="pascal", canvas_size=513),
        model=ModelOptions(width_multiplier=0.5, atrous_rates=(), decoder=False),
        training=TrainingOptions(steps=0),
        initial_weights=InitialWeightsOptions(source="mobilenet_v2_dm05_pascal", scope="all"),
        # Few pictures hold few pixels of some class: on a 300-image subset tvmonitor is not found.
        evaluation=EvaluationOptions(min_mean_iou=0.60, allow_dead_classes=True),
    )


def ade20k() -> PipelineConfig:
    """The official protocol on ADE20k's 150 classes: Xception-65 from ImageNet weights.

    Command: `python local_runner.py --dataset ade20k --data-dir TFRECORDS`. It needs a GPU and has
    not been run here; the official model zoo gives 45.65 % mean IoU (output stride 8, several
    scales, flipped).
    """
    return PipelineConfig(
        data=DataOptions(dataset="ade20k", canvas_size=513),
        model=ModelOptions(backbone="xception_65", output_stride=16),
        training=TrainingOptions(
            steps=150_000,
            steps_per_epoch=5_000,
            save_every_steps=500,
            batch_size=16,
            learning_rate=0.007,
            min_resize=513,
            max_resize=513,
            resize_factor=16,
        ),
        initial_weights=InitialWeightsOptions(source="xception_65_imagenet"),
        evaluation=EvaluationOptions(min_mean_iou=0.30),
    )


def own_data() -> PipelineConfig:
    """A data set of one's own: MobileNetV2 DeepLab v3+ from the official weights of PASCAL VOC.

    Command: `python local_runner.py --dataset NAME --data-dir DIR`, where NAME is a folder under
    `schemas/` without a recipe of its own. A start to change with `--set`; its floor only tells a
    model that has learned from one that has not. Not run at this size here: its time and score
    depend on the data.
    """
    return PipelineConfig(
        data=DataOptions(dataset="sample", canvas_size=513),
        model=ModelOptions(),
        training=TrainingOptions(
            steps=5_000,
            steps_per_epoch=500,
            save_every_steps=100,
            batch_size=8,
            optimizer="adamw",
            learning_rate=1e-3,
            backbone_learning_rate_multiplier=0.1,
            weight_decay=1e-2,
            weight_decay_mode="decoupled",
            warmup_steps=50,
            warmup_learning_rate=1e-5,
            warmup_mode="linear",
            batch_norm_decay=0.97,
        ),
        initial_weights=InitialWeightsOptions(source="mobilenet_v2_pascal"),
        evaluation=EvaluationOptions(min_mean_iou=0.30),
    )


def own_data_cpu() -> PipelineConfig:
    """A data set of one's own without a GPU: the network and the training of `pascal_finetune`.

    Command: `python local_runner.py --dataset NAME --data-dir DIR --recipe own_data_cpu`. Not run
    as a whole here: `pascal_finetune` took 20 minutes and 3.2 GB on two cores beside other work,
    with 300 pictures to validate on. Longer training helps less than more pictures.
    """
    like = pascal_finetune()
    return PipelineConfig(
        data=DataOptions(dataset="sample", canvas_size=321),
        model=like.model,
        training=like.training,
        initial_weights=InitialWeightsOptions(source="mobilenet_v2_pascal"),
        evaluation=EvaluationOptions(min_mean_iou=0.30),
    )


RECIPES: dict[str, Callable[[], PipelineConfig]] = {
    recipe.__name__: recipe
    for recipe in (
        *(sample, pascal, pascal_small_gpu, pascal_finetune, pascal_checkpoint, ade20k),
        *(own_data, own_data_cpu),
    )
}

ON_CPU = {
    "own_data": "own_data_cpu",
    "pascal": "pascal_finetune",
    "pascal_small_gpu": "pascal_finetune",
}
"""For recipes that are made for a GPU, those for a machine without one."""


def name_for(dataset: str) -> str:
    """The recipe to start a data set with: that of its name, or `own_data`."""
    return dataset if dataset in RECIPES else own_data.__name__


def of_dataset(name: str) -> PipelineConfig:
    """The configuration to start a data set with."""
    return RECIPES[name_for(name)]()


def get(name: str) -> PipelineConfig:
    """The configuration of a named recipe.

    Raises:
        ConfigError: no such recipe.
    """
    if name not in RECIPES:
        raise ConfigError(
            f"expected a recipe, one of {', '.join(RECIPES)}; got {name!r}; "
            "to fix, choose one or add a function to pipeline/recipes.py"
        )
    return RECIPES[name]()
