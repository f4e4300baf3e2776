"""What `predict` costs: its pictures a second, and the memory that tiles take.

    python -m benchmarks.prediction speed MODEL --pictures FOLDER
    python -m benchmarks.prediction memory MODEL
    python -m benchmarks.prediction tiles MODEL PICTURE

`speed` compares whole commands, without their start, with calls of the model on the same files in
memory, by turns. `memory` renders pictures of 1 to 400 megapixels and starts `tiles` on each, which
prints a line of JSON: the peak of its process, and seconds.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyvips

import schemas
from components.prediction import files, results, run, threads
from components.prediction.model import Model, version_folder

SIZES = ((1000, 1000), (4000, 4000), (10_000, 10_000), (20_000, 20_000))


def tiles(model: str, picture: str) -> dict:
    """Predicts one picture by tiles, with its overlay, and says what this process took."""
    loaded = Model(version_folder(model))
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(picture))) as folder:
        places = run.Places(Path(folder), schemas.load(loaded.dataset))
        found, _ = files.find([Path(picture)])
        tiling = run.Tiling(0.25, 10**9, lambda done, total: None)
        workers = threads.default_workers()
        (done,) = run.predict_tiled(loaded, found, places, tiling, workers=workers)
    if done.error:
        raise SystemExit(done.error)
    return {
        "width": done.counts.width,
        "height": done.counts.height,
        "seconds": round(time.perf_counter() - start, 1),
        "peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


def memory(model: str) -> None:
    """Prints what `tiles` says of growing pictures, JPEGs of noise."""
    with tempfile.TemporaryDirectory() as folder:
        for width, height in SIZES:
            path = os.path.join(folder, "picture.jpg")
            noise = pyvips.Image.gaussnoise(width // 8, height // 8, mean=128, sigma=60)
            image = noise.resize(8).cast("uchar").bandjoin([90, 160])
            image.copy(interpretation="srgb").jpegsave(path)
            words = [sys.executable, "-m", __spec__.name, "tiles", model, path]
            subprocess.run(words, check=True)


def speed(model: str, pictures: Path, rounds: int, batch: int) -> dict:
    """Pictures a second, medians."""
    loaded = Model(version_folder(model))
    found, _ = files.find([pictures])
    contents = [each.path.read_bytes() for each in found]
    workers = threads.default_workers()

    def bare() -> None:
        for start in range(0, len(contents), batch):
            loaded.segment(contents[start : start + batch], confidence=loaded.has_confidence)

    def whole(dataset: schemas.Dataset | None) -> None:
        with tempfile.TemporaryDirectory() as folder:
            places = run.Places(Path(folder), dataset)
            with results.Tables(Path(folder), loaded.class_names) as tables:
                for done in run.predict(loaded, found, places, batch=batch, workers=workers):
                    tables.add(done.found.name, done.counts)

    colours = schemas.load(loaded.dataset)
    calls = {
        "model alone": bare,
        "masks and table": lambda: whole(None),
        "with overlays": lambda: whole(colours),
    }
    seconds = {name: [] for name in calls}
    bare()  # Warms up.
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {
        name: round(len(found) / statistics.median(values), 1) for name, values in seconds.items()
    }


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("speed", "memory", "tiles"))
    parser.add_argument("model", help="folder of a pushed version, or of versions")
    parser.add_argument("picture", nargs="?", help="of `tiles`")
    parser.add_argument("--pictures", type=Path, help="of `speed`: a folder")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8)
    arguments = parser.parse_args()
    if arguments.what == "memory":
        memory(arguments.model)
        return
    if arguments.what == "tiles":
        measured = tiles(arguments.model, arguments.picture)
    else:
        measured = speed(arguments.model, arguments.pictures, arguments.rounds, arguments.batch)
    sys.stdout.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    main()
