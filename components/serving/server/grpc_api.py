"""The gRPC interface: `PredictionService` with Predict and GetModelMetadata, and model status."""

import concurrent.futures
import functools
import os
from collections.abc import Callable

import grpc
from absl import logging

from components.serving import protos, tensors
from components.serving.server import predict
from components.serving.server.models import Models
from components.serving.server.statuses import Refusal, invalid

_PREDICTION, _MODEL = protos.services()


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
    _PREDICTION.add_PredictionServiceServicer_to_server(_Prediction(models), server)
    _MODEL.add_ModelServiceServicer_to_server(_Status(models), server)
    bound = server.add_insecure_port(f"{host}:{port}")
    server.start()
    return server, bound


def _answering(method: Callable) -> Callable:
    """Makes a refusal the status of the call; all that is none is logged, and INTERNAL."""

    @functools.wraps(method)
    def call(self, request, context: grpc.ServicerContext):
        try:
            return method(self, request)
        except Refusal as refusal:
            code, message = refusal.code, refusal.message
        except Exception as error:
            logging.exception("A request failed")
            code, message = grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"
        context.abort(code, message)

    return call


class _Prediction(_PREDICTION.PredictionServiceServicer):
    """Classify, Regress and MultiInference stay unimplemented: no model here has those."""

    def __init__(self, models: Models):
        self._models = models

    @_answering
    def Predict(self, request: protos.PredictRequest) -> protos.PredictResponse:  # noqa: N802
        """Runs a signature."""
        if not request.HasField("model_spec"):
            raise invalid("Missing ModelSpec")
        number, model = self._models.find(request.model_spec)
        name = request.model_spec.signature_name or predict.DEFAULT_SIGNATURE
        signature = predict.find_signature(model, name)
        if signature is None:
            raise predict.no_signature(name)
        try:
            inputs = {
                key: tensors.to_array(proto, predict.MAX_BYTES)
                for key, proto in request.inputs.items()
            }
        except ValueError as error:
            raise invalid(str(error)) from error
        outputs = predict.run_logged(
            *(self._models, request.model_spec, number, model),
            *(signature, inputs, request.output_filter),
        )
        answer = protos.PredictResponse()
        answer.model_spec.name, answer.model_spec.signature_name = request.model_spec.name, name
        answer.model_spec.version.value = number
        for key, array in outputs.items():
            answer.outputs[key].CopyFrom(tensors.to_proto(array))
        return answer

    @_answering
    def GetModelMetadata(  # noqa: N802 - the protocol's name
        self, request: protos.GetModelMetadataRequest
    ) -> protos.GetModelMetadataResponse:
        """The signatures of a model."""
        return predict.metadata(self._models, request)


class _Status(_MODEL.ModelServiceServicer):
    """HandleReloadConfigRequest stays unimplemented: the configuration file is polled."""

    def __init__(self, models: Models):
        self._models = models

    @_answering
    def GetModelStatus(  # noqa: N802 - the protocol's name
        self, request: protos.GetModelStatusRequest
    ) -> protos.GetModelStatusResponse:
        """The states of the versions of a model."""
        if not request.HasField("model_spec"):
            raise invalid("Missing ModelSpec")
        statuses = self._models.statuses(request.model_spec)
        return protos.GetModelStatusResponse(model_version_status=statuses)
