"""How large a file and its picture may be; without TensorFlow, for the configuration names it."""

import dataclasses

MAX_PIXELS = 100_000_000
"""Decoded, so many are 300 MB; a larger picture costs every step gigabytes."""
MAX_BYTES = 256 * 2**20


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What is larger is not decoded, alike by who builds, trains, judges and serves."""

    max_pixels: int = MAX_PIXELS
    max_bytes: int = MAX_BYTES


DEFAULT = Limits()
