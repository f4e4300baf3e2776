"""TensorFlow's tensor messages and NumPy's arrays; strings are arrays of bytes objects."""

import math
from collections.abc import Sequence

import numpy as np

from components.serving.protos import DataType, TensorProto

_FIELDS = {
    "HALF": ("f2", "half_val"),
    "FLOAT": ("f4", "float_val"),
    "DOUBLE": ("f8", "double_val"),
    "BOOL": ("?", "bool_val"),
    "INT8": ("i1", "int_val"),
    "INT16": ("i2", "int_val"),
    "INT32": ("i4", "int_val"),
    "INT64": ("i8", "int64_val"),
    "UINT8": ("u1", "int_val"),
    "UINT16": ("u2", "int_val"),
    "UINT32": ("u4", "uint32_val"),
    "UINT64": ("u8", "uint64_val"),
    "STRING": ("O", "string_val"),
}

DTYPES = {DataType.Value(f"DT_{name}"): np.dtype(kind) for name, (kind, _) in _FIELDS.items()}
"""NumPy's types by TensorFlow's numbers."""

_NUMBERS = {dtype: number for number, dtype in DTYPES.items()}
_VALUES = {DataType.Value(f"DT_{name}"): field for name, (_, field) in _FIELDS.items()}
_STRING = DataType.DT_STRING


def strings(values: Sequence[bytes]) -> np.ndarray:
    """An array `[N]` of bytes objects, which NumPy would cut off at zeros itself."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


def to_proto(array: np.ndarray) -> TensorProto:
    """A message with the values of an array.

    Raises:
        KeyError: TensorFlow has no such type.
    """
    proto = TensorProto(dtype=_NUMBERS[array.dtype])
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if proto.dtype == _STRING:
        proto.string_val.extend(array.ravel())
    else:
        proto.tensor_content = np.ascontiguousarray(array).tobytes()
    return proto


def to_array(proto: TensorProto, max_bytes: int) -> np.ndarray:
    """The array of a message: a few values may stand for many, the last is then repeated.

    Args:
        proto: from anybody.
        max_bytes: what is larger is refused, before memory is taken for it.

    Raises:
        ValueError: it is no tensor that there could be.
    """
    name = DataType.Name(proto.dtype) if proto.dtype in DataType.values() else str(proto.dtype)
    if proto.dtype not in DTYPES:
        raise ValueError(f"tensor of type {name} is not supported")
    dtype, shape = DTYPES[proto.dtype], [dim.size for dim in proto.tensor_shape.dim]
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise ValueError("tensor has no known shape")
    count = math.prod(shape)
    # NumPy knows no more dimensions than 32, TensorFlow 254.
    if count * dtype.itemsize > max_bytes or len(shape) > 32 or any(s > max_bytes for s in shape):
        raise ValueError(f"tensor of shape {shape} is too large")
    if proto.tensor_content and proto.dtype != _STRING:
        if len(proto.tensor_content) != count * dtype.itemsize:
            raise ValueError(
                f"tensor of shape {shape} and type {name} has {len(proto.tensor_content)} bytes"
            )
        return np.frombuffer(proto.tensor_content, dtype).reshape(shape)
    values = getattr(proto, _VALUES[proto.dtype])
    if len(values) > count:
        raise ValueError(f"tensor of shape {shape} has {len(values)} values")
    array = np.empty(count, dtype)
    if proto.dtype == DataType.DT_HALF:
        bits = np.array(values, np.int64)
        if ((bits < 0) | (bits > 0xFFFF)).any():
            raise ValueError("tensor of type DT_HALF has values of more than 16 bits")
        given = bits.astype(np.uint16).view(np.float16)
    else:
        given = np.empty(len(values), dtype)
        given[:] = _within(values, dtype)
    array[: len(given)] = given
    empty = b"" if proto.dtype == _STRING else 0
    array[len(given) :] = given[-1] if len(given) else empty
    return array.reshape(shape)


def _within(values: Sequence, dtype: np.dtype) -> Sequence:
    """The values; whole numbers that the type does not hold are refused, not wrapped."""
    if dtype.kind in "iu" and len(values):
        limits = np.iinfo(dtype)
        if min(values) < limits.min or max(values) > limits.max:
            raise ValueError(f"tensor has values beyond {dtype}")
    return values
