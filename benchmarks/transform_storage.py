"""What should lie on disk for training: raw records, or pictures already resized?

    python -m benchmarks.transform_storage --data-dir VOCdevkit

Compares, at 513 pixels and on the same pictures, raw records that go through the Transform graph
in the input function with records of resized uint8 pixels (`tf.io.serialize_tensor`), both read
through gzipped TFRecords as TFX writes them. Each way runs in a process of its own; the rounds
alternate, and medians count.
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

CROP = 513


def _measure(way: str, folder: str, connection) -> None:
    """Reads every record of `folder` once and sends images/s and peak memory in MB."""
    import tensorflow as tf

    from components.transform import preprocessing

    files = tf.data.TFRecordDataset(f"{folder}/{way}.gz", "GZIP")
    if way == "raw":
        transform = _graph(folder)

        def prepare(serialized):
            features = transform(serialized)
            return features[preprocessing.IMAGE], features[preprocessing.LABEL]

        batches = files.batch(8).map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
    else:
        spec = {key: tf.io.FixedLenFeature([], tf.string) for key in ("image", "label")}

        def parse(serialized):
            row = tf.io.parse_single_example(serialized, spec)
            image = tf.io.parse_tensor(row["image"], tf.uint8)
            label = tf.io.decode_png(row["label"], channels=1)[..., 0]
            return preprocessing.normalise(image), tf.cast(label, tf.int64)

        batches = files.map(parse, num_parallel_calls=tf.data.AUTOTUNE).batch(8)
    batches = batches.prefetch(tf.data.AUTOTUNE)
    next(iter(batches))
    start, count = time.monotonic(), 0
    for image, _ in batches:
        count += image.shape[0]
    rate = count / (time.monotonic() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    connection.send((rate, peak))


def _graph(folder: str):
    import tensorflow_transform as tft

    from components.trainer.input_fn import TransformedRecords

    return TransformedRecords(tft.TFTransformOutput(f"{folder}/transform"))


def _write(data_dir: str, pictures: int, folder: str) -> dict[str, int]:
    """Writes both kinds of records and the Transform graph; returns bytes an image."""
    import tensorflow as tf
    import tensorflow_transform.beam as tft_beam
    from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io, schema_utils

    import schemas
    from components.dataset import records
    from components.dataset.building.layout import find_layout
    from components.dataset.building.pairs import read_pair
    from components.transform import preprocessing

    dataset = schemas.load("pascal")
    pairs, _ = find_layout(dataset, Path(data_dir)).pairs("train", pictures)
    rows = [read_pair(pair, dataset).record.serialize() for pair in pairs]
    options = tf.io.TFRecordOptions(compression_type="GZIP")
    with tf.io.TFRecordWriter(f"{folder}/raw.gz", options) as writer:
        for row in rows:
            writer.write(row)
    spec = {key: tf.io.FixedLenFeature([1], tf.string) for key in (records.IMAGE, records.LABEL)}
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
    config = {
        "canvas_size": CROP,
        "num_classes": dataset.num_classes,
        "ignore_label": dataset.ignore_label,
    }
    parsed = [
        {key: [value.numpy()[0]] for key, value in tf.io.parse_single_example(row, spec).items()}
        for row in rows
    ]
    with tft_beam.Context(temp_dir=f"{folder}/temp", desired_batch_size=16):
        graph = (parsed[:16], metadata) | tft_beam.AnalyzeDataset(
            lambda inputs: preprocessing.preprocessing_fn(inputs, config)
        )
        _ = graph | tft_beam.WriteTransformFn(f"{folder}/transform")
    metadata_io.write_metadata(metadata, f"{folder}/transform/metadata")
    transform = _graph(folder)
    with tf.io.TFRecordWriter(f"{folder}/resized.gz", options) as writer:
        for features in tf.data.Dataset.from_tensor_slices(rows).batch(1).map(transform):
            pixels = tf.cast(tf.round((features[preprocessing.IMAGE][0] + 1) * 127.5), tf.uint8)
            label = tf.cast(features[preprocessing.LABEL][0][..., None], tf.uint8)
            values = {
                "image": tf.io.serialize_tensor(pixels).numpy(),
                "label": tf.io.encode_png(label).numpy(),
            }
            feature = {
                key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                for key, value in values.items()
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())
    return {
        way: Path(folder, f"{way}.gz").stat().st_size // len(rows) for way in ("raw", "resized")
    }


def _in_process(target, *arguments):
    """Runs `target(*arguments, connection)` in a fresh process and returns what it sent."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(*arguments, theirs))
    process.start()
    result = ours.recv()
    process.join()
    return result


def _write_and_send(data_dir, pictures, folder, connection) -> None:
    connection.send(_write(data_dir, pictures, folder))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    measured = {"raw": [], "resized": []}
    with tempfile.TemporaryDirectory() as folder:
        sizes = _in_process(_write_and_send, arguments.data_dir, arguments.pictures, folder)
        for _ in range(arguments.rounds):
            for way, results in measured.items():
                results.append(_in_process(_measure, way, folder))
    table = Table(box=box.SIMPLE_HEAD, title=f"{arguments.pictures} pictures at {CROP} px, medians")
    for column in ("on disk", "KB an image", "images/s", "peak MB"):
        table.add_column(column, justify="left" if column == "on disk" else "right")
    for way, results in measured.items():
        rates, peaks = zip(*results, strict=True)
        table.add_row(
            way,
            f"{sizes[way] / 1e3:.0f}",
            f"{statistics.median(rates):.0f}",
            f"{statistics.median(peaks):.0f}",
        )
    Console().print(table)
    Console().print_json(json.dumps(measured))


if __name__ == "__main__":
    main()
