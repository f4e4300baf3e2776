"""Recipes: functions that return a whole configuration. Each header states command and result."""

from collections.abc import Callable

from components.errors import ConfigError
from components.evaluator.options import EvaluationOptions
from components.trainer.options import TrainingOptions
from pipeline.config import DataOptions, ModelOptions, PipelineConfig


def sample() -> PipelineConfig:
    """The default run: the embedded data set, from random weights.

    Command: `python local_runner.py`; 5 min 20 s on two cores, mean IoU 53.9 %. The floor is far
    above what an untrained network or a constant answer reaches, 2 and 9 %.
    """
    return PipelineConfig(
        data=DataOptions(dataset="sample", train_limit=480, val_limit=96, crop_size=97),
        model=ModelOptions(width_multiplier=0.5, aspp_depth=64, decoder_depth=64),
        training=TrainingOptions(
            steps=500,
            steps_per_epoch=100,
            batch_size=12,
            batch_norm_decay=0.95,
            optimizer="adamw",
            loss=("cross_entropy", "dice"),
            learning_rate=4e-3,
            warmup_steps=40,
            warmup_mode="linear",
            weight_decay=1e-4,
            weight_decay_mode="decoupled",
            scale_min=0.75,
            scale_max=1.25,
        ),
        evaluation=EvaluationOptions(min_mean_iou=0.40),
    )


def pascal() -> PipelineConfig:
    """PASCAL VOC 2012, MobileNetV2, started from pretrained weights.

    Command: `python local_runner.py --dataset pascal --data-dir VOCdevkit
    --set training.initial_weights=WEIGHTS`.
    """
    return PipelineConfig(
        data=DataOptions(dataset="pascal", crop_size=513),
        model=ModelOptions(output_stride=16),
        training=TrainingOptions(
            steps=30000,
            steps_per_epoch=500,
            batch_size=16,
            optimizer="momentum",
            learning_rate=0.007,
            weight_decay=4e-5,
        ),
        evaluation=EvaluationOptions(min_mean_iou=0.50),
    )


def pascal_finetune() -> PipelineConfig:
    """PASCAL VOC from the official MobileNetV2 0.5 checkpoint: a few careful steps on a CPU.

    Command: `python local_runner.py --dataset pascal --data-dir VOCdevkit --recipe pascal_finetune
    --set training.initial_weights=deeplabv3_mnv2_dm05_pascal`. The README has its result.
    """
    return PipelineConfig(
        data=DataOptions(dataset="pascal", crop_size=513),
        model=ModelOptions(width_multiplier=0.5, atrous_rates=(), decoder=False),
        training=TrainingOptions(
            steps=20,
            steps_per_epoch=20,
            batch_size=4,
            learning_rate=1e-6,
            schedule="constant",
            fine_tune_batch_norm=False,
            initial_weights_scope="all",
        ),
        evaluation=EvaluationOptions(min_mean_iou=0.60),
    )


RECIPES: dict[str, Callable[[], PipelineConfig]] = {
    "sample": sample,
    "pascal": pascal,
    "pascal_finetune": pascal_finetune,
}


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
