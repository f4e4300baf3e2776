"""One at a time: a run, or what a person does with what runs have pushed."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from components.metadata import addresses
from components.storage import paths
from components.storage.locks import only_run
from pipeline.environment import Environment


@contextlib.contextmanager
def alone(environment: Environment, name: str) -> Iterator[None]:
    """Refuses to work beside a run in the output, in its ML Metadata or on a served model.

    A server of ML Metadata takes several at once. On a served model there may be one, for a
    candidate must not be pushed that was judged against what is served no more.

    Args:
        environment: with absolute paths.
        name: of the served model.

    Raises:
        ConfigError: naming the other one.
    """
    address = addresses.parse(environment.metadata)
    with contextlib.ExitStack() as stack:
        stack.enter_context(only_run(environment.root, Path(environment.root, ".run.lock")))
        if address.scheme == "sqlite":
            database = Path(address.path)
            lock = database.with_name(f".{database.name}.run.lock")
            stack.enter_context(only_run(str(database), lock))
        if not paths.is_remote(environment.served):
            served = Path(environment.served, name)
            stack.enter_context(only_run(str(served), served.with_name(f".{served.name}.run.lock")))
        yield
