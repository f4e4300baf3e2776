"""What the data gate lets pass."""

import dataclasses
from typing import Literal

from components.dataset.examination.findings import ACCEPTABLE


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GateOptions:
    """Thresholds of the data gate; distances are Jensen-Shannon divergences in [0, 1]."""

    accept: tuple[str, ...] = ()
    """Causes that are reported but do not stop the run; see `findings` of the examination."""

    on_drift: Literal["stop", "warn"] = "warn"
    """What to do where a distance below is exceeded."""

    max_class_distance: float = 0.1
    """Between the class pixels of the training split and those behind the last blessed model
    (drift), or of the validation split (skew)."""

    max_size_distance: float = 0.2
    """The same for the longer side of the pictures."""

    max_brightness_distance: float = 0.2
    """The same for the mean of the pictures' RGB values."""

    def __post_init__(self):
        unknown = [cause for cause in self.accept if cause not in ACCEPTABLE]
        if unknown:
            raise ValueError(
                f"expected gate.accept with causes among {', '.join(ACCEPTABLE)}; got "
                f"{', '.join(unknown)}; to fix, choose among these, no other can be trained with"
            )
        for name, limit in self.limits().items():
            if not 0 <= limit <= 1:
                raise ValueError(
                    f"expected gate.max_{name}_distance in [0, 1]; got {limit}; to fix, give 1 "
                    "to allow any"
                )

    def limits(self) -> dict[str, float]:
        """The largest distances, named as `measures.distances` names them."""
        return {
            "class": self.max_class_distance,
            "size": self.max_size_distance,
            "brightness": self.max_brightness_distance,
        }
