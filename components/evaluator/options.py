"""What the model gate asks of a candidate."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationOptions:
    """Thresholds, slices and batch size of the Evaluator."""

    min_mean_iou: float
    """A candidate below this mean IoU, in [0, 1], is refused."""

    max_mean_iou_drop: float = 0.01
    """A candidate is refused when its mean IoU is lower by more than this than the baseline's."""

    slices: tuple[str, ...] = ("orientation", "size")
    """Features of the `slices` signature to measure apart; they are reported, not gated."""

    batch_size: int = 8
    """Pictures evaluated at once."""

    def __post_init__(self):
        for field in ("min_mean_iou", "max_mean_iou_drop"):
            value = getattr(self, field)
            if not 0.0 <= value <= 1.0:
                raise ValueError(
                    f"expected evaluation.{field} in [0, 1]; got {value}; "
                    "to fix, give a fraction, not a percentage"
                )
        unknown = set(self.slices) - {"orientation", "size"}
        if unknown:
            raise ValueError(
                f"expected evaluation.slices of orientation, size; got {sorted(unknown)}; "
                "to fix, leave them out or add them to the slices signature"
            )
        if self.batch_size < 1:
            raise ValueError(
                f"expected evaluation.batch_size of at least 1; got {self.batch_size}; "
                "to fix, give a positive number"
            )
        object.__setattr__(self, "slices", tuple(self.slices))
