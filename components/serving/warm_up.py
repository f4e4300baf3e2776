"""The requests that a server answers itself when it loads a version, before anybody's first.

Without them the first request of every size pays for what TensorFlow does once: seconds on a CPU,
more on a GPU. A server refuses a version for a single request that fails, or for record 1,001; so
each is tried here against its signature before the version is pushed.
"""

import concurrent.futures
import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from components import texts
from components.dataset import records
from components.dataset.decoding.image import decode_image
from components.dataset.limits import DEFAULT
from components.errors import ServingError
from components.storage import paths, tfrecords

FILE = "tf_serving_warmup_requests"
"""Its name in `assets.extra`."""
MAX_RECORDS = 1000
"""TensorFlow Serving's, see `saved_model_warmup_util.h`."""
MAX_BYTES = 64 * 2**20
"""Of the file: it lies in every version, and a server reads all of it before it answers."""

_PIXELS = 64
"""The sides of a picture that is sent as pixels: all are brought to one size, and few bytes do."""

_Signatures = dict[str, meta_graph_pb2.SignatureDef]
_Numbered = tuple[int, prediction_log_pb2.PredictionLog]
"""A request, and its place in the file, from 1 on."""


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


def replay(model: str, content: bytes) -> int:
    """Sends a model every request of a file, as a server does when it loads it.

    Args:
        model: folder of the SavedModel, here or in a store.
        content: of the file.

    Returns:
        How many requests were answered.

    Raises:
        ServingError: the file is none that a server takes, or a request is answered by an error or
            by outputs of another batch; the first one is named.
    """
    by_signature: dict[str, list[_Numbered]] = {}
    count = 0
    for record in _parsed(content):
        count += 1
        if count > MAX_RECORDS:
            raise _refused(count, f"at most {MAX_RECORDS} requests", "more")
        name = record.predict_log.request.model_spec.signature_name
        by_signature.setdefault(name, []).append((count, record))
    with _loaded(model) as (session, signatures):
        # At once: a session prepares each signature at its first request, which takes seconds.
        with concurrent.futures.ThreadPoolExecutor() as pool:
            refusals = pool.map(
                lambda requests: _first_refusal(session, signatures, requests),
                by_signature.values(),
            )
            first = min(filter(None, refusals), default=None, key=lambda refusal: refusal[0])
    if first is not None:
        raise first[1]
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


@contextlib.contextmanager
def _loaded(model: str) -> Iterator[tuple[tf.compat.v1.Session, _Signatures]]:
    """A session as a server's: its loader restores variables by running the graph."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], model)
        yield session, dict(graph.signature_def)


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


def _first_refusal(
    session: tf.compat.v1.Session, signatures: _Signatures, requests: Sequence[_Numbered]
) -> tuple[int, ServingError] | None:
    """The number of the first request that is not answered, and why; None where all are."""
    for number, log in requests:
        try:
            _answer(session, signatures, number, log)
        except ServingError as error:
            return number, error
    return None


def _answer(
    session: tf.compat.v1.Session,
    signatures: _Signatures,
    number: int,
    log: prediction_log_pb2.PredictionLog,
) -> None:
    if log.WhichOneof("log_type") != "predict_log":
        raise _refused(number, "a predict_log", log.WhichOneof("log_type") or "nothing")
    request = log.predict_log.request
    name = request.model_spec.signature_name
    signature = signatures.get(name)
    if signature is None:
        raise _refused(number, f"a signature of {', '.join(sorted(signatures))}", repr(name))
    if signature.inputs.keys() != request.inputs.keys():
        wanted = ", ".join(sorted(signature.inputs))
        raise _refused(number, f"inputs {wanted} to {name}", ", ".join(request.inputs) or "none")
    try:
        fed = {
            signature.inputs[key].name: tf.make_ndarray(value)
            for key, value in request.inputs.items()
        }
        answer = session.run({key: info.name for key, info in signature.outputs.items()}, fed)
    except (tf.errors.OpError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise _refused(number, f"an answer of {name}", reason) from error
    sizes = {len(value) for value in fed.values()}
    for key, value in answer.items():
        # Servers cut a batch of several requests apart along it.
        if {value.shape[:1]} != {(size,) for size in sizes}:
            raise _refused(number, f"{key} of {name} for each of {sizes}", f"{value.shape}")


def _refused(number: int, expected: str, got: str) -> ServingError:
    return ServingError(
        f"expected {expected} in request {number} of the warm-up, or a server refuses the version; "
        f"got {got}; to fix, mend the signature, or warm nothing up with push.warm_up_records=0"
    )
