"""A recipe's own values follow what is given: `--set training.steps=10` alone shortens a run.

Only values that were not given change, and only where they contradict those that were. What is
given is never changed; where it contradicts itself it is refused, by the options.
"""

from collections.abc import Collection
from typing import Any

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
            epoch = _largest_divisor(steps, max(epoch, unit), unit) or epoch
    if "steps" in free and steps:
        steps = _nearest_multiple(steps, epoch)
    if "save_every_steps" in free and save:
        save = _largest_divisor(epoch, save, 1)
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
        is_crossed = all(isinstance(end, int | float) for end in ends) and ends[0] > ends[1]
        decide(high, low, ends[0], is_crossed)
        decide(low, high, ends[1], is_crossed)
    for name in ("max_resize", "resize_factor"):
        decide(name, "min_resize", None, training["min_resize"] is None)
    decide("hard_mining_step", "top_k_fraction", 0, training["top_k_fraction"] == 1)


def _network(model: dict[str, Any], given: Collection[str]) -> None:
    """What another backbone does not take."""
    backbone = model["backbone"]
    if "model.backbone" not in given or backbone not in BACKBONES:
        return
    for name, value in (("width_multiplier", 1.0), ("multi_grid", None)):
        if name not in BACKBONES[backbone].options and f"model.{name}" not in given:
            model[name] = value


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _nearest_multiple(value: int, unit: int) -> int:
    return max(unit, round(value / unit) * unit)


def _largest_divisor(value: int, limit: int, unit: int) -> int | None:
    """The largest divisor up to a limit that is a multiple of the unit; None for none."""
    found = (d for d in range(min(value, limit), 0, -1) if value % d == 0 and d % unit == 0)
    return next(found, None)
