"""The gRPC interface: `PredictionService` with Predict and GetModelMetadata, and model status."""

import concurrent.futures
import functools
import os
from collections.abc import Callable

import grpc
from absl import logging
from google.protobuf.message import DecodeError, Message

from components.serving import protos, tensors
from components.serving.server import predict
from components.serving.server.models import Models
from components.serving.server.statuses import Refusal, invalid


def start(models: Models, host: str, port: int) -> tuple[grpc.Server, int]:
    """Starts the interface in threads of its own.

    Args:
        models: what is served.
        host: to listen at.
        port: 0 for any that is free.

    Returns:
        The server, and its port.

    Raises:
        RuntimeError: the port is taken.
    """
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(4 * (os.cpu_count() or 1)),
        options=(
            ("grpc.max_receive_message_length", predict.MAX_BYTES),
            ("grpc.max_send_message_length", -1),
            # A second server would be given half of the requests, in silence.
            ("grpc.so_reuseport", 0),
        ),
    )
    server.add_generic_rpc_handlers((_prediction(models), _status(models)))
    bound = server.add_insecure_port(f"{host}:{port}")
    server.start()
    return server, bound


def _handler(answer: Callable, request_type: type[Message]) -> grpc.RpcMethodHandler:
    """Makes a refusal the status of the call; all that is none is logged, and INTERNAL.

    Requests are parsed here: of those that gRPC itself cannot parse it keeps 16 KB each for ever.
    """

    def call(encoded: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            return answer(request_type.FromString(encoded)).SerializeToString()
        except DecodeError:
            code, message = grpc.StatusCode.INTERNAL, "Exception deserializing request!"
        except Refusal as refusal:
            code, message = refusal.code, refusal.message
        except Exception as error:
            logging.exception("A request failed")
            code, message = grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"
        context.abort(code, message)

    return grpc.unary_unary_rpc_method_handler(call)


def _prediction(models: Models) -> grpc.GenericRpcHandler:
    """Classify, Regress and MultiInference stay unimplemented: no model here has those."""
    methods = {
        "Predict": _handler(functools.partial(_predict, models), protos.PredictRequest),
        "GetModelMetadata": _handler(
            functools.partial(predict.metadata, models), protos.GetModelMetadataRequest
        ),
    }
    return grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", methods)


def _status(models: Models) -> grpc.GenericRpcHandler:
    """HandleReloadConfigRequest stays unimplemented: the configuration file is polled."""
    method = _handler(functools.partial(_states, models), protos.GetModelStatusRequest)
    methods = {"GetModelStatus": method}
    return grpc.method_handlers_generic_handler("tensorflow.serving.ModelService", methods)


def _predict(models: Models, request: protos.PredictRequest) -> protos.PredictResponse:
    """Runs a signature."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    number, model = models.find(request.model_spec)
    name = request.model_spec.signature_name or predict.DEFAULT_SIGNATURE
    signature = predict.find_signature(model, name)
    if signature is None:
        raise predict.no_signature(name)
    try:
        inputs = {
            key: tensors.to_array(proto, predict.MAX_BYTES) for key, proto in request.inputs.items()
        }
    except ValueError as error:
        raise invalid(str(error)) from error
    outputs = predict.run_logged(
        *(models, request.model_spec, number, model),
        *(signature, inputs, request.output_filter),
    )
    answer = protos.PredictResponse()
    answer.model_spec.name, answer.model_spec.signature_name = request.model_spec.name, name
    answer.model_spec.version.value = number
    for key, array in outputs.items():
        answer.outputs[key].CopyFrom(tensors.to_proto(array))
    return answer


def _states(models: Models, request: protos.GetModelStatusRequest) -> protos.GetModelStatusResponse:
    """The states of the versions of a model."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    statuses = models.statuses(request.model_spec)
    return protos.GetModelStatusResponse(model_version_status=statuses)
