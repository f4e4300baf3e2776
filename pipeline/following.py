"""A recipe's own values follow what is given: `--set training.steps=10` alone shortens a run.

Only values that were not given change, and only where they contradict those that were. What is
given is never changed; where it contradicts itself it is refused, by the options.
"""

import math
from collections.abc import Collection
from typing import Any

from components.initial_weights.official import OFFICIAL_CHECKPOINTS
from models.variants import BACKBONES


def follow(values: dict[str, Any], before: dict[str, Any], given: Collection[str]) -> None:
    """Adapts the values of a configuration in place.

    Args:
        values: the configuration as nested dictionaries; they may hold anything.
        before: the recipe's.
        given: paths of those values that the recipe does not decide, such as `training.steps`.
    """
    _lengths(values["training"], before["training"], given)
    _training(values["training"], given)
    _network(values["model"], given)
    # Where nothing is trained the weights are what is judged, and no others will do.
    if values["training"]["steps"] != 0 and "initial_weights.source" not in given:
        _published_weights(values["initial_weights"], values["model"], given)
    if values["training"]["steps"] == 0 and "initial_weights.scope" not in given:
        values["initial_weights"]["scope"] = "all"


def _lengths(training: dict[str, Any], before: dict[str, Any], given: Collection[str]) -> None:
    """Steps, epochs within them, saved states within those, and the slow start."""
    names = ("steps", "steps_per_epoch", "save_every_steps", "warmup_steps")
    steps, epoch, save, warmup = (training[name] for name in names)
    if not all(_is_count(value) for value in (steps, epoch, save or 1, warmup)) or epoch == 0:
        return
    free = {name for name in names if f"training.{name}" not in given}
    unit = save if save and "save_every_steps" not in free else 1
    if "steps_per_epoch" in free:
        if "steps" in free and unit > 1:
            epoch = _nearest_multiple(epoch, unit)
        elif steps:
            epoch = _divisor_near(steps, epoch, unit) or epoch
    if "steps" in free and steps:
        steps = _nearest_multiple(steps, epoch)
    if "save_every_steps" in free and save:
        save = _divisor_near(epoch, save, 1)
    if "warmup_steps" in free and 0 < steps < before["steps"]:
        warmup = warmup * steps // before["steps"]
    training |= zip(names, (steps, epoch, save, warmup), strict=True)


def _training(training: dict[str, Any], given: Collection[str]) -> None:
    """Pairs of values of which one can decide the other."""

    def decide(name: str, by: str, value: Any, where: bool) -> None:
        if where and f"training.{by}" in given and f"training.{name}" not in given:
            training[name] = value

    is_adamw = training["optimizer"] == "adamw" and training["weight_decay_mode"] == "l2"
    decide("weight_decay_mode", "optimizer", "decoupled", is_adamw)
    decide("optimizer", "weight_decay_mode", "adam", is_adamw)
    for low, high in (("scale_min", "scale_max"), ("min_resize", "max_resize")):
        ends = training[low], training[high]
        is_crossed = all(_is_size(end) for end in ends) and ends[0] > ends[1]
        decide(high, low, ends[0], is_crossed)
        decide(low, high, ends[1], is_crossed)
    for name in ("max_resize", "resize_factor"):
        decide(name, "min_resize", None, training["min_resize"] is None)
    decide("hard_mining_step", "top_k_fraction", 0, training["top_k_fraction"] == 1)


def _network(model: dict[str, Any], given: Collection[str]) -> None:
    """What another backbone does not take."""
    backbone = model["backbone"]
    if "model.backbone" not in given or not _is_backbone(backbone):
        return
    for name, value in (("width_multiplier", 1.0), ("multi_grid", None)):
        if name not in BACKBONES[backbone].options and f"model.{name}" not in given:
            model[name] = value


def _published_weights(
    weights: dict[str, Any], model: dict[str, Any], given: Collection[str]
) -> None:
    """Published weights of another network give way to those of this one, trained on the same.

    Where there are none of the same training, to any of this network's; else to random ones.
    """
    source, backbone, width = weights["source"], model["backbone"], model["width_multiplier"]
    is_other = "model.backbone" in given or "model.width_multiplier" in given
    if not is_other or source not in OFFICIAL_CHECKPOINTS or not _is_backbone(backbone):
        return
    if not _is_size(width):
        return
    network = backbone + {1: "", 0.5: "_dm05"}.get(width, "_other")
    training = source.rsplit("_", 1)[1]
    fitting = [name for name in OFFICIAL_CHECKPOINTS if name.rsplit("_", 1)[0] == network]
    same = f"{network}_{training}"
    weights["source"] = same if same in fitting else next(iter(fitting), None)


def _is_backbone(value: Any) -> bool:
    return isinstance(value, str) and value in BACKBONES


def _is_size(value: Any) -> bool:
    """Whether it is a number that a factor or a size can be: a fault is not to be copied."""
    return type(value) in (int, float) and 0 < value < math.inf


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _nearest_multiple(value: int, unit: int) -> int:
    return max(unit, round(value / unit) * unit)


def _divisor_near(value: int, wanted: int, unit: int) -> int | None:
    """The largest divisor up to what is wanted, or the next one above where that is far too small.

    A run of 1,009 steps, a prime, had a validation after every step otherwise.

    Args:
        value: what is divided.
        wanted: what the divisor is to be close to.
        unit: the divisor is a multiple of it.

    Returns:
        None where no divisor is a multiple of the unit.
    """
    low = [d for d in range(1, math.isqrt(value) + 1) if value % d == 0]
    divisors = sorted(d for d in {*low, *(value // d for d in low)} if d % unit == 0)
    below = max((d for d in divisors if d <= wanted), default=None)
    above = min((d for d in divisors if d > wanted), default=None)
    if below is None or above is None:
        return below or above
    is_near = below * 4 >= wanted or wanted / below <= above / wanted
    return below if is_near else above
