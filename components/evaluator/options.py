"""What the model gate asks of a candidate."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from components.options import Options

DEAD_CLASSES = "dead_classes"
"""The metric's name: how many classes of the labels are never found."""

ABOVE_CONSTANT = "above_constant"
"""The metric's name: mean IoU less that of the best constant answer."""

PREDICTED_PIXELS = "predicted"
"""The metric's name: by class, how many of the labelled pixels it was found in."""

FLOAT_NOISE = 1e-9
"""A mean IoU that is higher by less than this is not higher."""

_Fraction = Annotated[
    float, Field(ge=0, le=1, description="a fraction in [0, 1], not a percentage")
]


class EvaluationOptions(Options):
    """Thresholds, slices and batch size of the Evaluator."""

    SECTION: ClassVar[str] = "evaluation"

    min_mean_iou: _Fraction
    """A candidate below this mean IoU is refused."""

    max_mean_iou_drop: _Fraction = 0.01
    """A candidate is refused when its mean IoU is lower by more than this than the baseline's."""

    allow_dead_classes: bool = False
    """Bless a candidate that never finds some class of the validation labels, or is no better than
    one class everywhere. It is said all the same."""

    slices: Annotated[
        tuple[Literal["orientation", "size"], ...],
        Field(description="a list of orientation, size, or none of them"),
    ] = ("orientation", "size")
    """Features of the `slices` signature to measure apart; they are reported, not gated."""

    batch_size: Annotated[int, Field(ge=1)] = 8
    """Pictures evaluated at once."""
