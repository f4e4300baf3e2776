"""TensorFlow Serving's messages that its package for Python leaves out, as its sources have them.

`tensorflow_serving/servables/tensorflow/session_bundle_config.proto` and
`tensorflow_serving/config/monitoring_config.proto`: names, numbers and types of all fields.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "tensorflow.serving"
_INT, _STRING, _BOOL = (f".google.protobuf.{kind}Value" for kind in ("Int64", "String", "Bool"))

_MESSAGES = {
    "BatchingParameters": (
        (1, "max_batch_size", _INT),
        (2, "batch_timeout_micros", _INT),
        (3, "max_enqueued_batches", _INT),
        (4, "num_batch_threads", _INT),
        (5, "thread_pool_name", _STRING),
        (8, "enable_large_batch_splitting", _BOOL),
        (9, "max_execution_batch_size", _INT),
        (6, "allowed_batch_sizes", [_Field.TYPE_INT64]),
        (7, "pad_variable_length_inputs", _Field.TYPE_BOOL),
    ),
    "PrometheusConfig": ((1, "enable", _Field.TYPE_BOOL), (2, "path", _Field.TYPE_STRING)),
    "MonitoringConfig": ((1, "prometheus_config", f".{_PACKAGE}.PrometheusConfig"),),
}


def _classes() -> dict[str, type]:
    file = descriptor_pb2.FileDescriptorProto(
        name="serving_for_tests.proto",
        package=_PACKAGE,
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, field_name, kind in fields:
            field = message.field.add(name=field_name, number=number, label=_Field.LABEL_OPTIONAL)
            if isinstance(kind, list):
                field.label, (field.type,) = _Field.LABEL_REPEATED, kind
            elif isinstance(kind, str):
                field.type, field.type_name = _Field.TYPE_MESSAGE, kind
            else:
                field.type = kind
    # A pool of its own: the server's package may define them one day.
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


_found = _classes()
BatchingParameters = _found["BatchingParameters"]
MonitoringConfig = _found["MonitoringConfig"]
