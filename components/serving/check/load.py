"""What a server is asked, all signatures of it, and what that costs: time, memory, its growth."""

import concurrent.futures
import dataclasses
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from components.dataset.decoding.image import decode_image
from components.dataset.limits import DEFAULT
from components.errors import ServingError
from components.serving import interface
from components.serving.check.options import ServingOptions
from components.serving.client import Client
from components.serving.protos import DataType
from components.serving.tensors import DTYPES

_WARM_UP = 3
"""Requests of one picture that are neither timed nor held against memory."""

_INITIALISATION = "__saved_model_init_op"
"""What every SavedModel lists as a signature, and no client asks for."""

Signatures = Mapping[str, Mapping[str, Any]]
"""As a server's metadata has them: JSON of `SignatureDef` by name."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What requests of one picture took, once the server was warm."""

    latency_seconds: float
    """The median."""
    memory_mb: float
    """The most that the process has taken since it started."""
    growth_mb: float


def ask_all(
    client: Client, defined: Signatures, pictures: Sequence[bytes], examples: Sequence[bytes]
) -> dict[str, dict[str, np.ndarray]]:
    """The answers of every signature to what it takes, by its name.

    Raises:
        ServingError: a signature takes what the check does not know, or answers otherwise than it
            says, or not one value for each that was sent; `AnswerError`: it fails.
    """
    asked = {name: s for name, s in defined.items() if name != _INITIALISATION}
    missing = {interface.SERVING, interface.EVALUATE} - asked.keys()
    if missing:
        raise ServingError(
            f"expected the signatures {interface.SERVING} and {interface.EVALUATE}; got "
            f"{', '.join(sorted(asked)) or 'none'}; to fix, see components/serving/signatures.py"
        )
    inputs = {n: _inputs(n, s["inputs"], pictures, examples) for n, s in asked.items()}
    # At once: a session prepares each signature at its first request, which takes seconds.
    with concurrent.futures.ThreadPoolExecutor(len(asked)) as pool:
        answers = dict(
            zip(
                asked, pool.map(lambda name: client.predict(inputs[name], name), asked), strict=True
            )
        )
    for name, signature in asked.items():
        batch = len(next(iter(inputs[name].values())))
        for output, info in signature["outputs"].items():
            _check_output(f"{name}.{output}", answers[name][output], info, batch)
    return answers


def _inputs(
    signature: str,
    wanted: Mapping[str, Mapping[str, Any]],
    pictures: Sequence[bytes],
    examples: Sequence[bytes],
) -> dict[str, np.ndarray | Sequence[bytes]]:
    """What a signature is sent: files, records, or a picture's pixels."""
    inputs: dict[str, np.ndarray | Sequence[bytes]] = {}
    for name, info in wanted.items():
        rank = len(info["tensor_shape"]["dim"])
        if name == interface.IMAGE_BYTES:
            inputs[name] = pictures
        elif name == interface.EXAMPLES:
            inputs[name] = examples
        elif info["dtype"] == "DT_UINT8" and rank == 4:
            # As a file is decoded: another decoder's pixels have other classes at borders.
            pixels = decode_image(pictures[0], DEFAULT).pixels.numpy()
            inputs[name] = np.stack([pixels, pixels])
        else:
            raise ServingError(
                f"expected inputs of {signature} that are picture files, records or pixels; got "
                f"{name}, {info['dtype']} of {rank} dimensions; to fix, teach the serving check "
                "what to send, in components/serving/check/load.py"
            )
    return inputs


def _check_output(name: str, array: np.ndarray, info: Mapping[str, Any], batch: int) -> None:
    """Refuses an output that is not what the signature says, or has no row for each input."""
    dtype = DTYPES[DataType.Value(info["dtype"])]
    dims = [int(dim["size"]) for dim in info["tensor_shape"]["dim"]]
    is_shape = info["tensor_shape"]["unknown_rank"] or (
        len(dims) == array.ndim
        and all(size in (-1, got) for size, got in zip(dims, array.shape, strict=True))
    )
    # A server's batching takes answers apart along the first dimension.
    if array.dtype != dtype or not is_shape or not array.ndim or len(array) != batch:
        raise ServingError(
            f"expected {name} as {dtype} of shape {dims} for {batch} inputs; got {array.dtype} of "
            f"shape {list(array.shape)}; to fix, see components/serving/signatures.py"
        )


def measure(client: Client, pid: int, picture: bytes, options: ServingOptions) -> Load:
    """What requests of one picture cost.

    Args:
        client: of the server.
        pid: of the server's process, on this machine.
        picture: sent again and again.
        options: how often, and the limits.

    Raises:
        ServingError: a limit is exceeded.
    """
    process, seconds = psutil.Process(pid), []
    for _ in range(_WARM_UP):
        client.segment([picture])
    before = process.memory_info().rss
    for _ in range(options.requests):
        start = time.perf_counter()
        client.segment([picture])
        seconds.append(time.perf_counter() - start)
    load = Load(
        latency_seconds=statistics.median(seconds),
        memory_mb=peak_bytes(pid) / 1e6,
        growth_mb=(process.memory_info().rss - before) / 1e6,
    )
    for name, what, got, unit in (
        ("max_latency_seconds", "an answer", load.latency_seconds, "s"),
        ("max_memory_mb", "memory", load.memory_mb, "MB"),
        ("max_growth_mb", "growth of memory", load.growth_mb, "MB"),
    ):
        limit = getattr(options, name)
        if got > limit:
            raise ServingError(
                f"expected {what} within {limit:g} {unit}, by serving.{name}, for a picture once "
                f"the server is warm; got {got:.3g} {unit}; to fix, see what the exported graph "
                "does, or raise that limit"
            )
    return load


def peak_bytes(pid: int) -> int:
    """The most memory that a process has had, which Linux keeps."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    raise ServingError(f"expected /proc to know the memory of process {pid}; got no VmHWM there")
