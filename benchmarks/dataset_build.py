"""How fast and in how much memory records are built, checked and transformed.

    python -m benchmarks.dataset_build --source VOCdevkit

Conversion against the official way of `build_voc2012_data.py`: palettes are first taken off every
mask and written to disk (`remove_gt_colormap.py`), then each picture and each mask is decoded in a
session, in one thread, and written. Every run is a process of its own, by turns; the seconds are
those of the work alone, without imports. More pictures than there are come as links to the same.
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
from pathlib import Path

import psutil
from rich import box
from rich.console import Console
from rich.table import Table

import schemas

_REPOSITORY = Path(__file__).resolve().parent.parent
_CROP = 513
_JOBS = ("official", "conversion", "conversion, 2 workers", "checks", "transform")


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


def official(folder: Path, output: Path) -> Callable[[], None]:
    """The official way, written anew from its description."""
    import numpy as np
    import tensorflow as tf
    from PIL import Image

    from components.dataset.records import Record

    names = (folder / "ImageSets/Segmentation/train.txt").read_text().split()

    def work() -> None:
        raw = output / "raw"
        raw.mkdir()
        for name in names:
            mask = np.array(Image.open(folder / f"SegmentationClass/{name}.png"))
            Image.fromarray(mask).save(raw / f"{name}.png", "PNG")
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            encoded = tf.compat.v1.placeholder(tf.string)
            jpeg = tf.io.decode_jpeg(encoded, channels=3)
            png = tf.io.decode_png(encoded, channels=1)
            with tf.io.TFRecordWriter(str(output / "train.tfrecord")) as writer:
                for name in names:
                    image = (folder / f"JPEGImages/{name}.jpg").read_bytes()
                    label = (raw / f"{name}.png").read_bytes()
                    height, width = session.run(jpeg, {encoded: image}).shape[:2]
                    assert session.run(png, {encoded: label}).shape[:2] == (height, width)
                    record = Record(
                        filename=name,
                        image=image,
                        image_format="jpeg",
                        label=label,
                        height=height,
                        width=width,
                    )
                    writer.write(record.serialize())

    return work


def ours(folder: Path, output: Path, workers: int) -> Callable[[], None]:
    """The conversion of this project."""
    from components.dataset.building import conversion
    from components.dataset.building.layout import find_layout

    layout = find_layout(schemas.load("pascal"), folder)
    beam_args = [*conversion.LOCAL_BEAM_ARGS]
    if workers > 1:
        beam_args += [
            "--direct_running_mode=multi_threading",
            f"--direct_num_workers={workers}",
        ]
    return lambda: conversion.convert(
        layout, ["train"], output / "records", source="", beam_args=beam_args
    )


def checks(folder: Path, output: Path) -> Callable[[], None]:
    """The look that the data gate takes into every record, without Beam around it."""
    import tensorflow as tf

    from components.data_gate.checks import check_record

    ours(folder, output, 1)()
    files = sorted(str(path) for path in (output / "records").glob("*.tfrecord"))

    def work() -> None:
        for serialized in tf.data.TFRecordDataset(files).as_numpy_iterator():
            check_record(serialized, "train", num_classes=21, ignore_label=255)

    return work


def transform(folder: Path, output: Path) -> Callable[[], None]:
    """The full pass of Transform over all records."""
    import apache_beam as beam
    import tensorflow as tf
    import tensorflow_transform.beam as tft_beam
    from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

    from components.dataset import records
    from components.dataset.building import conversion
    from components.transform import preprocessing

    ours(folder, output, 1)()
    spec = {key: tf.io.FixedLenFeature([1], tf.string) for key in (records.IMAGE, records.LABEL)}
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
    config = {"canvas_size": _CROP, "num_classes": 21, "ignore_label": 255}

    def parse(serialized: bytes) -> dict:
        features = tf.train.Example.FromString(serialized).features.feature
        return {key: [features[key].bytes_list.value[0]] for key in spec}

    def work() -> None:
        options = beam.options.pipeline_options.PipelineOptions([*conversion.LOCAL_BEAM_ARGS])
        with (
            beam.Pipeline(options=options) as pipeline,
            tft_beam.Context(temp_dir=str(output / "temp"), desired_batch_size=16),
        ):
            rows = (
                pipeline
                | beam.io.ReadFromTFRecord(str(output / "records" / "*.tfrecord"))
                | beam.Map(parse)
            )
            _ = (
                (rows, metadata)
                | tft_beam.AnalyzeDataset(lambda x: preprocessing.preprocessing_fn(x, config))
                | tft_beam.WriteTransformFn(str(output / "graph"))
            )

    return work


def measure(job: str, folder: Path) -> dict[str, float]:
    """Seconds of one job, and the peak memory of this process and its children together, in MB."""
    with tempfile.TemporaryDirectory() as output:
        work = {
            "official": lambda: official(folder, Path(output)),
            "conversion": lambda: ours(folder, Path(output), 1),
            "conversion, 2 workers": lambda: ours(folder, Path(output), 2),
            "checks": lambda: checks(folder, Path(output)),
            "transform": lambda: transform(folder, Path(output)),
        }[job]()
        with _PeakOfChildren() as children:
            start = time.perf_counter()
            work()
            seconds = time.perf_counter() - start
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {"seconds": seconds, "MB": own + children.megabytes}


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
    """Prints images/s and MB, medians over the rounds, and the median ratio to the official way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True, help="folder of a PASCAL VOC")
    parser.add_argument("--pictures", type=int, nargs="+", default=[300, 3000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--job", choices=_JOBS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        json.dump(measure(arguments.job, arguments.source), sys.stdout)
        return
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("job")
    for column in ("pictures", "images/s", "ratio to official", "peak MB"):
        table.add_column(column, justify="right")
    for pictures in arguments.pictures:
        with tempfile.TemporaryDirectory() as folder:
            link_pictures(arguments.source, Path(folder), pictures)
            found: dict[str, list[dict[str, float]]] = {job: [] for job in _JOBS}
            for _ in range(arguments.rounds):
                for job in _JOBS:
                    done = subprocess.run(
                        [
                            *(sys.executable, "-m", "benchmarks.dataset_build"),
                            *("--source", folder, "--job", job),
                        ],
                        cwd=_REPOSITORY,
                        stdout=subprocess.PIPE,
                        text=True,
                        check=True,
                    )
                    found[job].append(json.loads(done.stdout.splitlines()[-1]))
        for job, runs in found.items():
            seconds = statistics.median(run["seconds"] for run in runs)
            ratio = statistics.median(
                base["seconds"] / run["seconds"]
                for run, base in zip(runs, found["official"], strict=True)
            )
            table.add_row(
                job,
                str(pictures),
                f"{pictures / seconds:.0f}",
                f"{ratio:.2f}" if job.startswith("conversion") else "–",
                f"{statistics.median(run['MB'] for run in runs):.0f}",
            )
    Console().print(table)


if __name__ == "__main__":
    main()
