"""What records are made from, as one hash: known before TensorFlow or Beam is imported."""

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence

from components.dataset.building.layout import Layout
from components.fingerprint import source_fingerprint


def origin(
    layout: Layout,
    splits: Sequence[str],
    limits: dict[str, int],
    on_error: str = "fail",
    shards: int | None = None,
) -> str:
    """A hash of all that records are made from: code, description, and every file's size and time.

    Raises:
        DataError: see `Layout.pairs`.
    """
    digest = hashlib.sha256()
    digest.update(repr(layout.dataset).encode())
    digest.update(source_fingerprint("components.dataset.building.conversion").encode())
    digest.update(json.dumps([str(layout.roots), limits, on_error, shards]).encode())
    for split in splits:
        pairs, found = layout.pairs(split, limits.get(split, 0))
        digest.update(f"{split} {len(found)}\n".encode())
        for pair in pairs:
            for path in (pair.image, pair.label):
                with contextlib.suppress(OSError):  # Said with the path when it is converted.
                    status = os.stat(path)
                    digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:12]
