"""What serving costs over decoding the pictures and calling the network.

    python -m benchmarks.serving MODEL --pictures VOCdevkit/VOC2012/JPEGImages

Bytes to masks by the exported model, against a plain decoding of the same JPEGs and a bare call of
the same network, batch normalization folded there, too, up to the scores of every pixel. Both in
this process, by turns.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
from rich import box
from rich.console import Console
from rich.table import Table

from components.dataset.decoding import jpeg
from components.serving import exported
from components.serving.versions import EXTRA, WEIGHTS
from models import DeepLabV3Plus, inference
from models.checkpoints import load_checkpoint


def bare_network(folder: str) -> tuple[Callable, int]:
    """The network of an exported model up to the enlarged scores, and the side of its input."""
    about = exported.read_description(folder)
    side, classes = about["canvas_size"], len(about["classes"])
    network = DeepLabV3Plus(num_classes=classes, input_shape=(side, side, 3), **about["model"])
    load_checkpoint(network, Path(folder, EXTRA, WEIGHTS))
    folded = inference.fold(network)

    @tf.function(input_signature=[tf.TensorSpec([None, side, side, 3])])
    def call(images):
        return network.logits_resize([folded(images, training=False), images])

    return call, side


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
def decode(files):
    """The sizes of the pictures, so that nothing but decoding is done."""
    return tf.map_fn(
        lambda file: tf.shape(jpeg.decode(file)),
        files,
        fn_output_signature=tf.TensorSpec([3], tf.int32),
    )


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Prints milliseconds a batch, medians of all rounds, and the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="folder of a pushed version")
    parser.add_argument("--pictures", type=Path, required=True, help="folder of JPEGs")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    serve = tf.saved_model.load(arguments.model).signatures["serving_default"]
    bare, side = bare_network(arguments.model)
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("batch", "decode ms", "bare call ms", "served ms", "ratio"):
        table.add_column(column, justify="right")
    for batch in arguments.batch:
        paths = sorted(arguments.pictures.glob("*.jpg"))[:batch]
        files = tf.constant([path.read_bytes() for path in paths])
        images = tf.random.stateless_uniform([batch, side, side, 3], [0, 0], -1, 1)
        calls = (
            lambda files=files: decode(files),
            lambda images=images: bare(images),
            lambda files=files: serve(image_bytes=files),
        )
        for call in calls:
            call()  # Traces and warms up.
        rounds = [[_seconds(call) for call in calls] for _ in range(arguments.rounds)]
        medians = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratio = statistics.median(served / (one + two) for one, two, served in rounds)
        table.add_row(str(batch), *(f"{1e3 * value:.1f}" for value in medians), f"{ratio:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
