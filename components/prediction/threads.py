"""`map` in threads that keeps the order, and no more in memory than is under way."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_In, _Out = TypeVar("_In"), TypeVar("_Out")


def in_threads(
    function: Callable[[_In], _Out], values: Iterable[_In], workers: int
) -> Iterator[_Out]:
    """As `map`, no more values ahead of who takes the results than there are threads."""
    pool, waiting = ThreadPoolExecutor(workers), deque()
    try:
        for value in values:
            waiting.append(pool.submit(function, value))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def default_workers() -> int:
    """One thread a core; two at least, for one waits for the disk."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(2, cores or 2)
