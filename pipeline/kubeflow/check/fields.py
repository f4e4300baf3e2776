"""The messages of a compiled file: which fields each has, of which types.

Those of the pipeline come from the installed `kfp-pipeline-spec`, and from `newer_fields` where it
is an older release; Kubernetes' own settings of an executor, whose package is not installed, from
the table in `kubernetes_fields`.
"""

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import descriptor_pb2

from components.errors import ConfigError
from pipeline.kubeflow.check import kubernetes_fields, newer_fields

PACKAGE = "ml_pipelines."
PIPELINE = f"{PACKAGE}PipelineSpec"
PLATFORM = f"{PACKAGE}PlatformSpec"

_DEPLOYMENT = f"{PACKAGE}PipelineDeploymentConfig"
_STRUCTS = {
    (PIPELINE, "deployment_spec"): _DEPLOYMENT,
    (f"{PACKAGE}PlatformDeploymentConfig", "executors"): kubernetes_fields.EXECUTOR,
}
"""Fields that hold any mapping, and are read as these messages when a run is compiled."""

_TYPES = {
    descriptor_pb2.FieldDescriptorProto.TYPE_STRING: "string",
    descriptor_pb2.FieldDescriptorProto.TYPE_BOOL: "bool",
    descriptor_pb2.FieldDescriptorProto.TYPE_INT32: "int32",
    descriptor_pb2.FieldDescriptorProto.TYPE_INT64: "int64",
    descriptor_pb2.FieldDescriptorProto.TYPE_DOUBLE: "double",
}


@dataclass(frozen=True)
class Field:
    """A field of a message."""

    name: str
    """As protojson writes it, in camelCase."""

    type: str
    """`string`, `bool`, `int32`, `int64`, `double`, or the full name of a message or enum."""

    shape: str = "one"
    """`one`, `list`, or `map` with texts as keys."""

    oneof: str = ""
    """Of the fields with this name a message has at most one."""


@dataclass(frozen=True)
class Messages:
    """All that a file may hold."""

    fields: dict[str, dict[str, Field]]
    """By message, then by the field's name in the definition, with underscores."""

    enums: dict[str, dict[int, str]]
    """Names of values by number."""


@functools.cache
def messages() -> Messages:
    """Of the installed packages.

    Raises:
        ConfigError: `kfp-pipeline-spec` is not installed.
    """
    known = Messages({}, {})
    file = descriptor_pb2.FileDescriptorProto()
    _definitions().CopyToProto(file)
    for message in file.message_type:
        _add(known, PACKAGE, message)
    for table in (kubernetes_fields.MESSAGES, newer_fields.MESSAGES):
        for name, fields in table.items():
            read = {key: _of_table(key, text) for key, text in fields.items()}
            known.fields[name] = read | known.fields.get(name, {})
    for name, values in newer_fields.ENUMS.items():
        known.enums[name] = values | known.enums.get(name, {})
    return known


def _definitions():
    """The file descriptor of the pipeline specification, without `kfp`, which takes seconds."""
    found = importlib.util.find_spec("kfp")
    folders = [] if found is None else found.submodule_search_locations or []
    paths = [Path(folder, "pipeline_spec", "pipeline_spec_pb2.py") for folder in folders]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        raise ConfigError(
            "expected the package kfp-pipeline-spec, which knows what a compiled file may hold; "
            "got none; to fix: make setup"
        )
    spec = importlib.util.spec_from_file_location("kfp.pipeline_spec.pipeline_spec_pb2", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.DESCRIPTOR


def _add(known: Messages, prefix: str, message: descriptor_pb2.DescriptorProto) -> None:
    """Adds a message with those in it."""
    full = prefix + message.name
    entries = {
        f"{full}.{nested.name}": nested
        for nested in message.nested_type
        if nested.options.map_entry
    }
    for nested in message.nested_type:
        if not nested.options.map_entry:
            _add(known, f"{full}.", nested)
    for enum in message.enum_type:
        known.enums[f"{full}.{enum.name}"] = {value.number: value.name for value in enum.value}
    known.fields[full] = {
        field.name: _field(full, message, field, entries) for field in message.field
    }


def _field(full: str, message, field, entries: dict) -> Field:
    type_name = field.type_name.removeprefix(".")
    shape = "list" if field.label == field.LABEL_REPEATED else "one"
    value = field
    if type_name in entries:
        shape = "map"
        value = next(each for each in entries[type_name].field if each.name == "value")
        type_name = value.type_name.removeprefix(".")
    is_alone = field.HasField("oneof_index") and not field.proto3_optional
    return Field(
        camel_case(field.name),
        _STRUCTS.get((full, field.name)) or type_name or _TYPES[value.type],
        shape,
        message.oneof_decl[field.oneof_index].name if is_alone else "",
    )


def _of_table(name: str, text: str) -> Field:
    """A field as the table writes it: `[type]` a list, `{type}` a map, `type | oneof`."""
    text, _, oneof = text.partition(" | ")
    shape = {"[": "list", "{": "map"}.get(text[0], "one")
    return Field(camel_case(name), text.strip("[]{}"), shape, oneof)


def camel_case(name: str) -> str:
    """The name that protojson gives to a field."""
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)
