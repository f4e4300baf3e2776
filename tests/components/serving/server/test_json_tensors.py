"""JSON in TensorFlow Serving's two formats, and every way in which it can be wrong."""

import base64
import json
import random

import numpy as np
import pytest

from components.serving.protos import DataType, TensorInfo
from components.serving.server import json_tensors
from components.serving.server.statuses import Refusal


def inputs(**dtypes: str) -> dict[str, TensorInfo]:
    return {n: TensorInfo(dtype=DataType.Value(f"DT_{d}")) for n, d in dtypes.items()}


def read(document: dict, **dtypes: str) -> tuple[dict, bool]:
    return json_tensors.read_inputs(
        json_tensors.parse(json.dumps(document).encode()), inputs(**dtypes)
    )


def b64(data: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(data).decode()}


@pytest.mark.parametrize(
    "document",
    [
        {"instances": [b64(b"\0\xff"), "text"]},
        {"instances": [{"x": b64(b"\0\xff")}, {"x": "text"}]},
        {"inputs": [b64(b"\0\xff"), "text"]},
        {"inputs": {"x": [b64(b"\0\xff"), "text"]}},
    ],
)
def test_texts_and_bytes_in_all_forms(document):
    found, rows = read(document, x="STRING")
    assert found["x"].tolist() == [b"\0\xff", b"text"]
    assert rows == ("instances" in document)


def test_one_value_alone_is_a_scalar_in_columns():
    assert read({"inputs": b64(b"a")}, x="STRING")[0]["x"].tolist() == b"a"
    assert read({"inputs": {"x": 3, "y": [[1.5], [2]]}}, x="INT64", y="FLOAT")[0]["y"].shape == (
        2,
        1,
    )


def test_padding_and_line_breaks_of_base64_are_as_people_send_them():
    data = bytes(range(256))
    text = base64.encodebytes(data).decode()
    for sent in (text, text.strip("=\n"), text.replace("\n", "")):
        assert read({"inputs": [{"b64": sent}]}, x="STRING")[0]["x"][0] == data


