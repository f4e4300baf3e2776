"""TensorFlow Serving's messages that its package for Python leaves out, made as its sources say.

`tensorflow_serving/servables/tensorflow/session_bundle_config.proto` and its like: names, numbers
and types of all fields.
"""

from collections.abc import Mapping, Sequence

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2
from google.protobuf.message import Message

FIELD = descriptor_pb2.FieldDescriptorProto
PACKAGE = "tensorflow.serving"
_INT, _STRING, _BOOL = (f".google.protobuf.{kind}Value" for kind in ("Int64", "String", "Bool"))

Fields = Sequence[tuple[int, str, int | str | list[int]]]
"""Number, name and type of each: one of `FIELD`'s, the name of a message, or a list of values."""


def classes(messages: Mapping[str, Fields]) -> dict[str, type[Message]]:
    """Classes of messages, by name."""
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{'_'.join(messages)}.proto",
        package=PACKAGE,
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for number, field_name, kind in fields:
            field = message.field.add(name=field_name, number=number, label=FIELD.LABEL_OPTIONAL)
            if isinstance(kind, list):
                field.label, (field.type,) = FIELD.LABEL_REPEATED, kind
            elif isinstance(kind, str):
                field.type, field.type_name = FIELD.TYPE_MESSAGE, kind
            else:
                field.type = kind
    # A pool of its own: the server's package may define them one day.
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in messages
    }


BatchingParameters = classes(
    {
        "BatchingParameters": (
            (1, "max_batch_size", _INT),
            (2, "batch_timeout_micros", _INT),
            (3, "max_enqueued_batches", _INT),
            (4, "num_batch_threads", _INT),
            (5, "thread_pool_name", _STRING),
            (8, "enable_large_batch_splitting", _BOOL),
            (9, "max_execution_batch_size", _INT),
            (6, "allowed_batch_sizes", [FIELD.TYPE_INT64]),
            (7, "pad_variable_length_inputs", FIELD.TYPE_BOOL),
        )
    }
)["BatchingParameters"]
