"""What memory steps will need, from the configuration: estimates, to be held against limits.

A step's process has a floor, whatever the data: Python, TensorFlow and TFX. Above it the Trainer
keeps what every operation of the network gives for a batch, for the gradient, and the optimizer's
two moments beside weights and gradients; the Evaluator keeps the widest results of a batch. Floors
and shares are measured, see `benchmarks/README.md` ("What each step needs by itself"). What the
data alone decides, the sizes of records and pictures, is not in it: a compiler sees no bucket.
"""

import math
from collections.abc import Iterator

from models import DeepLabV3Plus, complexity
from pipeline.config import PipelineConfig
from pipeline.placement import OnCluster

_FLOAT = 4
"""Bytes."""

_COPIES = 4
"""Of each weight: itself, its gradient, two moments."""

_KEPT = 1.02
"""What a training step holds at once, by the sum of all operations' results for a batch."""

_WIDEST = 3
"""What an evaluation holds at once, by the largest of these results."""

_FLOORS_GB = {"Trainer": 1.8, "Tuner": 1.8, "Evaluator": 1.45, "Report": 1.4}
_FLOOR_GB = 1.05
"""Of the other steps."""

_WAY_OUT = {
    "Trainer": "lower training.batch_size or training.crop_size",
    "Tuner": "lower training.batch_size or training.crop_size",
    "Evaluator": "lower evaluation.batch_size",
}


def memory(config: PipelineConfig, num_classes: int, step: str, gpus: int = 0) -> float:
    """GB of 1e9 bytes that a step's process has at most.

    Args:
        config: what is computed.
        num_classes: of the data set.
        step: its name.
        gpus: that it has; what they hold is not the process's.
    """
    floor = _FLOORS_GB.get(step, _FLOOR_GB)
    if step not in _WAY_OUT or gpus:
        return floor
    is_trained = step != "Evaluator"
    side = config.data.canvas_size
    if is_trained:
        side = config.training.crop_size or side
    model = DeepLabV3Plus(**config.model.arguments(num_classes, side))
    sizes = [math.prod(shape[1:]) for shape in complexity.layer_shapes(model, side, side).values()]
    if is_trained:
        weights = _COPIES * model.count_params()
        floats = weights + _KEPT * config.training.batch_size * sum(sizes)
    else:
        floats = _WIDEST * config.evaluation.batch_size * max(sizes)
    return floor + _FLOAT * floats / 1e9


def warnings(
    config: PipelineConfig, num_classes: int, environment: OnCluster, steps: list[str]
) -> Iterator[str]:
    """Of every step that gets less memory than it will need, a sentence."""
    for step in steps:
        asked = environment.resources_of(step)
        if asked.memory_gb is None:
            continue
        need = memory(config, num_classes, step, asked.gpus)
        if need > asked.memory_gb:
            change = _WAY_OUT.get(step)
            yield (
                f"{step} will need about {need:.1f} GB of memory, an estimate, and gets "
                f"{asked.memory_gb:g}: Kubernetes would end it; to fix, raise "
                f"resources.{step}.memory_gb{f', or {change}' if change else ''}"
            )