@pytest.mark.parametrize(
    ("document", "dtypes", "message"),
    [
        ({}, {"x": "INT64"}, "Missing 'inputs' or 'instances' key"),
        ({"inputs": 1, "instances": [1]}, {"x": "INT64"}, "expecting only one of 'inputs' or"),
        ({"instances": 1}, {"x": "INT64"}, "Expecting 'instances' to be an list/array"),
        ({"instances": []}, {"x": "INT64"}, "No values in 'instances' array"),
        ({"instances": [1]}, {"x": "INT64", "y": "INT64"}, "instances is a plain list, but"),
        ({"inputs": [1]}, {"x": "INT64", "y": "INT64"}, "inputs is a plain value/list, but"),
        ({"inputs": {"x": 1}}, {"x": "INT64", "y": "INT64"}, "Missing named input: y"),
        ({"instances": [{"x": 1}, 2]}, {"x": "INT64"}, "Expecting object but got list at item 1"),
        ({"instances": [1, {"x": 1}]}, {"x": "INT64"}, "Expecting value/list but got object"),
        ({"instances": [{"x": 1, "z": 2}]}, {"x": "INT64"}, "keys must be equal to: x"),
        ({"inputs": [[1, 2], [3]]}, {"x": "INT64"}, "unexpected size: 1 at level: 1"),
        ({"inputs": [[1, 2], 3]}, {"x": "INT64"}, "found at incorrect level: 2"),
        ({"inputs": [1, [2]]}, {"x": "INT64"}, "Encountered list at unexpected level: 1"),
        ({"inputs": ["1"]}, {"x": "INT64"}, 'JSON Value: "1" is not of expected type: int64'),
        ({"inputs": [1.5]}, {"x": "INT64"}, "not of expected type: int64"),
        ({"inputs": [True]}, {"x": "INT64"}, "not of expected type: int64"),
        ({"inputs": [256]}, {"x": "UINT8"}, "not of expected type: uint8"),
        ({"inputs": [2**70]}, {"x": "INT64"}, "not of expected type: int64"),
        ({"inputs": [10**400]}, {"x": "FLOAT"}, "not of expected type: float"),
        ({"inputs": [None]}, {"x": "STRING"}, "not of expected type: string"),
        ({"inputs": [{"b64": "?"}]}, {"x": "STRING"}, "Unable to base64 decode"),
        ({"inputs": [{"b64": "abcde"}]}, {"x": "STRING"}, "Unable to base64 decode"),
        ({"inputs": [{"b64": "é"}]}, {"x": "STRING"}, "Unable to base64 decode"),
        ({"inputs": [{"b64": 1}]}, {"x": "STRING"}, "not formatted correctly for base64"),
        ({"inputs": [{"b64": "", "c": 1}]}, {"x": "STRING"}, "not formatted correctly for base64"),
        ({"inputs": [1]}, {"x": "BFLOAT16"}, "to type: bfloat16"),
        ({"signature_name": 3}, {"x": "INT64"}, "'signature_name' key must be a string"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(document, dtypes, message):
    with pytest.raises(Refusal) as caught:
        json_tensors.read_signature(document)
        read(document, **dtypes)
    assert message in caught.value.message and caught.value.http_status == 400


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b"[]", b"null", b"[" * 100_000, b'{"a":' * 100_000, b"9" * 9999],
)
def test_what_is_no_object_is_refused(body):
    with pytest.raises(Refusal, match="JSON") as caught:
        json_tensors.parse(body)
    assert len(caught.value.message) < 1000


def test_a_large_wrong_value_is_not_sent_back():
    with pytest.raises(Refusal) as caught:
        read({"inputs": [{"b64": "A" * 10**6, "and": 1}]}, x="STRING")
    assert len(caught.value.message) < 500


# === Answers ===


def test_rows_columns_bytes_and_single_outputs():
    outputs = {
        "b_bytes": np.array([b"\xff", b""], object),
        "a": np.array([b"text", b"\xff"], object),
        "n": np.array([[1, 2], [3, 4]]),
    }
    rows = json.loads(json_tensors.write_outputs(outputs, rows=True))
    assert rows == {
        "predictions": [
            {"a": "text", "b_bytes": {"b64": "/w=="}, "n": [1, 2]},
            {"a": "\ufffd", "b_bytes": {"b64": ""}, "n": [3, 4]},
        ]
    }
    columns = json.loads(json_tensors.write_outputs(outputs, rows=False))
    assert columns["outputs"]["n"] == [[1, 2], [3, 4]]
    one = {"n": np.array([1.5, np.inf], np.float32)}
    assert json_tensors.write_outputs(one, rows=True) == b'{"predictions": [1.5, Infinity]}'
    assert json_tensors.write_outputs(one, rows=False) == b'{"outputs": [1.5, Infinity]}'


def test_rows_that_are_none_are_refused():
    with pytest.raises(Refusal, match="Tensor name: b has inconsistent batch size: 3"):
        json_tensors.write_outputs({"a": np.ones(2), "b": np.ones(3)}, rows=True)
    with pytest.raises(Refusal, match="Tensor name: a has no shape"):
        json_tensors.write_outputs({"a": np.array(2)}, rows=True)


@pytest.mark.parametrize("seed", range(30))
def test_what_is_written_is_read_again(seed):
    chance = np.random.default_rng(seed)
    shape = tuple(chance.integers(1, 4, chance.integers(1, 4)))
    array = chance.integers(-100, 100, shape)
    texts = np.empty(shape, object)
    texts.ravel()[:] = [chance.bytes(chance.integers(0, 9)) for _ in range(texts.size)]
    for rows in (True, False):
        written = json.loads(json_tensors.write_outputs({"x": array, "t_bytes": texts}, rows=rows))
        key, value = written.popitem()
        found, _ = read(
            {{"predictions": "instances", "outputs": "inputs"}[key]: value},
            x="INT64", t_bytes="STRING",
        )  # fmt: skip
        np.testing.assert_array_equal(found["x"], array)
        np.testing.assert_array_equal(found["t_bytes"], texts)


@pytest.mark.parametrize("seed", range(20))
def test_garbage_is_refused_or_read_and_nothing_else(seed):
    chance = random.Random(seed)
    good = json.dumps({"signature_name": "s", "inputs": {"x": [[b64(b"abc")]], "y": [[1, 2]]}})
    for _ in range(200):
        body = bytearray(good.encode())
        for _ in range(chance.randint(1, 6)):
            place = chance.randrange(len(body))
            body[place : place + chance.randint(0, 3)] = chance.choice(
                (b"", b"[", b"]", b"{", b'"', b",", b"1e999", b"null", b"-", b"\xff", b"\\ud800")
            )
        try:
            document = json_tensors.parse(bytes(body))
            json_tensors.read_signature(document)
            json_tensors.read_inputs(document, inputs(x="STRING", y="FLOAT"))
        except Refusal as refusal:
            assert refusal.http_status == 400
            refusal.message.encode()
