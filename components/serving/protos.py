"""TensorFlow's and TensorFlow Serving's messages, without importing TensorFlow.

A server and a client need a dozen generated message classes. They lie in TensorFlow's package,
whose `__init__` takes seconds and hundreds of megabytes for what neither needs. The generated files
themselves need protobuf alone, so they are imported while an empty package of that name stands in.
"""

import contextlib
import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator

from components.errors import ConfigError


def package_folder() -> str:
    """Where TensorFlow is installed; it is not imported.

    Raises:
        ConfigError: it is not.
    """
    found = sys.modules.get("tensorflow") or importlib.util.find_spec("tensorflow")
    if found is None:
        raise ConfigError("expected TensorFlow to be installed; got none; to fix, make setup")
    spec = found.__spec__ if isinstance(found, types.ModuleType) else found
    return spec.submodule_search_locations[0]


@contextlib.contextmanager
def _bare_package() -> Iterator[None]:
    """While it is open, `tensorflow` is a package without its `__init__`."""
    if "tensorflow" in sys.modules:
        yield
        return
    package = types.ModuleType("tensorflow")
    package.__path__ = [package_folder()]
    sys.modules["tensorflow"] = package
    try:
        yield
    finally:
        # Who imports TensorFlow later gets the whole of it.
        del sys.modules["tensorflow"]


with _bare_package():
    from tensorflow.core.example.example_pb2 import Example
    from tensorflow.core.framework.tensor_pb2 import TensorProto
    from tensorflow.core.framework.types_pb2 import DataType
    from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef, SignatureDef, TensorInfo
    from tensorflow_serving.apis.get_model_metadata_pb2 import (
        GetModelMetadataRequest,
        GetModelMetadataResponse,
        SignatureDefMap,
    )
    from tensorflow_serving.apis.get_model_status_pb2 import (
        GetModelStatusRequest,
        GetModelStatusResponse,
        ModelVersionStatus,
    )
    from tensorflow_serving.apis.model_pb2 import ModelSpec
    from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse
    from tensorflow_serving.config.model_server_config_pb2 import ModelConfig, ModelServerConfig


def services() -> tuple[types.ModuleType, types.ModuleType]:
    """The stubs and servicers of `PredictionService` and `ModelService`; they need grpcio."""
    with _bare_package():
        return tuple(
            importlib.import_module(f"tensorflow_serving.apis.{name}_service_pb2_grpc")
            for name in ("prediction", "model")
        )


__all__ = [
    "DataType",
    "Example",
    "GetModelMetadataRequest",
    "GetModelMetadataResponse",
    "GetModelStatusRequest",
    "GetModelStatusResponse",
    "MetaGraphDef",
    "ModelConfig",
    "ModelServerConfig",
    "ModelSpec",
    "ModelVersionStatus",
    "PredictRequest",
    "PredictResponse",
    "SignatureDef",
    "SignatureDefMap",
    "TensorInfo",
    "TensorProto",
    "package_folder",
    "services",
]
