"""Requests that come at once are joined to one run of the model, as TensorFlow Serving does it.

`batching_session.cc` and `basic_batch_scheduler.h` say how: along the first dimension, signature by
signature, up to `max_batch_size`, after `batch_timeout_micros` at the latest, filled up with the
first row of the last request to the next of `allowed_batch_sizes`. What fails, fails all that were
joined, and inputs of other shapes cannot be: a model for it answers each row by itself, and takes
files rather than pixels.
"""

import dataclasses
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import grpc
import numpy as np
from google.protobuf import text_format

from components.errors import ConfigError
from components.serving import protos
from components.serving.batching import FILE
from components.serving.server.loader import SavedModel
from components.serving.server.messages import BatchingParameters
from components.serving.server.statuses import Refusal, invalid

_MAX_BATCH_SIZE, _MAX_ENQUEUED_BATCHES = 1000, 10
"""TensorFlow Serving's own, where the parameters do not say."""

_Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Parameters:
    """How requests are joined."""

    max_batch_size: int = _MAX_BATCH_SIZE
    timeout_seconds: float = 0.0
    max_enqueued_batches: int = _MAX_ENQUEUED_BATCHES
    threads: int = 1
    """So many batches are computed at once."""
    allowed_batch_sizes: tuple[int, ...] = ()
    """A batch is filled up to the next of them; empty: to none."""

    def __post_init__(self):
        sizes = self.allowed_batch_sizes
        if list(sizes) != sorted(set(sizes)):
            raise invalid(
                "allowed_batch_sizes entries must be monotonically increasing; got "
                f"{', '.join(map(str, sizes))}"
            )
        if sizes and sizes[-1] != self.max_batch_size:
            raise invalid(
                "Last entry in allowed_batch_sizes must match max_batch_size; last entry was "
                f"{sizes[-1]}; expected {self.max_batch_size}"
            )


def read(path: str | os.PathLike, threads: int | None = None) -> Parameters:
    """Parameters in protobuf's text format.

    Args:
        path: of the file.
        threads: in place of the file's.

    Raises:
        ConfigError: there is no such file, it is none, or asks for what is not done here.
        Refusal: its sizes contradict each other.
    """
    try:
        found = text_format.Parse(Path(path).read_text(encoding="utf-8"), BatchingParameters())
    except (OSError, ValueError, text_format.ParseError) as error:
        raise ConfigError(
            f"expected BatchingParameters of TensorFlow Serving in {path}; got {error}; to fix, "
            "see its documentation"
        ) from error
    not_done = [
        name
        for name in ("enable_large_batch_splitting", "pad_variable_length_inputs")
        if getattr(getattr(found, name), "value", getattr(found, name))
    ]
    if not_done:
        raise ConfigError(
            f"expected batching without {' and '.join(not_done)}, which the stand-in does not do; "
            f"got it in {path}; to fix, leave it out"
        )
    given = {
        name: getattr(found, name).value
        for name in ("max_batch_size", "max_enqueued_batches")
        if found.HasField(name)
    }
    if threads is None:
        asked = found.num_batch_threads.value if found.HasField("num_batch_threads") else 0
        threads = asked or os.cpu_count() or 1
    return Parameters(
        **given,
        timeout_seconds=found.batch_timeout_micros.value / 1e6,
        threads=threads,
        allowed_batch_sizes=tuple(found.allowed_batch_sizes),
    )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Batching:
    """What the server's flags say."""

    parameters: Parameters
    per_model: bool
    """Whether each version's own file counts, and one without is not batched."""

    def of(self, model: SavedModel, folder: str) -> "SavedModel | Joined":
        """A loaded model as it is to be asked.

        Raises:
            Refusal: the version's own file is none, or contradicts itself.
        """
        if not self.per_model:
            return Joined(model, self.parameters)
        path = os.path.join(folder, FILE)
        if not os.path.exists(path):
            return model
        try:
            return Joined(model, read(path, self.parameters.threads))
        except ConfigError as error:
            raise invalid(str(error)) from error


class _Batch:
    """Requests that are computed together."""

    def __init__(self):
        self.requests: list[_Arrays] = []
        self.size = 0
        self.closed, self.done = threading.Event(), threading.Event()
        self.answers: list[dict[str, np.ndarray]] = []
        self.refusal: Refusal | None = None


