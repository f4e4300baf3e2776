"""What the whole pipeline costs over a bare training loop and a bare evaluation.

    python -m benchmarks.pipeline_overhead --pictures 100 300

Both read the same rendered TFRecords, train the same network for the same steps with the same
augmentation, validate as often and evaluate the best epoch; the bare loop does only that, in one
script, without TFX. Each runs in a process of its own, imports included. Then the peak memory of
the pipeline's process during each step.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from rich import box
from rich.console import Console
from rich.table import Table

import schemas
from components.dataset.source import find_records
from components.metadata import runs, stores
from pipeline import recipes
from pipeline.config import override

_REPOSITORY = Path(__file__).resolve().parent.parent
_BATCH_SIZE = 12


def _assignments(pictures: int, passes: int) -> list[str]:
    """Work that grows with the pictures: each is seen about `passes` times, with 5 validations."""
    steps = 5 * round(pictures * passes / _BATCH_SIZE / 5)
    return [
        f"data.train_limit={pictures}",
        f"data.val_limit={max(pictures // 5, 8)}",
        f"training.steps={steps}",
        f"training.steps_per_epoch={steps // 5}",
        f"training.batch_size={_BATCH_SIZE}",
        "evaluation.min_mean_iou=0",
        "evaluation.allow_dead_classes=true",
    ]


def bare(pictures: int, passes: int, records: str) -> None:
    """The bare loop: plain `tf.data`, plain `fit`, plain evaluation."""
    import tensorflow as tf

    from components.dataset.decoding.image import decode_image, decode_label
    from components.dataset.limits import DEFAULT
    from components.dataset.records import IMAGE, LABEL
    from components.trainer import augmentation, optimization
    from components.transform import preprocessing
    from models import DeepLabV3Plus
    from models.confusion import SegmentationMetrics
    from models.losses import SegmentationLoss

    config = override(recipes.sample(), _assignments(pictures, passes))
    options, crop = config.training, config.data.canvas_size
    dataset = schemas.load("sample")
    spec = {key: tf.io.FixedLenFeature([], tf.string) for key in (IMAGE, LABEL)}

    def decode(serialized):
        row = tf.io.parse_single_example(serialized, spec)
        image = decode_image(row[IMAGE], DEFAULT).pixels
        label = decode_label(row[LABEL], DEFAULT).pixels
        size = preprocessing.fit_size(tf.shape(image)[0], tf.shape(image)[1], crop)
        image = tf.image.resize(image, size, antialias=True)
        label = tf.image.resize(label, size, "nearest")
        return preprocessing.normalise(image), tf.cast(label[..., 0], tf.int64)

    def augment(number, row):
        seed = tf.stack([tf.constant(options.seed, tf.int64), number])
        return augmentation.augment(*row, seed, options, crop, dataset.ignore_label)

    def files(split):
        return tf.data.TFRecordDataset(sorted(tf.io.gfile.glob(f"{records}/{split}-*")))

    train = (
        files("train").shuffle(options.shuffle_buffer, seed=0).repeat()
        .map(decode, num_parallel_calls=tf.data.AUTOTUNE)
        .enumerate().map(augment, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(options.batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
    )  # fmt: skip
    val = (
        files("val").map(decode, num_parallel_calls=tf.data.AUTOTUNE)
        .map(lambda image, label: augmentation.pad_to(image, label, crop, dataset.ignore_label))
        .batch(8).prefetch(tf.data.AUTOTUNE)
    )  # fmt: skip
    model = DeepLabV3Plus(**config.model.arguments(dataset.num_classes, crop))
    optimizer = optimization.build_optimizer(options, model)
    model.compile(
        optimizer,
        SegmentationLoss(dataset.num_classes, dataset.ignore_label, options.loss),
        metrics=[SegmentationMetrics(dataset.num_classes, dataset.ignore_label)],
    )
    model.fit(
        train,
        steps_per_epoch=options.steps_per_epoch,
        epochs=options.steps // options.steps_per_epoch,
        validation_data=val,
        verbose=0,
    )
    model.evaluate(val, verbose=0)


def _timed(command: list[str]) -> tuple[float, list[tuple[float, float]]]:
    """Seconds of a command, and `(unix time, resident MB)` every fifth of a second."""
    start = time.time()
    process = psutil.Popen(
        command, cwd=_REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    samples = []
    while process.poll() is None:
        try:
            samples.append((time.time(), process.memory_info().rss / 1e6))
        except psutil.NoSuchProcess:
            break
        time.sleep(0.2)
    if process.wait():
        raise RuntimeError(
            f"expected {' '.join(command)} to succeed; got exit {process.returncode}"
        )
    return time.time() - start, samples


def measure(pictures: int, passes: int) -> tuple[float, float, dict[str, tuple[float, float]]]:
    """Seconds of the bare loop and of the pipeline, and of each step seconds and peak MB."""
    with tempfile.TemporaryDirectory() as folder:
        assignments = _assignments(pictures, passes)
        config = override(recipes.sample(), assignments)
        records = find_records(
            schemas.load("sample"),
            None,
            Path(folder, "data"),
            patterns={"train": config.data.train_pattern, "val": config.data.val_pattern},
            limits={"train": config.data.train_limit, "val": config.data.val_limit},
        ).ready()
        bare_seconds, bare_memory = _timed(
            [
                *(sys.executable, "-m", "benchmarks.pipeline_overhead"),
                *("--pictures", str(pictures), "--passes", str(passes), "--bare", str(records)),
            ]
        )
        seconds, samples = _timed(
            [
                *(sys.executable, str(_REPOSITORY / "local_runner.py"), "--output", folder),
                *("--data-dir", str(records)),
                *(word for assignment in assignments for word in ("--set", assignment)),
            ]
        )
        store = stores.opened(f"sqlite:{Path(folder, 'metadata.sqlite')}")
        steps = runs.latest_run(store).values()
    found = {"bare loop": (bare_seconds, max(megabytes for _, megabytes in bare_memory))}
    for step in sorted(steps, key=lambda step: step.execution_id):
        end = step.started + max(step.seconds, 0.4)
        inside = [megabytes for when, megabytes in samples if step.started <= when <= end]
        found[step.node_id] = step.seconds, max(inside, default=0.0)
    return bare_seconds, seconds, found


def main() -> None:
    """Prints both times, their ratio, and seconds and memory of every step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, nargs="+", default=[300])
    parser.add_argument("--passes", type=int, default=12, help="how often each picture is seen")
    parser.add_argument("--bare", metavar="RECORDS", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bare:
        bare(*arguments.pictures, arguments.passes, arguments.bare)
        return
    console = Console()
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("seconds (peak MB)")
    columns = []
    for pictures in arguments.pictures:
        bare_seconds, seconds, found = measure(pictures, arguments.passes)
        console.print(
            f"{pictures} pictures, {arguments.passes} passes: pipeline {seconds:.0f} s, "
            f"bare {bare_seconds:.0f} s, ratio {seconds / bare_seconds:.2f}"
        )
        table.add_column(str(pictures), justify="right")
        columns.append(found)
    for name in columns[0]:
        cells = (f"{each[name][0]:.1f} ({each[name][1]:.0f})" for each in columns)
        table.add_row(name, *cells)
    console.print(table)


if __name__ == "__main__":
    main()
