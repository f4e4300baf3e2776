"""The requests that a server answers itself when it loads a version, before anybody's first.

Without them the first request of every size pays for what TensorFlow does once: seconds on a CPU,
more on a GPU. A server refuses a version for a single request that fails, or for record 1,001; so
each is tried by the serving check before the version is pushed.
"""

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from components import texts
from components.dataset import records
from components.dataset.decoding.image import decode_image
from components.dataset.limits import DEFAULT
from components.errors import AnswerError, ServingError
from components.storage import paths, tfrecords

FILE = "tf_serving_warmup_requests"
"""Its name in `assets.extra`."""
MAX_RECORDS = 1000
"""TensorFlow Serving's, see `saved_model_warmup_util.h`."""
MAX_BYTES = 64 * 2**20
"""Of the file: it lies in every version, and a server reads all of it before it answers."""

_PIXELS = 64
"""The sides of a picture that is sent as pixels: all are brought to one size, and few bytes do."""

Ask = Callable[[Mapping[str, np.ndarray], str], Mapping[str, np.ndarray]]
_Signatures = dict[str, meta_graph_pb2.SignatureDef]


def requests(model: str, examples: Sequence[bytes], batch_sizes: Sequence[int]) -> bytes:
    """A file of requests to every signature of a model, in every batch size.

    What an input takes is told by its type: an Example where its name is `examples`, otherwise a
    picture file, or, where it takes numbers, the pixels of one.

    Args:
        model: folder of the SavedModel, here or in a store.
        examples: serialized records, at least one; they take turns.
        batch_sizes: as many pictures at once.

    Returns:
        TFRecords of `PredictionLog`.

    Raises:
        ServingError: a signature takes something else, or it would be too many or too large.
    """
    signatures = _served_signatures(model)
    count = len(signatures) * len(batch_sizes)
    if count > MAX_RECORDS:
        raise ServingError(
            f"expected at most {MAX_RECORDS} requests to warm a server up, one for each of "
            f"{texts.counted(len(signatures), 'signature')} and each size; got {count}; to fix, "
            "give fewer push.batch_sizes"
        )
    content, total = [], 0
    for (name, signature), size in itertools.product(sorted(signatures.items()), batch_sizes):
        log = prediction_log_pb2.PredictionLog()
        request = log.predict_log.request
        request.model_spec.signature_name = name
        for key, tensor in sorted(signature.inputs.items()):
            values = _values(f"{name}: {key}", key, tensor, examples, size)
            request.inputs[key].CopyFrom(tf.make_tensor_proto(values))
        content.append(log.SerializeToString(deterministic=True))
        total += len(content[-1])
        if total > MAX_BYTES:
            raise ServingError(
                f"expected at most {MAX_BYTES:,} bytes of requests to warm a server up; got more; "
                "to fix, give smaller push.batch_sizes, or smaller pictures by data.max_bytes"
            )
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, FILE)
        with tfrecords.Writer(file) as writer:
            for record in content:
                writer.write(record)
        return paths.read_bytes(file)


def replay(ask: Ask, content: bytes) -> int:
    """Sends a server every request of a file, as it would answer them when it loads the model.

    Args:
        ask: what a signature answers to inputs, such as `components.serving.client.Client.predict`.
        content: of the file.

    Returns:
        How many requests were answered.

    Raises:
        ServingError: the file is none that a server takes, or a request is answered by an error or
            by outputs of another batch; the first one is named.
    """
    count = 0
    for record in _parsed(content):
        count += 1
        if count > MAX_RECORDS:
            raise _refused(count, f"at most {MAX_RECORDS} requests", "more")
        _answer(ask, count, record)
    return count


