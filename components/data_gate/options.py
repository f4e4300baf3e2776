"""What the data gate lets pass."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from components.dataset.examination.distances import LIMITS
from components.dataset.examination.findings import ACCEPTABLE
from components.options import Options

_Distance = Annotated[float, Field(ge=0, le=1)]


class GateOptions(Options):
    """Thresholds of the data gate; distances are Jensen-Shannon divergences in [0, 1]."""

    SECTION: ClassVar[str] = "gate"

    accept: Annotated[
        tuple[str, ...], Field(description=f"a list of causes among {', '.join(ACCEPTABLE)}")
    ] = ()
    """Causes that are reported but do not stop the run; see `findings` of the examination."""

    on_drift: Literal["stop", "warn"] = "warn"
    """What to do where a distance below is exceeded."""

    max_class_distance: _Distance = LIMITS["class"]
    """Between the class pixels of the training split and those behind the served model
    (drift), or of the validation split (skew)."""

    max_size_distance: _Distance = LIMITS["size"]
    """The same for the longer side of the pictures."""

    max_brightness_distance: _Distance = LIMITS["brightness"]
    """The same for the mean of the pictures' RGB values."""

    @field_validator("accept")
    @classmethod
    def _acceptable(cls, causes: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [cause for cause in causes if cause not in ACCEPTABLE]
        if unknown:
            raise ValueError(
                f"expected gate.accept with causes among {', '.join(ACCEPTABLE)}; got "
                f"{', '.join(unknown)}; to fix, choose among these, no other can be trained with"
            )
        return causes

    def limits(self) -> dict[str, float]:
        """The largest distances, named as `measures.distances` names them."""
        return {
            "class": self.max_class_distance,
            "size": self.max_size_distance,
            "brightness": self.max_brightness_distance,
        }
