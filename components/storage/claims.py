"""Names in a folder of a store, each taken by one process at most: stores know no locks.

TensorFlow's view of a store has no "make it only if it is absent". What stores do promise is that
whoever lists a folder sees all that was written before (Amazon's since 2020, Google's always). So a
claim is a file of a name that nobody else writes: it is written first, and then the folder is
listed. Of two that claim one name, the one that lists last sees the other: never do both see
themselves alone. A claim whose process was killed keeps its one name from being taken, no other.
"""

import contextlib
import os
import random
import socket
import time
import uuid
from collections.abc import Collection, Iterator

from absl import logging

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
    paths.write_bytes(path, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
    try:
        yield _of(folder, name) == [own]
    finally:
        _remove(path)


@contextlib.contextmanager
def turn(folder: str, name: str, patience: float = 60.0) -> Iterator[None]:
    """Waits until a name is this process's, for work of moments: a lock.

    Args:
        folder: see `claimed`.
        name: see there.
        patience: seconds after which a claim that was there all the time is that of a process which
            was killed, and is removed. Who works for longer than that may lose the name.
    """
    seen: dict[str, float] = {}
    pause = 0.02
    while True:
        with claimed(folder, name) as is_own:
            if is_own:
                yield
                return
        now = time.monotonic()
        seen = {claim: seen.get(claim, now) for claim in _of(folder, name)}
        for claim, since in seen.items():
            if now - since > patience:
                logging.warning("%s of a killed process is removed from %s", claim, folder)
                _remove(paths.join(folder, claim))
        # Of two that meet, one is to come first.
        time.sleep(random.uniform(0, pause))
        pause = min(2 * pause, 2.0)


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
