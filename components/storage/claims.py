"""Names in a folder of a store, each taken by one process at most: stores know no locks.

TensorFlow's view of a store has no "make it only if it is absent". What stores do promise is that
whoever lists a folder sees all that was written before (Amazon's since 2020, Google's always). So a
claim is a file of a name that nobody else writes: it is written first, and then the folder is
listed. Of two that claim one name, the one that lists last sees the other: never do both see
themselves alone. A claim whose process was killed keeps its one name from being taken, no other.
"""

import contextlib
import uuid
from collections.abc import Collection, Iterator

from components.storage import paths

_PREFIX = ".claim-"


@contextlib.contextmanager
def claimed(folder: str, name: str) -> Iterator[bool]:
    """Claims a name while the context lasts.

    Args:
        folder: of the store; claims are files in it, whose names begin with a dot.
        name: without a dash.

    Yields:
        Whether it is this process's. If not, another one has it or asked at the same moment:
        both are to try other names.
    """
    own = f"{_PREFIX}{name}-{uuid.uuid4().hex}"
    path = paths.join(folder, own)
    paths.make_folder(folder)
    paths.write_bytes(path, b"")
    try:
        yield _of(folder, name) == [own]
    finally:
        _remove(path)


def forget(folder: str, names: Collection[str]) -> None:
    """Removes the claims on names that nobody may take any more, left by killed processes."""
    for name in names:
        for claim in _of(folder, name):
            _remove(paths.join(folder, claim))


def claimed_names(folder: str) -> list[str]:
    """All names that are claimed, sorted."""
    claims = (name for name in paths.list_folder(folder) if name.startswith(_PREFIX))
    return sorted({claim.removeprefix(_PREFIX).rpartition("-")[0] for claim in claims})


def _remove(claim: str) -> None:
    # Its process, and one that forgets it, may come to this at one moment.
    with contextlib.suppress(FileNotFoundError):
        paths.remove_file(claim)


def _of(folder: str, name: str) -> list[str]:
    wanted = f"{_PREFIX}{name}-"
    return [claim for claim in paths.list_folder(folder) if claim.startswith(wanted)]
