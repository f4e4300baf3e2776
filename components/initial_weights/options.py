"""What a configuration says of the weights that a network begins with."""

from typing import Literal

import pydantic


class InitialWeightsOptions(pydantic.BaseModel, frozen=True, extra="forbid"):
    """Where the weights come from, and which of them are taken."""

    source: str | None = None
    """None for random weights. Else the prefix, folder, .tar.gz or http(s) address of an official
    checkpoint, a name among the published ones, the `.weights.h5` of a
    `keras.applications.MobileNetV2`, the folder of an exported model, `served` for the newest
    served version of the run's own name, or `served:NAME` for that of another."""

    scope: Literal["backbone", "except_logits", "all"] = "backbone"
    """Which variables are taken; `all` takes no logits of an exported model of other classes."""

    sha256: str | None = None
    """Of the archive or the `.weights.h5`; None takes any."""

    max_bytes: int = pydantic.Field(default=4 << 30, gt=0)
    """A download, and what an archive holds, may be so large."""
