"""`tf.train.Example` without TensorFlow, whose import takes ten seconds.

The messages of `tensorflow/core/example/{example,feature}.proto`, in a descriptor pool of their
own: in that of the process, TensorFlow's own would collide with them.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "tensorflow"
_FIELD = descriptor_pb2.FieldDescriptorProto


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="example.proto", package=_PACKAGE, syntax="proto3"
    )

    def field(
        message: descriptor_pb2.DescriptorProto, name: str, kind: int | str, repeated: bool = False
    ) -> descriptor_pb2.FieldDescriptorProto:
        added = message.field.add(
            name=name,
            number=len(message.field) + 1,
            label=_FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL,
        )
        if isinstance(kind, str):
            added.type, added.type_name = _FIELD.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
        else:
            added.type = kind
        return added

    for name, kind in (
        ("BytesList", _FIELD.TYPE_BYTES),
        ("FloatList", _FIELD.TYPE_FLOAT),
        ("Int64List", _FIELD.TYPE_INT64),
    ):
        field(file.message_type.add(name=name), "value", kind, repeated=True)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for name, kind in (
        ("bytes_list", "BytesList"),
        ("float_list", "FloatList"),
        ("int64_list", "Int64List"),
    ):
        field(feature, name, kind).oneof_index = 0
    features = file.message_type.add(name="Features")
    # A map is a repeated message of keys and values.
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    field(entry, "key", _FIELD.TYPE_STRING)
    field(entry, "value", "Feature")
    field(features, "feature", "Features.FeatureEntry", repeated=True)
    field(file.message_type.add(name="Example"), "features", "Features")
    return file


_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_file())
Example = message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.Example"))
"""The class of the message: fields, `FromString` and `SerializeToString` as of TensorFlow's."""
