"""Networks on one GPU: images/s and share of the chip's peak, in training and inference.

    .peers/bin/python -m benchmarks.gpu

Xception-65 and ResNet-101 here, and torchvision's ResNet-101, in float32 and in mixed bfloat16,
with and without XLA; every run in a process of its own. `benchmarks/networks.py` says how to make
`.peers`. Where TensorFlow sees no GPU and JAX does, set KERAS_BACKEND=jax. Inference ends with the
class of every pixel in the memory of the computer. A CPU tries the script with `--cpu --size 33
--batch 1 --steps 1`.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.networks import served

_REPOSITORY = Path(__file__).resolve().parent.parent
_CLASSES = 21
_NETWORKS = {
    "Xception-65": {"backbone": "xception_65"},
    "ResNet-101": {
        **{"backbone": "resnet_v1_101_beta", "multi_grid": (1, 2, 4)},
        **{"output_stride": 8, "decoder": False, "separable": False},
    },
}
_TORCHVISION = "torchvision ResNet-101"
# Dense bfloat16 in 10^12 operations/s, from the makers' data sheets.
_PEAKS = {"H200": 989, "H100": 989, "A100": 312, "L40S": 362, "L4": 121, "A10": 125}


def keras_steps(network: str, images, labels, bfloat16: bool, xla: bool):
    """A step of training and one of inference in Keras, on its backend."""
    import keras

    from models import DeepLabV3Plus

    model = DeepLabV3Plus(
        num_classes=_CLASSES,
        input_shape=images.shape[1:],
        dtype="mixed_bfloat16" if bfloat16 else "float32",
        **_NETWORKS[network],
    )
    model.compile(
        optimizer=keras.optimizers.SGD(0.001, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=xla,
    )
    scores = served(model)
    masks = keras.Model(scores.input, keras.ops.argmax(scores.output, axis=-1))
    masks.compile(jit_compile=xla)
    images, labels = keras.ops.convert_to_tensor(images), keras.ops.convert_to_tensor(labels)
    return lambda: model.train_on_batch(images, labels), lambda: masks.predict_on_batch(images)


def torch_steps(images, labels, bfloat16: bool, xla: bool):
    """A step of training and one of inference in PyTorch; its compiler stands for XLA."""
    import torch
    from torchvision.models.segmentation import deeplabv3_resnet101

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = deeplabv3_resnet101(weights=None, weights_backbone=None, num_classes=_CLASSES)
    model = model.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
    forward = torch.compile(model) if xla else model
    images = torch.from_numpy(images).permute(0, 3, 1, 2).to(device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.from_numpy(labels).to(device)

    def logits():
        with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
            return forward(images)["out"]

    def train() -> float:
        model.train()
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(logits().float(), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    def infer():
        model.eval()
        with torch.inference_mode():
            return logits().argmax(1).cpu()

    return train, infer


def measure(network: str, size: int, batch: int, steps: int, bfloat16: bool, xla: bool) -> dict:
    """Images/s of training steps and of inference."""
    import numpy as np

    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (batch, size, size, 3)).astype(np.float32)
    labels = random.integers(0, _CLASSES, (batch, size, size))
    if network == _TORCHVISION:
        train, infer = torch_steps(images, labels, bfloat16, xla)
    else:
        train, infer = keras_steps(network, images, labels, bfloat16, xla)

    def images_per_second(step: Callable) -> float:
        for _ in range(3):  # compiles, and chooses algorithms
            step()
        start = time.perf_counter()
        for _ in range(steps):
            step()
        return batch * steps / (time.perf_counter() - start)

    return {"inference": images_per_second(infer), "training": images_per_second(train)}


def operations(network: str, size: int) -> float:
    """Of one forward pass of one picture: two for each multiply-add.

    torchvision's network is counted as ours, which has the same convolutions but for the stem.
    """
    from models import DeepLabV3Plus
    from models.complexity import multiply_adds

    model = DeepLabV3Plus(
        num_classes=_CLASSES, **_NETWORKS.get(network, _NETWORKS[_TORCHVISION.split()[1]])
    )
    return 2 * multiply_adds(model, size, size)


def find_gpu(backend: str) -> str:
    """The name of the GPU.

    Raises:
        SystemExit: the driver, or the Keras backend, sees none.
    """
    see = {
        "tensorflow": "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))",
        "jax": "import jax; print(sum(device.platform == 'gpu' for device in jax.devices()))",
    }[backend]
    try:
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        listed = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        listed = ""
    seen = subprocess.run([sys.executable, "-c", see], capture_output=True, text=True, check=False)
    if not listed.strip() or seen.returncode or int(seen.stdout.split()[-1]) == 0:
        raise SystemExit(
            f"expected a GPU that the driver and {backend} see; got {listed.strip() or 'none'} "
            f"from nvidia-smi and {seen.stdout.strip() or 'an error'} from {backend}; to fix, "
            "run this where one is, set KERAS_BACKEND=jax, or try the script with --cpu --size 33 "
            "--batch 1 --steps 1"
        )
    return listed.splitlines()[0]


def main() -> None:
    """Measures every network in every mode and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=513, help="side of the pictures")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=10, help="timed steps of one process")
    parser.add_argument("--peak", type=float, help="of the chip in bfloat16, 10^12 operations/s")
    parser.add_argument("--cpu", action="store_true", help="only try the script")
    parser.add_argument("--only", default="", help="leave out networks without this in their name")
    parser.add_argument("--measure", choices=(*_NETWORKS, _TORCHVISION), help=argparse.SUPPRESS)
    parser.add_argument("--bfloat16", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--xla", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        sizes = (given.size, given.batch, given.steps)
        json.dump(measure(given.measure, *sizes, given.bfloat16, given.xla), sys.stdout)
        return

    gpu = "CPU" if given.cpu else find_gpu(os.environ.get("KERAS_BACKEND", "tensorflow"))
    peak = given.peak or next((value for name, value in _PEAKS.items() if name in gpu), None)
    table = Table(box=box.SIMPLE_HEAD, title=gpu)
    for column in (
        "network",
        "dtype",
        "XLA",
        "training images/s",
        "of peak",
        "inference",
        "of peak",
    ):
        table.add_column(column)
    for network in (name for name in (*_NETWORKS, _TORCHVISION) if given.only in name):
        cost = operations(network, given.size)
        for modes in ([], ["--bfloat16"], ["--xla"], ["--bfloat16", "--xla"]):
            command = [
                *(sys.executable, "-m", "benchmarks.gpu", "--measure", network, *modes),
                *("--size", str(given.size), "--batch", str(given.batch)),
                *("--steps", str(given.steps)),
            ]
            done = subprocess.run(
                command, cwd=_REPOSITORY, stdout=subprocess.PIPE, text=True, check=True
            )
            found = json.loads(done.stdout.splitlines()[-1])

            def of_peak(job: str, passes: int, found=found, cost=cost) -> str:
                # The gradient costs two more passes.
                return f"{found[job] * cost * passes / peak / 1e12:.1%}" if peak else "–"

            table.add_row(
                network,
                "bfloat16" if "--bfloat16" in modes else "float32",
                "yes" if "--xla" in modes else "no",
                *(f"{found['training']:.2f}", of_peak("training", 3)),
                *(f"{found['inference']:.2f}", of_peak("inference", 1)),
            )
    Console().print(table)


if __name__ == "__main__":
    main()