def smallest(examples: Sequence[bytes], count: int) -> list[bytes]:
    """The records of the smallest pictures: all are brought to one size, so these warm as well.

    Those whose picture does not decode, which a data gate may be told to accept, would warm up
    nothing and are passed over.

    Args:
        examples: serialized records.
        count: how many at most.

    Raises:
        ServingError: there is none.
    """
    fit = (e for e in sorted(examples, key=len) if not decode_image(_picture(e), DEFAULT).problem)
    found = list(itertools.islice(fit, count))
    if not found:
        raise ServingError(
            "expected pictures that decode to warm a server up; got none in "
            f"{texts.counted(len(examples), 'record')}; to fix, give others, or warm nothing up "
            "with push.warm_up_records=0"
        )
    return found


def _served_signatures(model: str) -> _Signatures:
    saved = saved_model_pb2.SavedModel.FromString(
        paths.read_bytes(paths.join(model, "saved_model.pb"))
    )
    (graph,) = (g for g in saved.meta_graphs if tf.saved_model.SERVING in g.meta_info_def.tags)
    # What initializes a model is written as a signature too; nobody can send it a request.
    return {name: s for name, s in graph.signature_def.items() if s.inputs and s.outputs}


def _values(
    place: str,
    key: str,
    tensor: meta_graph_pb2.TensorInfo,
    examples: Sequence[bytes],
    size: int,
) -> np.ndarray:
    """A batch for one input."""
    turn = list(itertools.islice(itertools.cycle(examples), size))
    dtype, rank = tf.as_dtype(tensor.dtype), len(tensor.tensor_shape.dim)
    if dtype == tf.string and rank == 1:
        return np.array(turn if key == "examples" else [_picture(e) for e in turn], object)
    if dtype == tf.uint8 and rank == 4:
        # Of one size, as the input demands.
        pixels = decode_image(_picture(turn[0]), DEFAULT).pixels.numpy()[:_PIXELS, :_PIXELS]
        sides = [dim.size if dim.size > 0 else None for dim in tensor.tensor_shape.dim[1:3]]
        height, width = (want or got for want, got in zip(sides, pixels.shape[:2], strict=True))
        return np.resize(pixels, [1, height, width, 3]).repeat(size, 0)
    raise ServingError(
        f"expected inputs of picture files, records or pixels, string [B] or uint8 [B, H, W, 3]; "
        f"got {place}, {dtype.name} of rank {rank}; to fix, teach it to "
        "components/serving/warm_up.py, or warm nothing up with push.warm_up_records=0"
    )


def _picture(example: bytes) -> bytes:
    features = tf.train.Example.FromString(example).features.feature
    return features[records.IMAGE].bytes_list.value[0]


def _parsed(content: bytes) -> Iterator[prediction_log_pb2.PredictionLog]:
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, FILE)
        paths.write_bytes(file, content)
        try:
            for record in tfrecords.read(file):
                yield prediction_log_pb2.PredictionLog.FromString(record)
        except (tfrecords.TFRecordError, DecodeError) as error:
            raise ServingError(
                f"expected TFRecords of PredictionLog to warm a server up; got {error}; to fix, "
                "push the model again"
            ) from error


def _answer(ask: Ask, number: int, log: prediction_log_pb2.PredictionLog) -> None:
    if log.WhichOneof("log_type") != "predict_log":
        raise _refused(number, "a predict_log", log.WhichOneof("log_type") or "nothing")
    request = log.predict_log.request
    name = request.model_spec.signature_name
    try:
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        answer = ask(inputs, name)
    except (AnswerError, TypeError, ValueError) as error:
        raise _refused(number, f"an answer of {name}", str(error)) from error
    batch = {value.shape[:1] for value in inputs.values()}
    for key, value in answer.items():
        # Servers cut a batch of several requests apart along it.
        if {value.shape[:1]} != batch:
            raise _refused(number, f"{key} of {name} for each of {batch}", f"{value.shape}")


def _refused(number: int, expected: str, got: str) -> ServingError:
    return ServingError(
        f"expected {expected} in request {number} of the warm-up, or a server refuses the version; "
        f"got {got}; to fix, mend the signature, or warm nothing up with push.warm_up_records=0"
    )
