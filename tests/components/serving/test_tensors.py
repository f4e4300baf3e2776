"""Tensor messages from anybody: those of TensorFlow itself, and what is none."""

import random

import numpy as np
import pytest
import tensorflow as tf

from components.serving import tensors
from components.serving.protos import DataType, TensorProto
from components.serving.tensors import DTYPES

LIMIT = 1000


def filled(dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    array = np.empty(shape, dtype)
    array[...] = b"\0ab\xff" if dtype.kind == "O" else 1
    return array


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0), (2, 3)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_they_are_those_of_tensorflow(dtype, shape):
    array = filled(dtype, shape)
    ours = tensors.to_proto(array).SerializeToString()
    kind = tf.string if dtype.kind == "O" else tf.as_dtype(dtype)
    np.testing.assert_array_equal(tf.io.parse_tensor(ours, kind).numpy(), array)
    # One of TensorFlow's own may hold the values by themselves, or one for all of them.
    for theirs in (tf.make_tensor_proto(array, kind), tf.make_tensor_proto(array.tolist(), kind)):
        found = tensors.to_array(TensorProto.FromString(theirs.SerializeToString()), LIMIT)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found.ravel(), array.ravel())


def proto(dtype: str, *dims: int, **fields) -> TensorProto:
    message = TensorProto(dtype=DataType.Value(f"DT_{dtype}"), **fields)
    for size in dims:
        message.tensor_shape.dim.add(size=size)
    return message


def test_the_last_value_stands_for_all_that_follow():
    assert tensors.to_array(proto("INT32", 4, int_val=[1, 2]), LIMIT).tolist() == [1, 2, 2, 2]
    assert tensors.to_array(proto("FLOAT", 2), LIMIT).tolist() == [0, 0]
    assert tensors.to_array(proto("STRING", 2), LIMIT).tolist() == [b"", b""]


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (proto("INVALID", 1), "type DT_INVALID is not supported"),
        (proto("RESOURCE", 1), "type DT_RESOURCE is not supported"),
        (TensorProto(dtype=99999), "type 99999 is not supported"),
        (proto("FLOAT", -1), "no known shape"),
        (proto("FLOAT", 10**6), "too large"),
        (proto("FLOAT", 2**62, 2**62), "too large"),
        (proto("FLOAT", 2**62, 0), "too large"),
        (proto("STRING", 10**6), "too large"),
        (proto("FLOAT", *[1] * 33), "too large"),
        (proto("FLOAT", 2, tensor_content=b"1234567"), "has 7 bytes"),
        (proto("FLOAT", 1, float_val=[1, 2]), "has 2 values"),
        (proto("UINT8", 1, int_val=[256]), "values beyond uint8"),
        (proto("HALF", 1, half_val=[70000]), "more than 16 bits"),
    ],
)
def test_what_is_none_is_refused_before_it_takes_memory(message, fault):
    with pytest.raises(ValueError, match=fault):
        tensors.to_array(message, LIMIT)


@pytest.mark.parametrize("seed", range(20))
def test_any_bytes_that_are_a_message_are_read_or_refused(seed):
    chance = random.Random(seed)
    good = tensors.to_proto(filled(chance.choice(list(DTYPES.values())), (2, 3)))
    for _ in range(300):
        data = bytearray(good.SerializeToString())
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            message = TensorProto.FromString(bytes(data))
        except Exception:  # protobuf's own words, in every release others
            continue
        try:
            assert tensors.to_array(message, LIMIT).nbytes <= LIMIT
        except ValueError as error:
            assert str(error)
