"""What a replay is asked for."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be replayed, and with what.

    Attributes:
        file: a compiled file.
        parameters: of the run, by name.
        store: folder in the place of all stores.
        root: pipeline root; empty for the file's own.
        claims: folders in the place of volumes, by the names of their claims.
        secrets: values by name of the secret and key.
    """

    file: str
    parameters: Mapping[str, Any]
    store: Path
    root: str
    claims: Mapping[str, Path]
    secrets: Mapping[tuple[str, str], str]
