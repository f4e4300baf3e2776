"""Feature extractors of DeepLab: one file per family, every name as in the official checkpoints."""

from typing import Any, NamedTuple


class Features(NamedTuple):
    """What a backbone hands to the head.

    Attributes:
        high_level: [batch, ceil(height / output_stride), ceil(width / output_stride), channels].
        low_level: [batch, ceil(height / 4), ceil(width / 4), channels], for the decoder.
    """

    high_level: Any
    low_level: Any
