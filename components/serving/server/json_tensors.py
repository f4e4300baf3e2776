"""JSON and tensors, as TensorFlow Serving's `util/json_tensor.cc` has them, row and column format.

Bytes are `{"b64": "…"}`: everywhere in requests, and in answers where the output's name ends in
`_bytes`.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from components.serving.protos import DataType, TensorInfo
from components.serving.server.statuses import invalid
from components.serving.tensors import DTYPES

_B64 = "b64"
_SHOWN = 256
"""Characters of a wrong value in an error."""

Inputs = Mapping[str, TensorInfo]


def parse(body: bytes) -> dict[str, Any]:
    """The object of a request.

    Raises:
        Refusal: it is none.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = json.loads(body.decode())
    except RecursionError:
        raise invalid("JSON Parse error: Nested too deeply") from None
    except ValueError as error:
        raise invalid(f"JSON Parse error: {error}") from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {_shown(document)} Is not object")
    return document


def read_signature(document: dict[str, Any]) -> str:
    """The name of the signature; empty for the default.

    Raises:
        Refusal: it is no text.
    """
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {_shown(document)} not formatted correctly. 'signature_name' key must be "
            "a string value."
        )
    return name


def read_inputs(document: dict[str, Any], inputs: Inputs) -> tuple[dict[str, np.ndarray], bool]:
    """The tensors of a request, and whether they came, and are answered, in rows.

    Args:
        document: of `parse`.
        inputs: of the signature.

    Raises:
        Refusal: they are not what the signature takes.
    """
    if "instances" in document and "inputs" in document:
        raise invalid(
            f"JSON Value: {_shown(document)} Not formatted correctly expecting only one of "
            "'inputs' or 'instances' keys to exist "
        )
    try:
        if "instances" in document:
            return _read_rows(document["instances"], inputs), True
        if "inputs" in document:
            return _read_columns(document["inputs"], inputs), False
    except RecursionError:
        raise invalid("JSON Parse error: Nested too deeply") from None
    raise invalid("Missing 'inputs' or 'instances' key")


def write_outputs(outputs: Mapping[str, np.ndarray], *, rows: bool) -> bytes:
    """The answer.

    Raises:
        Refusal: they cannot be written in rows.
    """
    lists = {
        name: _listed(array, as_bytes=name.endswith("_bytes"))
        for name, array in sorted(outputs.items())
    }
    if not rows:
        answer = {"outputs": lists if len(lists) > 1 else next(iter(lists.values()))}
        return json.dumps(answer).encode()
    sizes = set()
    for name, array in sorted(outputs.items()):
        if not array.ndim:
            raise invalid(f"Tensor name: {name} has no shape information ")
        sizes.add(len(array))
        if len(sizes) > 1:
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {len(array)}")
    if len(lists) == 1:
        return json.dumps({"predictions": next(iter(lists.values()))}).encode()
    predictions = [
        dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)
    ]
    return json.dumps({"predictions": predictions}).encode()


# === Requests ===


def _read_rows(instances: Any, inputs: Inputs) -> dict[str, np.ndarray]:
    if not isinstance(instances, list):
        raise invalid(f"JSON Value: {_shown(instances)} Expecting 'instances' to be an list/array")
    if not instances:
        raise invalid("No values in 'instances' array")
    named = isinstance(instances[0], dict) and not _is_b64(instances[0])
    if not named and len(inputs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map"
        )
    columns: dict[str, list] = {name: [] for name in inputs}
    for index, element in enumerate(instances):
        if named != (isinstance(element, dict) and not _is_b64(element)):
            wanted, got = ("object", "list") if named else ("value/list", "object")
            raise invalid(f"Expecting {wanted} but got {got} at item {index} of input list")
        if named and element.keys() != inputs.keys():
            raise invalid(
                f"Failed to process element: {index} of 'instances' list. JSON object: "
                f"{_shown(element)} keys must be equal to: {','.join(sorted(inputs))}"
            )
        for name, column in columns.items():
            column.append(element[name] if named else element)
    return {name: _array(column, inputs[name].dtype) for name, column in columns.items()}