class Joined:
    """A model whose requests are joined; used as a `SavedModel` is, by many threads.

    Attributes:
        signatures: those of the model.
    """

    def __init__(self, model: SavedModel, parameters: Parameters):
        self.signatures = model.signatures
        self._model, self._parameters = model, parameters
        self._lock = threading.Lock()
        self._threads = threading.Semaphore(parameters.threads)
        self._open: dict[int, _Batch] = {}
        self._waiting = 0

    def run(
        self, signature: protos.SignatureDef, inputs: _Arrays, outputs: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """As `SavedModel.run`; a request for some of the outputs alone is not joined.

        Raises:
            Refusal: TensorFlow fails, the inputs have no common first dimension, are more than a
                batch holds, or too many batches wait.
        """
        if set(outputs) != set(signature.outputs):
            return self._model.run(signature, inputs, outputs)
        sizes = {array.shape[:1] for array in inputs.values()}
        if len(sizes) != 1 or sizes == {()}:
            raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
        ((size,),) = sizes
        if size > self._parameters.max_batch_size:
            raise invalid(
                f"Task size {size} is larger than maximum input batch size "
                f"{self._parameters.max_batch_size}"
            )
        batch, place = self._join(id(signature), inputs, size)
        if place == 0:  # Whoever came first computes for all.
            self._compute(id(signature), batch, signature)
        batch.done.wait()
        if batch.refusal is not None:
            raise Refusal(batch.refusal.code, batch.refusal.message)
        return {name: batch.answers[place][name] for name in outputs}

    def _join(self, key: int, inputs: _Arrays, size: int) -> tuple[_Batch, int]:
        """The batch that a request goes into, and its place there."""
        largest = self._parameters.max_batch_size
        with self._lock:
            batch = self._open.get(key)
            if batch is None or batch.size + size > largest:
                if self._waiting >= self._parameters.max_enqueued_batches:
                    raise Refusal(
                        grpc.StatusCode.UNAVAILABLE,
                        "The batch scheduling queue to which this task was submitted is full; "
                        f"currently {self._waiting} batches",
                    )
                if batch is not None:
                    batch.closed.set()
                batch = self._open[key] = _Batch()
                self._waiting += 1
            batch.requests.append(inputs)
            batch.size += size
            if batch.size == largest:
                batch.closed.set()
                del self._open[key]
            return batch, len(batch.requests) - 1

    def _compute(self, key: int, batch: _Batch, signature: protos.SignatureDef) -> None:
        batch.closed.wait(self._parameters.timeout_seconds)
        try:
            with self._threads:
                with self._lock:
                    # While no thread was free, more may have come.
                    if self._open.get(key) is batch:
                        del self._open[key]
                    self._waiting -= 1
                batch.answers = self._answers(batch, signature)
        except Refusal as refusal:
            batch.refusal = refusal
        except BaseException as error:
            batch.refusal = Refusal(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")
            raise
        finally:
            batch.done.set()

    def _answers(self, batch: _Batch, signature: protos.SignatureDef) -> list[dict]:
        """The answer of each request of a batch."""
        sizes = [len(next(iter(request.values()))) for request in batch.requests]
        allowed = self._parameters.allowed_batch_sizes
        more = next((size for size in allowed if size >= batch.size), batch.size) - batch.size
        inputs = {
            name: _joined(name, [request[name] for request in batch.requests], more)
            for name in signature.inputs
        }
        found = self._model.run(signature, inputs, sorted(signature.outputs))
        for name, array in found.items():
            if array.shape[:1] != (batch.size + more,):
                raise Refusal(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    "Batched output tensor's 0th dimension does not equal the sum of the 0th "
                    f"dimension sizes of the input tensors: {name}",
                )
        ends = np.cumsum(sizes)
        return [
            {name: array[end - size : end] for name, array in found.items()}
            for size, end in zip(sizes, ends, strict=True)
        ]


def _joined(name: str, arrays: Sequence[np.ndarray], more: int) -> np.ndarray:
    """Along the first dimension, and the first row of the last again so many times."""
    if len({array.shape[1:] for array in arrays}) > 1:
        raise Refusal(
            grpc.StatusCode.FAILED_PRECONDITION,
            f"Tensors with name '{name}' from different tasks have different shapes and padding is "
            "turned off. Set pad_variable_length_inputs to true, or ensure that all tensors with "
            "the same name have equal dimensions starting with the first dim.",
        )
    if more:
        arrays = [*arrays, np.repeat(arrays[-1][:1], more, axis=0)]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
