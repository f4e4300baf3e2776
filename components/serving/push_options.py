"""How a blessed model is pushed: its label, what stays of older versions, batches and warm-up."""

from typing import Annotated, ClassVar, Literal

import pydantic
from pydantic import Field

from components.options import Options, fault

_Size = Annotated[int, Field(ge=1, le=128)]


class PushOptions(Options):
    """Whether, under which label, with what beside it, and what stays of older versions."""

    SECTION: ClassVar[str] = "push"

    enabled: bool = True
    """Whether a blessed model is pushed; false: it is judged and proven to serve, no more."""

    label: Literal["stable", "canary"] = "stable"
    """What clients ask for the pushed version by. A canary leaves the stable one where it is until
    `python -m pipeline promote`; who asks without a label gets the newest in any case."""

    keep_versions: Annotated[int, Field(ge=0)] = 0
    """So many of the newest versions stay; 0: all. One that is served, labelled or was measured up
    to stays in any case."""

    batch_sizes: Annotated[
        tuple[_Size, ...],
        Field(
            min_length=1,
            max_length=16,
            description="a list of sizes of 1 to 128 in growing order",
        ),
    ] = (1, 4, 8)
    """Sizes of the batches that a server makes of requests; each is warmed up, for every one that a
    device has not seen costs its first request seconds. A server that joins requests refuses a
    single one of more pictures than the last."""

    batch_timeout_micros: Annotated[int, Field(ge=0)] = 2000
    """So long a request waits for others to share a batch, in microseconds."""

    warm_up_records: Annotated[int, Field(ge=0)] = 8
    """How many pictures of the validation split the warm-up is made of; 0: no warm-up."""

    @pydantic.model_validator(mode="after")
    def _growing(self):
        if list(self.batch_sizes) != sorted(set(self.batch_sizes)):
            raise ValueError(
                fault(
                    self.SECTION,
                    "batch_sizes",
                    "a list of sizes in growing order",
                    list(self.batch_sizes),
                    "sort them, each once",
                )
            )
        return self
