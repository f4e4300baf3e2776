"""A server is warmed up by requests that it answers; what it would refuse is not pushed."""

import dataclasses

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from components.errors import AnswerError, ServingError
from components.serving import warm_up
from components.serving.server import predict
from components.serving.server.loader import SavedModel
from components.serving.server.statuses import Refusal
from components.storage import tfrecords

pytestmark = pytest.mark.slow

SIZES = (1, 2, 5)


@pytest.fixture(scope="module")
def records(examples) -> list[bytes]:
    return [example.serialize() for example in examples]


def save(folder, *signatures) -> str:
    """A model of functions with one input each, by the name of the signature and of the input."""
    module = tf.Module()
    functions = {}
    for name, key, spec, function in signatures:
        argument = tf.TensorSpec(spec.shape, spec.dtype, name=key)
        functions[name] = tf.function(function, input_signature=[argument])
    module.functions = functions
    tf.saved_model.save(module, str(folder), signatures=functions)
    return str(folder)


def replay(model: str, content: bytes) -> int:
    """By the loader and the checks of a server."""
    loaded = SavedModel(model)

    def ask(inputs, name):
        try:
            signature = predict.find_signature(loaded, name)
            if signature is None:
                raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, f"no signature {name!r}")
            return predict.run(loaded, signature, inputs)
        except Refusal as refusal:
            raise AnswerError(refusal.message) from refusal

    return warm_up.replay(ask, content)


BYTES, PIXELS = tf.TensorSpec([None], tf.string), tf.TensorSpec([None, None, None, 3], tf.uint8)


def logs(content: bytes, tmp_path) -> list[PredictionLog]:
    file = tmp_path / "requests"
    file.write_bytes(content)
    return [PredictionLog.FromString(record) for record in tfrecords.read(file)]


def written(tmp_path, *records: bytes) -> bytes:
    file = tmp_path / "written"
    with tfrecords.Writer(file) as writer:
        for record in records:
            writer.write(record)
    return file.read_bytes()


@pytest.mark.slow
def test_every_signature_is_asked_in_every_size_and_answers(exported_model, records, tmp_path):
    content = warm_up.requests(exported_model, records, SIZES)
    signatures = tf.saved_model.load(exported_model).signatures
    asked = {
        (log.predict_log.request.model_spec.signature_name, len(tf.make_ndarray(value)))
        for log in logs(content, tmp_path)
        for value in log.predict_log.request.inputs.values()
    }
    assert asked == {(name, size) for name in signatures for size in SIZES}
    assert replay(exported_model, content) == len(asked)
    # A step that is run again writes the same.
    assert warm_up.requests(exported_model, records, SIZES) == content


def test_pixels_are_of_one_size_that_the_input_takes(records, tmp_path):
    def mean(pixels):
        return {"mean": tf.reduce_mean(tf.cast(pixels, tf.float32), [1, 2, 3])}

    fixed = tf.TensorSpec([None, 33, None, 3], tf.uint8)
    model = save(tmp_path / "m", ("any", "a", PIXELS, mean), ("fixed", "b", fixed, mean))
    content = warm_up.requests(model, records, SIZES)
    shapes = [
        tf.make_ndarray(value).shape
        for log in logs(content, tmp_path)
        for value in log.predict_log.request.inputs.values()
    ]
    assert shapes == [(n, 40, 50, 3) for n in SIZES] + [(n, 33, 50, 3) for n in SIZES]
    assert replay(model, content) == 6


def test_an_input_that_nothing_is_known_for_is_said(records, tmp_path):
    spec = tf.TensorSpec([None, 2], tf.float32)
    model = save(tmp_path / "m", ("strange", "x", spec, lambda x: {"y": x}))
    with pytest.raises(ServingError, match="got strange: x, float32 of rank 2; to fix, teach"):
        warm_up.requests(model, records, SIZES)


@pytest.mark.parametrize("kind", ["fails", "one answer", "scalar"])
def test_a_signature_that_answers_a_warm_up_wrongly_is_refused(records, tmp_path, kind):
    def function(files):
        if kind == "fails":
            return {"length": tf.strings.to_number(files)}
        lengths = tf.strings.length(files)
        return {"length": lengths[:1] if kind == "one answer" else tf.reduce_sum(lengths)}

    model = save(tmp_path / "m", ("wrong", "files", BYTES, function))
    content = warm_up.requests(model, records, SIZES)
    number = 2 if kind == "one answer" else 1
    with pytest.raises(ServingError, match=f"in request {number} of the warm-up, or a server"):
        replay(model, content)


@pytest.fixture
def length(tmp_path) -> str:
    return save(
        tmp_path / "m", ("length", "files", BYTES, lambda f: {"length": tf.strings.length(f)})
    )


def request(signature="length", key="files", value=(b"a",)) -> PredictionLog:
    log = PredictionLog()
    log.predict_log.request.model_spec.signature_name = signature
    log.predict_log.request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return log


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (request("other"), "an answer of other.*got no signature 'other'"),
        (request(key="pictures"), "an answer of length.*got input size does not match"),
        (request(value=np.array([1.0])), "an answer of length.*got"),
        (request(value=np.array([[b"a"]], object)), "an answer of length.*got"),
        (PredictionLog(), "a predict_log.*got nothing"),
        (PredictionLog(session_run_log={}), "a predict_log.*got session_run_log"),
    ],
)
def test_a_request_that_a_server_refuses_is_refused_by_its_number(length, tmp_path, log, message):
    good = request().SerializeToString()
    content = written(tmp_path, good, good, log.SerializeToString(), good)
    with pytest.raises(ServingError, match=rf"(?s)expected {message}.*; to fix") as caught:
        replay(length, content)
    assert "in request 3 of the warm-up" in str(caught.value)


def test_a_server_reads_a_thousand_and_no_more(length, records, tmp_path):
    good = request().SerializeToString()
    assert replay(length, written(tmp_path, *[good] * 1000)) == 1000
    with pytest.raises(ServingError, match="at most 1000 requests in request 1001"):
        replay(length, written(tmp_path, *[good] * 1001))
    with pytest.raises(ServingError, match=r"one for each of 1 signature .*got 1001; to fix, give"):
        warm_up.requests(length, records, range(1, 1002))


@pytest.mark.parametrize("place", range(10))
def test_a_file_that_was_damaged_anywhere_is_refused(length, records, place):
    content = bytearray(warm_up.requests(length, records, SIZES))
    content[place * len(content) // 10] ^= 0xFF
    with pytest.raises(ServingError, match=r"expected TFRecords of PredictionLog.*to fix"):
        replay(length, bytes(content))


def test_the_file_stays_small(length, examples):
    large = dataclasses.replace(examples[0], image=b"x" * 2**20).serialize()
    with pytest.raises(ServingError, match=r"expected at most 67,108,864 bytes.*to fix"):
        warm_up.requests(length, [large], (8, 64))


def test_the_smallest_pictures_that_decode_are_taken(examples, records):
    broken = dataclasses.replace(examples[0], image=b"no picture").serialize()
    assert len(broken) < min(map(len, records))
    for count in (1, 2, 3, 9):
        found = warm_up.smallest([*records, broken], count)
        assert found == sorted(records, key=len)[:count]
    for nothing in ([], [broken]):
        with pytest.raises(ServingError, match=r"expected pictures that decode .*to fix"):
            warm_up.smallest(nothing, 2)
