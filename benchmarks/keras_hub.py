"""DeepLab v3+ on ResNet-50 here against KerasHub's: images/s and peak memory.

    python -m pip install --no-deps keras-hub==0.32.0 tokenizers sentencepiece kagglehub kagglesdk
    python -m benchmarks.keras_hub

Both in Keras on TensorFlow, same picture size, batch, loss and optimizer; every run in a process of
its own, by turns. KerasHub's network has output stride 32 and one 1x1 convolution behind the
concatenation; ours is measured at the stride of the paper, 16, and at 32.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

_REPOSITORY = Path(__file__).resolve().parent.parent
_CLASSES = 21
_NETWORKS = ("keras_hub", "ours, stride 16", "ours, stride 32")


def _build(network: str, size: int):
    if network == "keras_hub":
        import keras_hub

        encoder = keras_hub.models.ResNetBackbone(
            input_conv_filters=[64],
            input_conv_kernel_sizes=[7],
            stackwise_num_filters=[64, 128, 256, 512],
            stackwise_num_blocks=[3, 4, 6, 3],
            stackwise_num_strides=[1, 2, 2, 2],
            block_type="bottleneck_block",
            image_shape=(size, size, 3),
        )
        # The options of its preset deeplab_v3_plus_resnet50_pascalvoc.
        backbone = keras_hub.models.DeepLabV3Backbone(
            image_encoder=encoder,
            low_level_feature_key="P2",
            spatial_pyramid_pooling_key="P5",
            upsampling_size=8,
            dilation_rates=[6, 12, 18],
            image_shape=(size, size, 3),
        )
        return keras_hub.models.DeepLabV3ImageSegmenter(backbone=backbone, num_classes=_CLASSES)
    from models import DeepLabV3Plus

    return DeepLabV3Plus(
        "resnet_v1_50_beta",
        _CLASSES,
        output_stride=int(network.rsplit(" ", 1)[1]),
        multi_grid=(1, 2, 4),
        input_shape=(size, size, 3),
    )


def measure(network: str, size: int, batch: int, steps: int) -> dict[str, float]:
    """Images/s of training steps and of inference, and the peak memory of this process."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (batch, size, size, 3)).astype(np.float32)
    labels = random.integers(0, _CLASSES, (batch, size, size))
    model = _build(network, size)
    model.compile(
        optimizer=keras.optimizers.SGD(0.001, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[],  # KerasHub adds one that takes other labels where none is given.
        jit_compile=False,
    )

    def images_per_second(step) -> float:
        step()  # traces
        start = time.perf_counter()
        for _ in range(steps):
            step()
        return batch * steps / (time.perf_counter() - start)

    return {
        "training": images_per_second(lambda: model.train_on_batch(images, labels)),
        "inference": images_per_second(lambda: model.predict_on_batch(images)),
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "parameters": model.count_params(),
    }


def main() -> None:
    """Prints the medians of all rounds, images/s and MB, and the median ratios to KerasHub."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="side of the pictures")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4, help="timed steps of one process")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--network", choices=_NETWORKS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.network:
        found = measure(arguments.network, arguments.size, arguments.batch, arguments.steps)
        json.dump(found, sys.stdout)
        return
    rounds: dict[str, list[dict[str, float]]] = {network: [] for network in _NETWORKS}
    for _ in range(arguments.rounds):
        for network, found in rounds.items():
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "benchmarks.keras_hub", "--network", network),
                    *("--size", str(arguments.size), "--batch", str(arguments.batch)),
                    *("--steps", str(arguments.steps)),
                ],
                cwd=_REPOSITORY,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            found.append(json.loads(done.stdout.splitlines()[-1]))
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("network")
    for column in (
        "training images/s",
        "ratio",
        "inference images/s",
        "ratio",
        "peak MB",
        "M par.",
    ):
        table.add_column(column, justify="right")
    for network, found in rounds.items():

        def median(key: str, found=found) -> float:
            return statistics.median(each[key] for each in found)

        def ratio(key: str, found=found) -> float:
            pairs = zip(found, rounds["keras_hub"], strict=True)
            return statistics.median(each[key] / base[key] for each, base in pairs)

        table.add_row(
            network,
            f"{median('training'):.2f}",
            f"{ratio('training'):.2f}",
            f"{median('inference'):.2f}",
            f"{ratio('inference'):.2f}",
            f"{median('peak MB'):.0f}",
            f"{median('parameters') / 1e6:.1f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
