"""The network here against torchvision's and KerasHub's: images/s and peak memory.

    python -m venv .peers && .peers/bin/python -m pip install -r benchmarks/requirements.txt
    .peers/bin/python -m benchmarks.networks

Same picture size, batch, loss and optimizer, random weights; every run in a process of its own, by
turns. Ours and KerasHub's run in Keras on the same TensorFlow, torchvision's in PyTorch, channels
last, each with its own choice of threads. Against torchvision it is the same DeepLab v3 on
ResNet-50; against KerasHub our DeepLab v3+, for its network has one 1x1 convolution for a decoder.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

_REPOSITORY = Path(__file__).resolve().parent.parent
_CLASSES = 21
_RESNET = {"backbone": "resnet_v1_50_beta", "multi_grid": (1, 2, 4)}
_V3 = {"decoder": False, "separable": False}

# Every network and the one it is compared with, which has run before in the same round.
_BASELINES = {
    "torchvision v3, stride 8": None,
    "ours v3, stride 8": "torchvision v3, stride 8",
    "KerasHub, stride 8": None,
    "ours v3+, stride 8": "KerasHub, stride 8",
    "KerasHub, stride 16": None,
    "ours v3+, stride 16": "KerasHub, stride 16",
    "Xception-65, stride 16": None,
    "MobileNetV2, stride 16": None,
}
_OURS = {
    "ours v3, stride 8": {"output_stride": 8, **_RESNET, **_V3},
    "ours v3+, stride 8": {"output_stride": 8, **_RESNET},
    "ours v3+, stride 16": {"output_stride": 16, **_RESNET},
    "Xception-65, stride 16": {"output_stride": 16, "backbone": "xception_65"},
    "MobileNetV2, stride 16": {
        **{"output_stride": 16, "backbone": "mobilenet_v2"},
        **{"atrous_rates": (), "decoder": False},
    },
}


def keras_hub(output_stride: int, size: int):
    """KerasHub's network, with the options of its preset deeplab_v3_plus_resnet50_pascalvoc.

    The preset has stride 32. Smaller ones come from strides and rates of its ResNet, as in the
    paper; its 3x3 convolutions take a rate after they were built.
    """
    import keras_hub

    strides, rates = {8: ([1, 2, 1, 1], {2: 2, 3: 4}), 16: ([1, 2, 2, 1], {3: 2})}[output_stride]
    encoder = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[3, 4, 6, 3],
        stackwise_num_strides=strides,
        block_type="bottleneck_block",
        image_shape=(size, size, 3),
    )
    for layer in encoder.layers:
        for stack, rate in rates.items():
            # Stacks are counted from 0, and so are the blocks in them.
            if layer.name.startswith(f"stack{stack}_") and layer.name.endswith("_2_conv"):
                layer.dilation_rate = (rate, rate)
    # Levels are named after the stride that they would have without the above.
    levels = encoder.pyramid_outputs
    level = f"P{output_stride.bit_length() - 1}"
    encoder.pyramid_outputs = {"P2": levels["P2"], level: levels["P5"]}
    backbone = keras_hub.models.DeepLabV3Backbone(
        image_encoder=encoder,
        low_level_feature_key="P2",
        spatial_pyramid_pooling_key=level,
        upsampling_size=output_stride // 4,
        dilation_rates=[96 // output_stride * factor for factor in (1, 2, 3)],
        image_shape=(size, size, 3),
    )
    return keras_hub.models.DeepLabV3ImageSegmenter(backbone=backbone, num_classes=_CLASSES)


def served(model):
    """Ours with batch norm in its kernels, as it is served, but with all scores, as others give."""
    import keras

    from models.inference import fold

    folded = fold(model)
    enlarge = model.layers[-1]
    return keras.Model(folded.input, enlarge([folded.output, folded.input]))


def keras_steps(model, images, labels) -> tuple[Callable, Callable, int]:
    """A step of training, one of inference, and the number of parameters."""
    import keras

    model.compile(
        optimizer=keras.optimizers.SGD(0.001, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[],  # KerasHub adds one that takes other labels where none is given.
        jit_compile=False,  # four times slower on a CPU
    )
    answering = model
    if hasattr(model, "logits_layer"):
        answering = served(model)
        answering.compile(jit_compile=False)
    return (
        lambda: model.train_on_batch(images, labels),
        lambda: answering.predict_on_batch(images),
        model.count_params(),
    )


def torch_steps(model, images, labels) -> tuple[Callable, Callable, int]:
    """A step of training, one of inference, and the number of parameters."""
    import torch

    images = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(
        memory_format=torch.channels_last
    )  # fmt: skip
    labels = torch.from_numpy(labels)
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)

    def train() -> None:
        model.train()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images)["out"], labels).backward()
        optimizer.step()

    def infer():
        model.eval()
        with torch.inference_mode():
            return model(images)["out"].numpy()

    return train, infer, sum(parameter.numel() for parameter in model.parameters())


def measure(network: str, size: int, batch: int, steps: int) -> dict[str, float]:
    """Images/s of training steps and of inference, and the peak memory of this process."""
    import numpy as np

    if "KerasHub" in f"{network}, {_BASELINES[network]}":
        # KerasHub enlarges by whole factors, so that it takes multiples of the stride only.
        size = size // 32 * 32
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as the pipeline, `components.settings`
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (batch, size, size, 3)).astype(np.float32)
    labels = random.integers(0, _CLASSES, (batch, size, size))
    if network.startswith("torchvision"):
        from torchvision.models.segmentation import deeplabv3_resnet50

        model = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=_CLASSES)
        train, infer, parameters = torch_steps(model, images, labels)
    elif network.startswith("KerasHub"):
        model = keras_hub(int(network.rsplit(" ", 1)[1]), size)
        train, infer, parameters = keras_steps(model, images, labels)
    else:
        from models import DeepLabV3Plus

        model = DeepLabV3Plus(num_classes=_CLASSES, input_shape=(size, size, 3), **_OURS[network])
        train, infer, parameters = keras_steps(model, images, labels)

    def images_per_second(step: Callable) -> float:
        for _ in range(2):  # traces, then fills caches
            step()
        start = time.perf_counter()
        for _ in range(steps):
            step()
        return batch * steps / (time.perf_counter() - start)

    return {
        "inference": images_per_second(infer),
        "training": images_per_second(train),
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "parameters": parameters,
    }


def compare(networks: list[str], arguments: argparse.Namespace) -> dict[str, list[dict]]:
    """What `measure` found of every network in every round, each time in a fresh process."""
    found: dict[str, list[dict]] = {network: [] for network in networks}
    for _ in range(arguments.rounds):
        for network in networks:
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "benchmarks.networks", "--measure", network),
                    *("--size", str(arguments.size), "--batch", str(arguments.batch)),
                    *("--steps", str(arguments.steps)),
                ],
                cwd=_REPOSITORY,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            found[network].append(json.loads(done.stdout.splitlines()[-1]))
    return found


def show(found: dict[str, list[dict]]) -> None:
    """Prints medians of all rounds, and the median ratios to the baseline within a round."""
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
    for network, rounds in found.items():

        def median(key: str, rounds=rounds) -> float:
            return statistics.median(each[key] for each in rounds)

        baseline = found.get(_BASELINES[network])

        def ratio(key: str, rounds=rounds, baseline=baseline) -> str:
            if baseline is None:
                return "–"
            pairs = zip(rounds, baseline, strict=True)
            return f"{statistics.median(ours[key] / base[key] for ours, base in pairs):.2f}"

        table.add_row(
            network,
            *(f"{median('training'):.2f}", ratio("training")),
            *(f"{median('inference'):.2f}", ratio("inference")),
            *(f"{median('peak MB'):.0f}", f"{median('parameters') / 1e6:.1f}"),
        )
    Console().print(table)


def main() -> None:
    """Measures the networks by turns and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=257, help="side of the pictures")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=8, help="timed steps of one process")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--only",
        nargs="+",
        default=[""],
        help="leave out networks without any of these in the name",
    )
    parser.add_argument("--measure", choices=_BASELINES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        found = measure(arguments.measure, arguments.size, arguments.batch, arguments.steps)
        json.dump(found, sys.stdout)
        return
    chosen = [name for name in _BASELINES if any(part in name for part in arguments.only)]
    show(compare(chosen, arguments))


if __name__ == "__main__":
    main()
