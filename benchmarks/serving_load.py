"""Requests a second, and how long the slowest wait, at 1, 4 and 16 clients.

    python -m benchmarks.serving_load MODEL --pictures VOCdevkit/VOC2012/JPEGImages

Starts the stand-in for TensorFlow Serving on a version of a model, without and with batching as the
version itself asks for it, and sends it one picture a request over gRPC and REST. The first
requests warm it up and do not count. `--address` asks a server that runs already, once as it is.
"""

import argparse
import concurrent.futures
import contextlib
import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from components.serving.check.load import peak_bytes
from components.serving.client import Client
from components.serving.server import launch

_CLIENTS = (1, 4, 16)
_WARM_UP = 24
_BATCHING = ("--enable_batching=true", "--enable_per_model_batching_parameters=true")


def measure(client: Client, pictures: list[bytes], clients: int, requests: int) -> dict:
    """Requests a second, and quantiles of the milliseconds of one."""
    turn = itertools.islice(itertools.cycle(pictures), requests)

    def ask(picture: bytes) -> float:
        start = time.perf_counter()
        (answer,) = client.segment([picture])
        assert answer.mask, answer.error
        return 1e3 * (time.perf_counter() - start)

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        start = time.perf_counter()
        took = list(pool.map(ask, turn))
        seconds = time.perf_counter() - start
    return {
        "requests/s": requests / seconds,
        "p50 ms": np.quantile(took, 0.5),
        "p99 ms": np.quantile(took, 0.99),
    }


@contextlib.contextmanager
def started(version: Path, flags: tuple[str, ...]) -> Iterator[launch.Server]:
    """The stand-in with this version alone."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work, "model")
        folder.mkdir()
        (folder / "1").symlink_to(version.resolve())
        log = Path(work, "log.txt")
        with launch.running(str(folder), "model", program=None, log=log, flags=flags) as server:
            server.wait_until_available(600)
            yield server


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, nargs="?", help="folder of a version")
    parser.add_argument("--address", help="of a server, in place of the model: http:// or grpc://")
    parser.add_argument("--name", default="deeplab", help="of the model there")
    parser.add_argument("--pictures", type=Path, required=True, help="folder of picture files")
    parser.add_argument("--requests", type=int, default=300, help="of each row")
    given = parser.parse_args()
    if (given.model is None) == (given.address is None):
        parser.error("give the folder of a version, or the --address of a server")
    files = sorted(path for path in given.pictures.iterdir() if path.is_file())[:64]
    pictures = [path.read_bytes() for path in files]
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("batching")
    for column in ("interface", "clients", "requests/s", "p50 ms", "p99 ms", "peak MB"):
        table.add_column(column, justify="right")

    def add(batching: str, address: str, name: str, pid: int | None = None) -> None:
        client = Client(address, name)
        measure(client, pictures, max(_CLIENTS), _WARM_UP)
        for clients in _CLIENTS:
            found = measure(client, pictures, clients, given.requests)
            table.add_row(
                batching,
                address.split(":")[0],
                str(clients),
                f"{found['requests/s']:.1f}",
                f"{found['p50 ms']:.0f}",
                f"{found['p99 ms']:.0f}",
                "–" if pid is None else f"{peak_bytes(pid) / 1e6:.0f}",
            )

    if given.address:
        add("as it is", given.address, given.name)
    else:
        for batching, flags in (("no", ()), ("yes", _BATCHING)):
            with started(given.model, flags) as server:
                for address in (server.grpc_address, server.rest_address):
                    add(batching, address, "model", server.process.pid)
    Console().print(table)


if __name__ == "__main__":
    main()
