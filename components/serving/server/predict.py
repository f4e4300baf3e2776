"""What both interfaces do with a request: find the model, check the inputs, run, answer."""

import time
from collections.abc import Mapping, Sequence

import grpc
import numpy as np

from components.serving import protos
from components.serving.interface import IMAGE_BYTES
from components.serving.server.loader import SavedModel
from components.serving.server.models import Models
from components.serving.server.statuses import Refusal, invalid
from components.serving.tensors import DTYPES

DEFAULT_SIGNATURE = "serving_default"
SIGNATURE_DEF = "signature_def"
"""The one metadata field that there is."""

MAX_BYTES = 512 << 20
"""Of a request, and of what it expands to: the largest picture file that a model takes, 256 MiB,
is 342 MiB in base64."""


def find_signature(model: SavedModel, name: str) -> protos.SignatureDef | None:
    """The signature of that name; `serving_default` for none."""
    return model.signatures.get(name or DEFAULT_SIGNATURE)


def run(
    model: SavedModel,
    signature: protos.SignatureDef,
    inputs: Mapping[str, np.ndarray],
    output_filter: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """The outputs of a signature.

    Args:
        model: that has it.
        signature: of the model.
        inputs: as they were sent.
        output_filter: names of outputs; all of them for none.

    Raises:
        Refusal: the inputs are not those of the signature, or it fails on them.
    """
    _check_names(inputs.keys(), signature.inputs.keys())
    for name, array in inputs.items():
        _check_tensor(name, array, signature.inputs[name])
    for index, name in enumerate(output_filter):
        if name not in signature.outputs:
            known = ",".join(sorted(signature.outputs))
            raise invalid(
                f"output tensor alias not found in signature: {name} Outputs expected to be in the "
                f"set {{{known}}}."
            )
        if name in output_filter[:index]:
            raise invalid(f"duplicate output tensor alias: {name}")
    return model.run(signature, inputs, list(output_filter) or sorted(signature.outputs))


def run_logged(
    models: Models,
    spec: protos.ModelSpec,
    number: int,
    model: SavedModel,
    *request: object,
) -> dict[str, np.ndarray]:
    """The same, written to the log of `models` if it has one and pictures were sent.

    Args:
        models: that have the model.
        spec: what was asked for.
        number: of the version that answers.
        model: that version.
        *request: signature, inputs and output filter of `run`.
    """
    start, outputs = time.monotonic(), None
    try:
        outputs = run(model, *request)
    finally:
        pictures = request[1].get(IMAGE_BYTES)
        if models.log is not None and pictures is not None and pictures.dtype == object:
            asked = spec.version.value if spec.HasField("version") else spec.version_label or None
            seconds = time.monotonic() - start
            models.log.add(spec.name, asked, number, seconds, list(pictures.ravel()), outputs)
    return outputs


def _check_names(sent: set[str], wanted: set[str]) -> None:
    if sent == wanted:
        return
    sets = (sent, wanted, sent - wanted, wanted - sent)
    one, other, extra, missing = (f"{{{','.join(sorted(names))}}}" for names in sets)
    raise invalid(
        f"input size does not match signature: {len(sent)}!={len(wanted)} len({one}) != "
        f"len({other}). Sent extra: {extra}. Missing but required: {missing}."
    )


def _check_tensor(name: str, array: np.ndarray, info: protos.TensorInfo) -> None:
    wanted = DTYPES.get(info.dtype)
    if array.dtype != wanted:
        raise invalid(
            f"expected input {name} of type {protos.DataType.Name(info.dtype)}; got {array.dtype}"
        )
    dims = [dim.size for dim in info.tensor_shape.dim]
    if info.tensor_shape.unknown_rank:
        return
    if len(dims) != array.ndim or any(
        size not in (-1, got) for size, got in zip(dims, array.shape, strict=True)
    ):
        raise invalid(f"expected input {name} of shape {dims}; got {list(array.shape)}")


def metadata(
    models: Models, request: protos.GetModelMetadataRequest
) -> protos.GetModelMetadataResponse:
    """The signatures of a model.

    Raises:
        Refusal: it asks for something else, or there is no such model.
    """
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != SIGNATURE_DEF:
            raise invalid(f"Metadata field {field} is not supported")
    number, model = models.find(request.model_spec)
    answer = protos.GetModelMetadataResponse()
    answer.model_spec.name = request.model_spec.name
    answer.model_spec.version.value = number
    signatures = protos.SignatureDefMap()
    for name, signature in model.signatures.items():
        signatures.signature_def[name].CopyFrom(signature)
    answer.metadata[SIGNATURE_DEF].Pack(signatures)
    return answer


def no_signature(name: str) -> Refusal:
    """By gRPC; the REST interface words it in its own way."""
    return Refusal(
        grpc.StatusCode.FAILED_PRECONDITION,
        f'Serving signature key "{name or DEFAULT_SIGNATURE}" not found.',
    )
