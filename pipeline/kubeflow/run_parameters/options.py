"""Which options of a configuration are parameters of a run; needs neither TFX nor TensorFlow."""

import ast
import functools
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from components.options import Options
from pipeline.config import PipelineConfig

_CHOSEN = {
    "data": ("source", "span_window"),
    "training": ("steps", "learning_rate"),
    "initial_weights": ("source", "scope", "sha256"),
    "push": ("enabled",),
}
"""What a run learns from, for how long, from where, and whether its model is pushed."""

_JUDGING = ("evaluation", "gate", "serving")
"""Sections of which every option is one: all are thresholds, or decide what is held to them."""

_THRESHOLD = ("min_", "max_")
"""How thresholds are named where the section decides what is made as well."""

_KINDS = {
    "boolean": "BOOLEAN",
    "integer": "NUMBER_INTEGER",
    "number": "NUMBER_DOUBLE",
    "string": "STRING",
    "array": "LIST",
    "object": "STRUCT",
}
"""Kubeflow's types by those of JSON Schema."""


@dataclass(frozen=True, kw_only=True)
class RunParameter:
    """An option that a run may be given."""

    path: str
    """As `--set` takes it."""

    value: Any
    """What holds where none is given, as JSON has it."""

    description: str
    """What it means and what it takes, in one line."""

    schema: dict[str, Any]
    """JSON Schema of what the option takes beside null."""

    is_nullable: bool
    """Whether the option may be null."""

    @property
    def name(self) -> str:
        """As a run takes it; Kubeflow's clients take no dots."""
        return self.path.replace(".", "_")

    @property
    def kind(self) -> str:
        """Kubeflow's type."""
        return _KINDS[self.schema["type"]]

    def definition(self) -> dict[str, Any]:
        """As an input of the pipeline."""
        return {
            "parameterType": self.kind,
            "description": self.description,
            "defaultValue": "" if self.value is None else self.value,
            "isOptional": True,
        }

    def read(self, given: Any) -> Any:
        """The option's value for a given one.

        Kubeflow has neither whole numbers nor null: 3.0 is 3, and an empty text is null where the
        option may be that.
        """
        return None if given == "" and self.is_nullable else _whole(given)


def of(config: PipelineConfig) -> Iterator[RunParameter]:
    """The options that a run may be given, in the order of the configuration."""
    values = config.model_dump(mode="json")
    for section in type(config).model_fields:
        options = getattr(config, section)
        if not isinstance(options, Options):
            continue
        chosen = [name for name in type(options).model_fields if _is_chosen(section, name)]
        for name in chosen:
            path, value = f"{section}.{name}", values[section][name]
            schema = _schemas(type(options))[name]
            kinds = schema.get("anyOf", [schema])
            is_nullable = {"type": "null"} in kinds
            null = " An empty text stands for null." if is_nullable else ""
            said = f"{_docs(type(options))[name]} As --set {path}: {options.wanted(name)}.{null}"
            yield RunParameter(
                path=path,
                value=value,
                description=said,
                schema=_schema(kinds, value),
                is_nullable=is_nullable,
            )


def _is_chosen(section: str, name: str) -> bool:
    if section in _JUDGING:
        return True
    is_threshold = section == "tflite" and name.startswith(_THRESHOLD)
    return is_threshold or name in _CHOSEN.get(section, ())


@functools.cache
def _schemas(cls: type[Options]) -> dict[str, Any]:
    return cls.model_json_schema()["properties"]


def _schema(kinds: list[dict[str, Any]], value: Any) -> dict[str, Any]:
    """That of several which the value is of: a parameter of Kubeflow's has one type."""
    is_object = isinstance(value, dict)
    return next(
        kind for kind in kinds if kind["type"] != "null" and (kind["type"] == "object") == is_object
    )


@functools.cache
def _docs(cls: type[Options]) -> dict[str, str]:
    """The docstrings below the fields of a class, each in one line."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    found = {}
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = " ".join(text.split())
    return found


def _whole(value: Any) -> Any:
    """With whole numbers as such, at any depth."""
    match value:
        case float() if value.is_integer() and abs(value) < 2**53:
            return int(value)
        case list():
            return [_whole(each) for each in value]
        case dict():
            return {key: _whole(each) for key, each in value.items()}
    return value
