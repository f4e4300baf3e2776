"""The stand-in over real sockets: both interfaces, every refusal, and garbage of any kind."""

import concurrent.futures
import gzip
import itertools
import json
import random
import time
import urllib.error
import urllib.request

import grpc
import numpy as np
import psutil
import pytest

from components.serving import protos, tensors
from components.serving.server import predict
from tests.components.serving.server.conftest import say, stand_in
from tests.mutations import FACTOR

pytestmark = pytest.mark.slow

PREDICTION, MODEL = protos.services()


def rest(server, path: str, body: object = None, **options) -> tuple[int, dict]:
    """Status and JSON of a path below /v1/models."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{server.rest_address}/v1/models{path}", data, **options)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def stub(server, kind=PREDICTION.PredictionServiceStub):
    return kind(grpc.insecure_channel(f"{server.host}:{server.port}"))


def request(*texts: bytes, **spec) -> protos.PredictRequest:
    message = protos.PredictRequest()
    message.model_spec.MergeFrom(protos.ModelSpec(**{"name": "m"} | spec))
    message.inputs["image_bytes"].CopyFrom(tensors.to_proto(tensors.strings(texts)))
    return message


# === What is answered ===


def test_rest_rows_and_columns(server):
    rows = rest(server, "/m:predict", {"instances": [{"b64": "AP8="}, "bad"]})
    assert rows == (
        200,
        {
            "predictions": [
                {"error": "", "mask_bytes": {"b64": "AP8A/w=="}, "size": 4.0},
                {
                    "error": "expected something else",
                    "mask_bytes": {"b64": "YmFkYmFk"},
                    "size": 6.0,
                },
            ]
        },
    )
    columns = rest(
        server, "/m/versions/7:predict",
        {"signature_name": "scale", "inputs": {"x": [[1, 2]], "y": 3}},
    )  # fmt: skip
    assert columns == (200, {"outputs": [[5.0, 7.0]]})


def test_rest_status_and_metadata(server):
    status = {"error_code": "OK", "error_message": ""}
    version = {"version": "7", "state": "AVAILABLE", "status": status}
    assert rest(server, "/m") == rest(server, "/m/versions/7")
    assert rest(server, "/m") == (200, {"model_version_status": [version]})
    code, found = rest(server, "/m/metadata")
    assert code == 200 and found["model_spec"]["version"] == "7"
    signature = found["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["image_bytes"]["dtype"] == "DT_STRING"
    assert signature["inputs"]["image_bytes"]["tensor_shape"]["dim"][0]["size"] == "-1"


def test_rest_takes_compressed_bodies(server):
    body = gzip.compress(json.dumps({"instances": ["x"]}).encode())
    headers = {"Content-Encoding": "gzip"}
    assert rest(server, "/m:predict", body, headers=headers)[0] == 200
    for wrong in (b"x", body[:-3], gzip.compress(b" " * (101 << 20))):
        code, found = rest(server, "/m:predict", wrong, headers=headers)
        assert code in (400, 413) and "expected" in found["error"]


def test_grpc_predict_filter_metadata_and_status(server):
    answer = stub(server).Predict(request(b"ab", b"\0", version={"value": 7}))
    assert answer.model_spec.version.value == 7
    assert answer.model_spec.signature_name == "serving_default"
    assert tensors.to_array(answer.outputs["mask_bytes"], 99).tolist() == [b"abab", b"\0\0"]
    one = request(b"ab")
    one.output_filter.append("size")
    assert stub(server).Predict(one).outputs.keys() == {"size"}
    message = protos.GetModelMetadataRequest(
        model_spec=protos.ModelSpec(name="m"), metadata_field=["signature_def"]
    )
    found = protos.SignatureDefMap()
    assert stub(server).GetModelMetadata(message).metadata["signature_def"].Unpack(found)
    assert {"serving_default", "scale"} <= found.signature_def.keys()
    states = stub(server, MODEL.ModelServiceStub).GetModelStatus(
        protos.GetModelStatusRequest(model_spec=protos.ModelSpec(name="m"))
    )
    assert [(v.version, v.state) for v in states.model_version_status] == [(7, 30)]


def test_answers_of_more_than_four_mebibytes(server):
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    channel = grpc.insecure_channel(f"{server.host}:{server.port}", options)
    answer = PREDICTION.PredictionServiceStub(channel).Predict(request(b"x" * 30_000_000))
    assert len(answer.outputs["mask_bytes"].string_val[0]) == 60_000_000


# === What is refused ===


@pytest.mark.parametrize(
    ("path", "body", "code", "message"),
    [
        ("/x:predict", {"instances": [1]}, 404, "Servable not found for request: Latest(x)"),
        ("/m/versions/9:predict", {"instances": [1]}, 404, "request: Specific(m, 9)"),
        ("/m/versions/99999999999999999999", None, 400, "Failed to convert version"),
        ("/m/versions/9", None, 404, "Could not find version 9 of model m"),
        ("/x", None, 404, "Could not find any versions of model x"),
        ("/m/labels/new:predict", {}, 400, "Unrecognized servable version label: new"),
        ("", None, 400, "Missing model name in request."),
        ("/m:predict", None, 400, "Malformed request: GET"),
        ("/m", {}, 400, "Malformed request: POST /v1/models/m"),
        ("/m:classify", {}, 400, "Expected a signature for classify"),
        ("/m/nowhere", None, 404, "Not found"),
        ("/m:predict", {"signature_name": "s"}, 400, 'Serving signature name: "s" not found'),
        ("/m:predict", {"inputs": {"x": ["a"]}}, 400, "Missing named input: image_bytes"),
        ("/m:predict", {"instances": [["a"]]}, 400, "shape [-1]; got [1, 1]"),
        ("/m:predict", b"\xff", 400, "JSON Parse error"),
        ("/m:predict", {"signature_name": "scale", "inputs": {"x": [[1]], "y": 1}}, 400, "[-1, 2]"),
        (
            "/m:predict",
            {"signature_name": "__saved_model_init_op", "inputs": []},
            400,
            "Failed to get input map for signature",
        ),
    ],
)
def test_rest_refuses_in_tensorflow_servings_way(server, path, body, code, message):
    found, answer = rest(server, path, body)
    assert (found, answer.keys()) == (code, {"error"})
    assert message in answer["error"]


@pytest.mark.parametrize(
    ("message", "code", "details"),
    [
        (protos.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (request(b"", name=""), "INVALID_ARGUMENT", "ModelSpec has no name"),
        (request(b"", name="x"), "NOT_FOUND", "Latest(x)"),
        (request(b"", version={"value": 9}), "NOT_FOUND", "Specific(m, 9)"),
        (request(b"", version_label="new"), "INVALID_ARGUMENT", "version label: new"),
        (request(b"", signature_name="s"), "FAILED_PRECONDITION", 'key "s" not found.'),
        (request(b"", signature_name="scale"), "INVALID_ARGUMENT", "required: {x,y}"),
    ],
)
def test_grpc_refuses_in_tensorflow_servings_way(server, message, code, details):
    with pytest.raises(grpc.RpcError) as caught:
        stub(server).Predict(message)
    assert caught.value.code().name == code and details in caught.value.details()


def test_a_tensor_of_another_type_or_shape_and_a_wrong_filter(server):
    numbers = request()
    numbers.inputs["image_bytes"].CopyFrom(tensors.to_proto(np.ones(2)))
    large = request()
    large.inputs["image_bytes"].tensor_shape.dim[0].size = 2**40
    unknown, twice = request(b"a"), request(b"a")
    unknown.output_filter.append("x")
    twice.output_filter.extend(["size", "size"])
    for message, details in (
        (numbers, "of type DT_STRING; got float64"),
        (large, "too large"),
        (unknown, "output tensor alias not found in signature: x"),
        (twice, "duplicate output tensor alias: size"),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            stub(server).Predict(message)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert details in caught.value.details()


# === Garbage ===

HEAD = b"POST /v1/models/m:predict HTTP/1.1\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\0\xff\r\n\r\n", b"400"),
        (b"GET\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"505"),
        (b"BREW /v1/models/m HTTP/1.1\r\n\r\n", b"501"),
        (b"PUT /v1/models/m HTTP/1.1\r\nConnection: close\r\n\r\n", b"400"),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", b"431"),
        (HEAD + b"Content-Length: -5\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: 1e3\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: %d\r\n\r\n" % (predict.MAX_BYTES + 1), b"413"),
        (HEAD + b"Content-Length: 100\r\n\r\nshort", b"400"),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n", b"400"),
        (HEAD + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: 2\r\n" + CHUNKED.removeprefix(HEAD) + b"0\r\n\r\n", b"400"),
        (CHUNKED, b"400"),
        (CHUNKED + b"2\r\n{}\r\n", b"400"),
        (CHUNKED + b"2\r\n{}\r\n0\r\n", b"400"),
        (CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n", b"400"),
        (CHUNKED + b"2\r\n{}}\r\n0\r\n\r\n", b"400"),
        (CHUNKED + b"9\r\n{}\r\n0\r\n\r\n", b"400"),
        (CHUNKED + b"0\r\n" + b"a: b\r\n" * 200 + b"\r\n", b"400"),
        (CHUNKED + b"1\r\n{\r\n%x\r\n" % predict.MAX_BYTES, b"413"),
        (HEAD + b"Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx", b"400"),
        (b"GET /v1/models/%ff%00%zz HTTP/1.1\r\nConnection: close\r\n\r\n", b"404"),
        (b"OPTIONS /v1/models/m HTTP/1.1\r\nConnection: close\r\n\r\n", b"400"),
    ],
)  # fmt: skip
def test_what_is_no_request_gets_an_error_as_json(server, data, status):
    head, _, body = say(server, data).partition(b"\r\n\r\n")
    assert head.split()[1] == status, head
    assert json.loads(body).keys() == {"error"}


def test_one_connection_carries_many_requests(server):
    one = HEAD + b"Content-Length: 20\r\n\r\n" + json.dumps({"instances": ["x"]}).encode()
    last = HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}"
    answer = say(server, one * 3 + last)
    assert answer.count(b"HTTP/1.1 200") == 3 and answer.count(b"HTTP/1.1 400") == 1


@pytest.mark.parametrize("seed", range(8))
def test_a_body_in_chunks_is_the_whole_body(server, seed):
    chance = random.Random(seed)
    body = json.dumps({"instances": ["x" * chance.randint(1, 300)]}).encode()
    whole = say(
        server, HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )
    cuts = sorted({0, len(body), *(chance.randrange(1, len(body)) for _ in range(seed))})
    chunks = b"".join(
        b"%x%s\r\n%s\r\n" % (end - start, chance.choice((b"", b";name=value")), body[start:end])
        for start, end in itertools.pairwise(cuts)
    )
    sent = CHUNKED + chunks + chance.choice((b"0\r\n\r\n", b"00\r\nLater: header\r\n\r\n"))
    last = HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}"
    answer = say(server, sent * 2 + last)
    assert answer.count(b"HTTP/1.1 200") == 2 and answer.count(b"HTTP/1.1 400") == 1
    assert answer.count(whole.partition(b"\r\n\r\n")[2]) == 2


def test_any_bytes_are_survived_on_both_ports(server):
    chance = random.Random(11)
    process = psutil.Process(server.process.pid)
    good = HEAD + b"Connection: close\r\nContent-Length: 20\r\n\r\n" + b'{"instances": ["x"]}'
    message = request(b"abc").SerializeToString()
    channel = grpc.insecure_channel(f"{server.host}:{server.port}")
    raw = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")

    def mutated(data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(chance.randint(1, 8)):
            place = chance.randrange(len(changed))
            changed[place : place + chance.randint(0, 4)] = chance.randbytes(chance.randint(0, 4))
        return bytes(changed)

    def round_(times: int) -> None:
        for _ in range(times):
            say(server, mutated(good))
            try:
                protos.PredictResponse.FromString(raw(mutated(message), timeout=30))
            except grpc.RpcError as error:
                assert error.code() != grpc.StatusCode.DEADLINE_EXCEEDED

    round_(100)
    before = process.memory_info().rss
    round_(500 * FACTOR - 100)
    assert process.memory_info().rss - before < 50e6
    assert rest(server, "/m:predict", {"instances": ["x"]})[0] == 200


def test_nothing_is_kept_of_what_is_no_message(server):
    process = psutil.Process(server.process.pid)
    with grpc.insecure_channel(f"{server.host}:{server.port}") as channel:
        raw = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")

        def ask(times: int) -> int:
            for _ in range(times):
                with pytest.raises(grpc.RpcError) as caught:
                    raw(b"\xff\xff\xff\xff", timeout=30)
                assert caught.value.code() == grpc.StatusCode.INTERNAL
            return process.memory_info().rss

        before = ask(100)
        # gRPC itself would keep 16 KB of each that it cannot parse.
        assert ask(1000) - before < 4e6


# === How it ends ===


def test_many_at_once_and_the_end_answers_who_asked_before(doubling, tmp_path):
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "1").symlink_to(doubling)
    with stand_in(tmp_path / "served") as server:
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            texts = [b"%d" % number * 100_000 for number in range(64)]
            asked = [pool.submit(stub(server).Predict.future, request(t)) for t in texts]
            calls = [future.result() for future in asked]
            while not any(call.done() for call in calls):
                time.sleep(0.01)
            server.process.terminate()
            for text, call in zip(texts, calls, strict=True):
                if call.exception() is None:
                    assert call.result().outputs["mask_bytes"].string_val[0] == 2 * text
                else:
                    assert call.code() == grpc.StatusCode.UNAVAILABLE
        assert server.process.wait(30) == 0


def test_it_ends_when_the_one_who_started_it_does(server):
    server.process.stdin.close()
    assert server.process.wait(30) == 0
