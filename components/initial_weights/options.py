"""What a configuration says of the weights that a network begins with."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from components.options import Options


class InitialWeightsOptions(Options):
    """Where the weights come from, and which of them are taken."""

    SECTION: ClassVar[str] = "initial_weights"

    source: Annotated[str | None, Field(description="a path, address or name, or null")] = None
    """None for random weights. Else the prefix, folder, .tar.gz or http(s) address of an official
    checkpoint, a name among the published ones, the `.weights.h5` of a
    `keras.applications.MobileNetV2`, the folder of an exported model, `served` for the newest
    served version of the run's own name, or `served:NAME` for that of another."""

    scope: Literal["backbone", "except_logits", "all"] = "backbone"
    """Which variables are taken; `all` takes no logits of an exported model of other classes."""

    sha256: Annotated[
        str | None,
        Field(pattern=r"^[0-9a-fA-F]{64}$", description="64 hexadecimal digits, or null"),
    ] = None
    """Of the archive or the `.weights.h5`; None takes any."""

    accept_folded_batch_norm: bool = False
    """Tune batch normalization though its statistics were folded into other variables, as those of
    networks that went through TFLite are."""

    max_bytes: Annotated[int, Field(ge=1)] = 4 << 30
    """A download, and what an archive holds, may be so large."""
