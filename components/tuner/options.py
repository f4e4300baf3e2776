"""What to search and for how long; checked before anything slow is imported."""

import itertools
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import pydantic
from pydantic import Field

from components.options import Options, fault
from components.trainer.options import TrainerConfig

_Number = int | float
_Choice = bool | int | float | str

_FIXED = ("steps", "steps_per_epoch", "save_every_steps", "distribution", "seed")
"""Of training, what the search itself decides or what makes no model better."""

_MOST_CORNERS = 4096
_MOST_WHOLE_NUMBERS = 1000


class Values(Options):
    """The values that one path may take: a range, or choices."""

    SECTION: ClassVar[str] = "tuner.space"

    min: _Number | None = None
    """The smallest value."""

    max: _Number | None = None
    """The largest, which is tried too."""

    step: _Number | None = None
    """Distance of two values of a linear range; None: 1 for whole numbers, any for fractions."""

    scale: Literal["linear", "log"] = "linear"
    """`log` tries as many values between 0.001 and 0.01 as between 0.01 and 0.1."""

    choices: Annotated[
        tuple[_Choice, ...] | None, Field(description="a list of numbers, texts, true or false")
    ] = None
    """These very values instead of a range."""

    @pydantic.model_validator(mode="after")
    def _range_or_choices(self):
        ends = (self.min, self.max)
        if self.choices is not None:
            is_right = ends == (None, None) and self.step is None and len(set(self.choices)) > 1
            wanted, fix = "two or more different ones and no range", "give one of both"
            rules = [("choices", is_right and _is_one_kind(self.choices), wanted, fix)]
        elif None in ends:
            rules = [("max" if self.max is None else "min", False, "a number", "give both ends")]
        else:
            is_log = self.scale == "log"
            rules = [
                ("max", self.max > self.min, f"above min={self.min}", "give a larger one"),
                ("min", not is_log or self.min > 0, "above 0 with scale=log", "raise it"),
                ("step", self.step is None or not is_log, "null with scale=log", "leave it out"),
                ("step", self.step is None or self.step > 0, "above 0", "give a larger one"),
            ]
        faults = [
            fault(self.SECTION, name, wanted, getattr(self, name), fix)
            for name, is_right, wanted, fix in rules
            if not is_right
        ]
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def is_whole(self, current: object) -> bool:
        """Whether a range is one of whole numbers.

        Args:
            current: the configuration's own value; where that is a fraction, so is the range.
        """
        return not any(isinstance(v, float) for v in (current, self.min, self.max, self.step))

    def ends(self) -> tuple[Any, ...]:
        """The outermost values; every one of the choices."""
        return self.choices or (self.min, self.max)

    def inside(self, current: object) -> tuple[Any, ...]:
        """All values of a range of whole numbers that is not too long; else the outermost."""
        if self.choices or not self.is_whole(current):
            return self.ends()
        values = range(self.min, self.max + 1, self.step or 1)
        return tuple(values) if len(values) <= _MOST_WHOLE_NUMBERS else self.ends()


class TunerOptions(Options):
    """The search; none by default."""

    SECTION: ClassVar[str] = "tuner"

    trials: Annotated[int, Field(ge=0)] = 0
    """Trainings that are compared; 0: no search."""

    steps_per_trial: Annotated[int, Field(ge=1)] = 200
    """Length of each, so the whole search takes `trials` times as many; the schedule of the
    learning rate is shortened likewise."""

    algorithm: Literal["random", "bayesian"] = "bayesian"
    """`bayesian` learns from the trials before; `random` does not."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Of the choice of values; that of each training is training.seed."""

    space: Annotated[
        dict[str, Values],
        Field(
            description='an object such as {"training.learning_rate": {"min": 1e-4, "max": 1e-2, '
            '"scale": "log"}, "model.aspp_depth": {"choices": [64, 128]}}'
        ),
    ] = {}  # noqa: RUF012 (pydantic copies it)
    """The values to choose from, by the path of the option: `training.…` or `model.…`."""

    def __hash__(self):
        others = (self.trials, self.steps_per_trial, self.algorithm, self.seed)
        return hash((*others, frozenset(self.space.items())))

    @pydantic.model_validator(mode="after")
    def _both_or_none(self):
        if self.trials and not self.space:
            wanted = "what to choose from"
            fix = "give at least one path, or tuner.trials=0"
            raise ValueError(fault(self.SECTION, "space", wanted, {}, fix))
        if self.space and not self.trials:
            fix = "give their number, or no tuner.space"
            raise ValueError(fault(self.SECTION, "trials", "at least 1", 0, fix))
        return self

    def check(self, *configs: TrainerConfig) -> None:
        """Refuses a space of which some corner is no valid configuration.

        Ranges of whole numbers are checked inside, too, one path at a time.

        Args:
            configs: that of a trial, that of the training after the search.

        Raises:
            ValueError: a line for each fault.
        """
        first = configs[0]
        sections = {"training": first.training, "model": first.model}
        lines = []
        for path in self.space:
            section, _, name = path.partition(".")
            known = type(sections[section]).model_fields if section in sections else ()
            if name not in known or (section == "training" and name in _FIXED):
                fix = "see --dry-run for all values"
                wanted = f"by paths of training or model, without {', '.join(_FIXED)}"
                lines.append(fault(self.SECTION, "space", wanted, path, fix))
        if lines:
            raise ValueError("\n".join(lines))
        for values in self._to_check(first):
            for config in configs:
                try:
                    config.with_values(values)
                except ValueError as error:
                    lines += [f"with {_text(values)}: {line}" for line in str(error).split("\n")]
            if lines:
                raise ValueError("\n".join(lines))

    def _to_check(self, config: TrainerConfig) -> Iterator[dict[str, Any]]:
        """Each path alone, then all corners."""
        corners = 1
        for path, values in self.space.items():
            corners *= len(values.ends())
            yield from ({path: value} for value in values.inside(config.value(path)))
        if corners > _MOST_CORNERS:
            wanted = f"a space of at most {_MOST_CORNERS} corners"
            fix = "search fewer paths at once"
            raise ValueError(fault(self.SECTION, "space", wanted, corners, fix))
        ends = [values.ends() for values in self.space.values()]
        yield from (dict(zip(self.space, c, strict=True)) for c in itertools.product(*ends))


def _is_one_kind(choices: tuple[_Choice, ...]) -> bool:
    """KerasTuner takes either numbers, or texts, or truth values."""
    kinds = {float if type(choice) is int else type(choice) for choice in choices}
    return len(kinds) == 1


def _text(values: dict[str, Any]) -> str:
    return ", ".join(f"{path}={value}" for path, value in values.items())
