"""What the serving check sends, and what it bears."""

from typing import Annotated, ClassVar

from pydantic import Field

from components.options import Options

_FromOne = Annotated[int, Field(ge=1)]
_AboveNothing = Annotated[float, Field(gt=0)]


class ServingOptions(Options):
    """The serving check. Its limits are for what is broken, not for what could be faster."""

    SECTION: ClassVar[str] = "serving"

    requests: _FromOne = 8
    """Records of the validation split sent in one batch, and requests of one picture after it."""

    timeout_seconds: _FromOne = 300
    """For loading the model, and for each answer."""

    max_latency_seconds: _AboveNothing = 30.0
    """The median of the requests of one picture; what comes first warms up and does not count."""

    max_memory_mb: _FromOne = 8000
    """The most that the server's process may take at any time, in MB of 1e6 bytes, with all that
    it has of its own: 300 to 400."""

    max_growth_mb: _FromOne = 100
    """What it may have grown by while one picture was sent again and again, in MB."""