def _read_columns(values: Any, inputs: Inputs) -> dict[str, np.ndarray]:
    if not isinstance(values, dict) or _is_b64(values):
        if len(inputs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map"
            )
        values = {name: values for name in inputs}
    for name in inputs:
        if name not in values:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: _array(values[name], info.dtype) for name, info in inputs.items()}


def _array(value: Any, dtype: int) -> np.ndarray:
    """A dense tensor: its shape is that of the first elements, and all others have it."""
    if dtype not in _CONVERT:
        raise invalid(f"Conversion of JSON Value: {_shown(value)} to type: {_name(dtype)}")
    shape, first = [], value
    while isinstance(first, list):
        shape.append(len(first))
        first = first[0] if first else None
    if len(shape) > 32:
        raise invalid("JSON Value: nested in more than 32 lists")
    flat: list = []
    _fill(value, shape, 0, _CONVERT[dtype], dtype, flat)
    array = np.empty(len(flat), DTYPES[dtype])
    array[:] = flat
    return array.reshape(shape)


def _fill(value: Any, shape: list, level: int, convert: Callable, dtype: int, flat: list) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid(
                f"JSON Value: {_shown(value)} found at incorrect level: {level + 1} in the JSON "
                f"DOM. Expected at level: {len(shape)}"
            )
        flat.append(convert(value, dtype))
        return
    if level >= len(shape):
        raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: "
            f"{shape[level]}"
        )
    for element in value:
        _fill(element, shape, level + 1, convert, dtype, flat)


def _type_error(value: Any, dtype: int) -> Exception:
    return invalid(f"JSON Value: {_shown(value)} is not of expected type: {_name(dtype)}")


def _whole(value: Any, dtype: int) -> int:
    if type(value) is int:
        limits = np.iinfo(DTYPES[dtype])
        if limits.min <= value <= limits.max:
            return value
    raise _type_error(value, dtype)


def _number(value: Any, dtype: int) -> float:
    if type(value) in (int, float):
        try:
            return float(value)
        except OverflowError:
            pass
    raise _type_error(value, dtype)


def _truth(value: Any, dtype: int) -> bool:
    if isinstance(value, bool):
        return value
    raise _type_error(value, dtype)


def _bytes(value: Any, dtype: int) -> bytes:
    if isinstance(value, str):
        # Half of a surrogate pair, which JSON can write and no encoding has.
        return value.encode(errors="surrogatepass")
    if not isinstance(value, dict):
        raise _type_error(value, dtype)
    if not _is_b64(value):
        raise invalid(f"JSON Value: {_shown(value)} not formatted correctly for base64 data")
    text = re.sub(r"\s", "", value[_B64]).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None


_CONVERT = {
    DataType.DT_STRING: _bytes,
    DataType.DT_BOOL: _truth,
    **{DataType.Value(f"DT_{name}"): _number for name in ("FLOAT", "DOUBLE")},
    **{
        DataType.Value(f"DT_{name}"): _whole
        for name in ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT32", "UINT64")
    },
}
"""Half and bfloat16 TensorFlow Serving takes by gRPC alone."""


def _is_b64(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {_B64} and isinstance(value[_B64], str)


def _name(dtype: int) -> str:
    return DataType.Name(dtype).removeprefix("DT_").lower()


def _shown(value: Any) -> str:
    """The beginning of a value; not of all of it, for it may be a picture."""
    parts, length = [], 0
    try:
        for part in json.JSONEncoder().iterencode(value):
            parts.append(part[:_SHOWN])
            length += len(parts[-1])
            if length >= _SHOWN:
                break
    except RecursionError:
        pass
    return "".join(parts)[:_SHOWN]


# === Answers ===


def _listed(array: np.ndarray, *, as_bytes: bool) -> Any:
    """Nested lists of what JSON can hold."""
    if array.dtype != object:
        return array.tolist()

    def write(value: bytes) -> Any:
        if as_bytes:
            return {_B64: base64.b64encode(value).decode()}
        return value.decode(errors="replace")

    written = np.empty(array.shape, object)
    written.ravel()[:] = [write(value) for value in array.ravel()]
    return written.tolist() if array.ndim else written.item()
