"""How long the files for phones take on this machine, by threads.

    python -m benchmarks.tflite VERSION

Of a pushed version: one call of each file, of a picture of random pixels. It says nothing
of a phone, whose processor is another.
"""

import argparse
import statistics
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from components.tflite.interpreter import Interpreter
from components.tflite.results import PUSHED


def main() -> None:
    """Prints sizes and medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version", type=Path, help="folder of a pushed version")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=21)
    arguments = parser.parse_args()
    files = sorted(Path(arguments.version, PUSHED).glob("*.tflite"))
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("file", "MB", *(f"ms, threads: {threads}" for threads in arguments.threads)):
        table.add_column(column, justify="right")
    for path in files:
        content = path.read_bytes()
        medians = [_median(Interpreter(content, n), arguments.rounds) for n in arguments.threads]
        cells = (f"{1e3 * seconds:.1f}" for seconds in medians)
        table.add_row(path.name, f"{len(content) / 1e6:.2f}", *cells)
    Console().print(table)


def _median(interpreter: Interpreter, rounds: int) -> float:
    """Seconds of a call, without the first, which prepares the file."""
    random = np.random.default_rng(0)
    pixels = random.uniform(0, 255, interpreter.input["shape"]).astype(np.float32)
    for _ in range(rounds + 1):
        interpreter.scores(pixels)
    return statistics.median(interpreter.seconds[1:])


if __name__ == "__main__":
    main()
