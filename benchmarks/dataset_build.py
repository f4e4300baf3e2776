"""How fast and in how much memory records are built and checked.

    python -m benchmarks.dataset_build --source VOCdevkit

Conversion and checks against decoding: the same pictures and masks, from memory, by the decoders
that train, one call for each file, and nothing else. Every run is a process of its own, by turns,
on as many cores as it has workers; the seconds are those of the work alone, without imports and
without the trace of the decoders, which each process has once. More pictures than there are come
as links to the same.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
from rich import box
from rich.console import Console
from rich.table import Table

import schemas

_REPOSITORY = Path(__file__).resolve().parent.parent
_WORKERS = (1, 2)


def link_pictures(source: Path, folder: Path, count: int) -> None:
    """A PASCAL VOC of `count` training pictures, links to those of `source`."""
    root = next(source.glob("**/ImageSets/Segmentation")).parents[1]
    names = (root / "ImageSets/Segmentation/trainval.txt").read_text().split()
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / part).mkdir(parents=True)
    linked = []
    for index in range(count):
        name = f"{index:06d}"
        for part, ending in (("JPEGImages", ".jpg"), ("SegmentationClass", ".png")):
            target = root / part / (names[index % len(names)] + ending)
            os.symlink(target.resolve(), folder / part / (name + ending))
        linked.append(name)
    for split in ("train", "val"):
        (folder / f"ImageSets/Segmentation/{split}.txt").write_text("\n".join(linked))


def decoding(folder: Path, output: Path, workers: int) -> Callable[[], None]:
    """What no conversion and no check can do without: each picture and each mask, decoded."""
    from components.dataset.building.mask_files import record_mask
    from components.dataset.decoding.image import decode_image, decode_label
    from components.dataset.limits import DEFAULT

    pairs, _ = _layout(folder).pairs("train", 0)
    files = []
    for pair in pairs:
        mask = record_mask(Path(pair.label).read_bytes(), pair.label, schemas.load("pascal"))
        files.append((Path(pair.image).read_bytes(), mask))

    def decode(pair: tuple[bytes, bytes]) -> None:
        decode_image(pair[0], DEFAULT)
        decode_label(pair[1], DEFAULT)

    decode(files[0])

    def work() -> None:
        with ThreadPoolExecutor(workers) as pool:
            for _ in pool.map(
                lambda i: [decode(pair) for pair in files[i::workers]], range(workers)
            ):
                pass

    return work


def conversion(folder: Path, output: Path, workers: int) -> Callable[[], None]:
    """The conversion of this project."""
    from components.dataset.building.conversion import convert
    from components.dataset.building.pairs import read_pair

    layout = _layout(folder)
    read_pair(layout.pairs("train", 1)[0][0], layout.dataset)
    return lambda: convert(layout, ["train"], output / "records", source="", workers=workers)


def checks(folder: Path, output: Path, workers: int) -> Callable[[], None]:
    """The look that the data gate takes into every record, without Beam around it."""
    from components.data_gate.checks import check_record
    from components.storage import tfrecords

    conversion(folder, output, 1)()
    files = sorted((output / "records").glob("*.tfrecord"))

    def check(path: Path) -> None:
        for serialized in tfrecords.read(path):
            check_record(serialized, "train", num_classes=21, ignore_label=255)

    def work() -> None:
        with ThreadPoolExecutor(workers) as pool:
            for _ in pool.map(check, files):
                pass

    return work


def gate(folder: Path, output: Path, workers: int) -> Callable[[], None]:
    """The whole pass of the data gate, on Beam, over the files that the pipeline has ingested."""
    import gzip
    import shutil

    import apache_beam  # noqa: F401 - not part of the work

    from components.data_gate.beam_pass import examine_all
    from components.dataset.building.conversion import LOCAL_BEAM_ARGS
    from components.dataset.limits import DEFAULT

    conversion(folder, output, 1)()
    (output / "gzipped").mkdir()
    for path in (output / "records").glob("*.tfrecord"):
        with (
            open(path, "rb") as plain,
            gzip.open(output / "gzipped" / f"{path.name}.gz", "wb") as to,
        ):
            shutil.copyfileobj(plain, to)
    options = [*LOCAL_BEAM_ARGS]
    if workers > 1:
        options += ["--direct_running_mode=multi_threading", f"--direct_num_workers={workers}"]
    splits = {"train": str(output / "gzipped")}
    return lambda: examine_all(splits, schemas.load("pascal"), DEFAULT, str(output), options)


def _layout(folder: Path):
    from components.dataset.building.layout import find_layout

    return find_layout(schemas.load("pascal"), folder)


_JOBS = {
    "decoding alone": decoding,
    "conversion": conversion,
    "checks": checks,
    "the gate's pass": gate,
}


def measure(job: str, workers: int, folder: Path) -> dict[str, float]:
    """Seconds of one job, by the clock and of CPU; MB at the peak, with child processes."""
    if hasattr(os, "sched_setaffinity"):  # Before TensorFlow counts the cores; not on macOS.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:workers])
    with tempfile.TemporaryDirectory() as output:
        work = _JOBS[job](folder, Path(output), workers)
        with _PeakOfChildren() as children:
            start, cpu_start = time.perf_counter(), time.process_time()
            work()
            seconds, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {"seconds": seconds, "CPU": cpu, "MB": own + children.megabytes}


class _PeakOfChildren:
    """Watches the memory of this process' children."""

    def __enter__(self):
        self.megabytes = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.2):
            total = 0.0
            for child in psutil.Process().children(recursive=True):
                try:
                    total += child.memory_info().rss / 1e6
                except psutil.NoSuchProcess:
                    continue
            self.megabytes = max(self.megabytes, total)


def main() -> None:
    """Prints images/s and MB, medians over the rounds, and the median ratio to decoding alone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True, help="folder of a PASCAL VOC")
    parser.add_argument("--pictures", type=int, nargs="+", default=[300, 3000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", nargs="+", choices=_JOBS, default=list(_JOBS))
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        job, workers = arguments.run
        json.dump(measure(job, int(workers), arguments.source), sys.stdout)
        return
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("job")
    for column in (
        "workers",
        "pictures",
        "images/s",
        "ratio to decoding alone",
        "CPU ms each",
        "peak MB",
    ):
        table.add_column(column, justify="right")
    for pictures in arguments.pictures:
        with tempfile.TemporaryDirectory() as folder:
            link_pictures(arguments.source, Path(folder), pictures)
            rounds = [_round(arguments.jobs, folder) for _ in range(arguments.rounds)]
        for job, workers in rounds[0]:
            runs = [found[job, workers] for found in rounds]
            ratios = [
                found["decoding alone", workers]["seconds"] / found[job, workers]["seconds"]
                for found in rounds
                if "decoding alone" in arguments.jobs
            ]
            seconds = statistics.median(run["seconds"] for run in runs)
            table.add_row(
                job,
                str(workers),
                str(pictures),
                f"{pictures / seconds:.0f}",
                f"{statistics.median(ratios):.2f}" if ratios else "–",
                f"{1e3 * statistics.median(run['CPU'] for run in runs) / pictures:.2f}",
                f"{statistics.median(run['MB'] for run in runs):.0f}",
            )
    Console().print(table)


def _round(jobs: list[str], folder: str) -> dict[tuple[str, int], dict[str, float]]:
    """What each job gave in a process of its own, by its name and its workers."""
    found = {}
    for workers in _WORKERS:
        for job in jobs:
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "benchmarks.dataset_build"),
                    *("--source", folder, "--run", job, str(workers)),
                ],
                cwd=_REPOSITORY,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            found[job, workers] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
