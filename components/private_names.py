"""All that we use of libraries below their public interface, each with its reason.

A release of a library may rename any of it; `tests/components/test_private_names.py` then says
which, on the versions that are installed.
"""

import contextlib
import re
import time

import ml_metadata
from absl import logging
from ml_metadata import errors, metadata_store
from ml_metadata.proto import metadata_store_service_pb2

from components.errors import PipelineError

PATIENCE_SECONDS = 300
"""So long a step waits for a server of ML Metadata."""

_LOST = re.compile(
    "closed the connection|terminating connection|Lost connection|gone away|real_connect failed"
    r"|could not connect|starting up|shutting down|PostgreSQL metadata source error:\s*$"
)
"""What databases' clients say of a connection that is no more."""

_BACKSLASH = "\ue05c"
"""Of Unicode's private use. ML Metadata 1.16 and 1.21 write statements for PostgreSQL that break at
a backslash in a text, as all nested JSON has: libpq marks such literals with an E that it takes for
a part of them."""


def _replace(message, old, new):
    """Replaces a character in all texts of a message, those in messages within it too."""
    for field, value in message.ListFields():
        is_map = field.message_type and field.message_type.GetOptions().map_entry
        if field.type == field.TYPE_STRING:
            if field.label == field.LABEL_REPEATED:
                value[:] = [text.replace(old, new) for text in value]
            else:
                setattr(message, field.name, value.replace(old, new))
        elif is_map:
            inner = field.message_type.fields_by_name["value"]
            for key in list(value):
                if inner.type == inner.TYPE_MESSAGE:
                    _replace(value[key], old, new)
                elif inner.type == inner.TYPE_STRING:
                    value[key] = value[key].replace(old, new)
        elif field.type == field.TYPE_MESSAGE:
            for each in value if field.label == field.LABEL_REPEATED else [value]:
                _replace(each, old, new)


def write_transform_function(function, features, folder) -> None:
    """Writes a function of raw features, which needs no pass over data, as TensorFlow Transform's.

    Its public way, `tft_beam.AnalyzeDataset`, starts several Beam pipelines for it and takes three
    times as long; TFX's component calls this one, where it sees that no data are needed.

    Args:
        function: dict of tensors `[B, …]` to such a dict, without analyzers.
        features: `tf.io.FixedLenFeature` of its inputs by name.
        folder: what `tft.TFTransformOutput` reads.
    """
    # Imported here, as everything heavy: Keras' part is needed without it.
    import tensorflow as tf
    from tensorflow_transform import impl_helper

    specs = {
        name: tf.TensorSpec([None, *each.shape], each.dtype) for name, each in features.items()
    }
    impl_helper.analyze_in_place(function, False, features, specs, folder)


def tflite_operators(content: bytes) -> list[tuple[str, str]]:
    """Name and type of the first result of every operator in a TensorFlow Lite file.

    Its public analyzer only prints, to the standard output.

    Args:
        content: the bytes of the file.
    """
    import tensorflow as tf

    plain = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = tf.lite.Interpreter(model_content=content, experimental_op_resolver_type=plain)
    types = {each["index"]: each["dtype"].__name__ for each in interpreter.get_tensor_details()}
    found = interpreter._get_ops_details()
    return [(each["op_name"], types[each["outputs"][0]]) for each in found]


class BuiltBeforeFit:
    """Mixed into a Keras model that is built already: `fit` and `evaluate` build nothing.

    Under a distribution strategy Keras adds up the first batch of all replicas to build the model
    from it, which fails under several workers (keras-team/keras issue 20585) and wherever the
    replicas' batches differ in size. A functional model is built, and metrics build themselves.
    """

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        del iterator, data_batch


def variable_index(optimizer, variable) -> int:
    """The place of a variable in the list that `optimizer.build` was called with.

    `update_step` is called with TensorFlow's variable, under a strategy with one replica's part of
    it; neither has the path of the Keras variable, and the optimizer's own look-up knows both.
    """
    return optimizer._get_variable_index(variable)


class PatientMetadataStore(metadata_store.MetadataStore):
    """ML Metadata on a server, which waits for a server that went away.

    Its own client tries again only where two writers met. A handle whose connection is lost is
    never used again: MySQL's crashes. What was asked for while the server went down may have been
    written before it did, and is then written twice; each call is one transaction.
    """

    def _call(self, method_name, request, response, extra_options=None):
        while True:
            try:
                return super()._call(method_name, request, response, extra_options)
            except errors.StatusError as error:
                if not _LOST.search(str(error)) and not isinstance(error, errors.UnavailableError):
                    raise
                self._connect_again(str(error))

    def _call_method(self, method_name, request, response):
        # Of ML Metadata's own server we are only a client.
        is_postgresql = self._using_db_connection and self._config.HasField("postgresql")
        if is_postgresql and b"\\" in request.SerializeToString():
            plain, request = request, type(request)()
            request.CopyFrom(plain)
            _replace(request, "\\", _BACKSLASH)
        super()._call_method(method_name, request, response)
        if method_name == "GetArtifactsByID":
            # TFX pairs them with the events that it has the numbers from, and databases on servers
            # give them in any order: outputs of a cached step got each other's names.
            known = {artifact.id: artifact for artifact in response.artifacts}
            ordered = [known[number] for number in request.artifact_ids if number in known]
            del response.artifacts[:]
            response.artifacts.extend(ordered)
        if is_postgresql and _BACKSLASH.encode() in response.SerializeToString():
            _replace(response, _BACKSLASH, "\\")

    def _connect_again(self, reason):
        started, pause = time.monotonic(), 0.5
        logging.warning("ML Metadata's server went away, waiting for it: %s", reason.strip())
        while True:
            try:
                self.__init__(self._config)
                # The connection of gRPC is made by its first call.
                super()._call_method(
                    "GetArtifactTypes",
                    metadata_store_service_pb2.GetArtifactTypesRequest(),
                    metadata_store_service_pb2.GetArtifactTypesResponse(),
                )
                logging.info("ML Metadata's server is back")
                return
            except (RuntimeError, errors.StatusError) as error:
                waited = time.monotonic() - started
                if waited > PATIENCE_SECONDS:
                    raise PipelineError(
                        f"expected ML Metadata's server to come back within {PATIENCE_SECONDS} s; "
                        f"got {str(error).strip() or 'no answer'}; to fix, start it again; what is "
                        "finished is recorded, and the same command goes on from there"
                    ) from error
                time.sleep(pause)
                pause = min(pause * 2, 10)


@contextlib.contextmanager
def patient_tfx():
    """Has TFX open ML Metadata as `PatientMetadataStore`, while the context is open."""
    before = ml_metadata.MetadataStore
    ml_metadata.MetadataStore = PatientMetadataStore
    try:
        yield
    finally:
        ml_metadata.MetadataStore = before
