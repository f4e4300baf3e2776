"""What all options have in common: checked when they are made, immutable, exact through JSON.

Pydantic checks types and ranges; what it finds is put into the words of this project here, so that
every option is refused alike: what was expected, what came, how to fix it, all faults at once.
"""

import json
import types
import typing
from typing import Any, ClassVar, Literal

import annotated_types
import pydantic


class Options(pydantic.BaseModel, frozen=True, extra="forbid", strict=True, allow_inf_nan=False):
    """Base of every class of options.

    Types are those of JSON: true is no number and "12" neither; a whole number may stand for a
    fraction, and a list for a tuple.

    Attributes:
        SECTION: what a field's name is preceded by in `--set` and in errors.

    Raises:
        ValueError: a line for each fault.
    """

    SECTION: ClassVar[str] = ""

    def __init__(self, **values: Any):
        try:
            super().__init__(**values)
        except pydantic.ValidationError as error:
            raise ValueError("\n".join(_faults(type(self), error, values))) from error

    @pydantic.model_validator(mode="before")
    @classmethod
    def _tuples(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}

    def replace(self, **changes: Any) -> typing.Self:
        """The same options with some changed, and checked again."""
        return type(self)(
            **{name: getattr(self, name) for name in type(self).model_fields} | changes
        )

    @classmethod
    def wanted(cls, name: str) -> str:
        """What a field takes, in the words of its errors."""
        return _wanted(cls.model_fields[name])

    def to_json(self) -> str:
        """Indented JSON; `from_json` gives it back."""
        return self.model_dump_json(indent=2)

    @classmethod
    def from_json(cls, text: str) -> typing.Self:
        """What `to_json` wrote.

        Raises:
            ValueError: it is no JSON object, or has faults.
        """
        return cls(**json.loads(text))


def fault(section: str, name: str, wanted: str, got: object, fix: str) -> str:
    """One fault in one sentence."""
    path = f"{section}.{name}" if section else name
    return f"expected {path} to be {wanted}; got {got!r}; to fix, {fix}"


def _faults(
    cls: type[Options], error: pydantic.ValidationError, values: dict[str, Any]
) -> list[str]:
    """One line for each field that is wrong, or for each rule between fields that is broken."""
    lines: dict[str, None] = {}
    for found in error.errors():
        message = found["msg"].removeprefix("Value error, ")
        if found["type"] == "value_error":
            lines |= dict.fromkeys(message.split("\n"))
            continue
        name = str(found["loc"][0])
        path = f"{cls.SECTION}.{name}" if cls.SECTION else name
        if name not in cls.model_fields:
            known = ", ".join(cls.model_fields)
            lines[fault(cls.SECTION, name, f"one of {known}", found["input"], "correct it")] = None
            continue
        field = cls.model_fields[name]
        # Deeper ones are parts of a value that came, as the third number of a list of two.
        if found["type"] == "missing" and len(found["loc"]) == 1:
            line = f"expected {path}; got none; to fix, give {_wanted(field)}"
        else:
            default = (
                ""
                if field.is_required()
                else f", or leave it out for the default, {field.default!r}"
            )
            line = fault(cls.SECTION, name, _wanted(field), values[name], f"give that{default}")
        lines[line] = None
    return list(lines)


def _wanted(field: pydantic.fields.FieldInfo) -> str:
    """What a field takes, in words: its description, or what follows from its type and bounds."""
    if field.description:
        return field.description
    kinds = _kinds(field.annotation)
    inner = (m for kind in kinds for m in getattr(kind, "__metadata__", ()))
    bounds = [*field.metadata, *(bound for m in inner for bound in m.metadata)]
    words = [_words(kind, bounds) for kind in kinds if kind is not types.NoneType]
    return " or ".join([*words, *["null"] * (types.NoneType in kinds)])


def _kinds(annotation: Any) -> list[Any]:
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return list(typing.get_args(annotation)) if is_union else [annotation]


def _words(kind: Any, metadata: list[Any]) -> str:
    bare = typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind
    if typing.get_origin(bare) is Literal:
        choices = ["null" if choice is None else str(choice) for choice in typing.get_args(bare)]
        return f"one of {', '.join(choices)}"
    if bare in (int, float):
        return _number(bare, metadata)
    return {bool: "true or false", str: "a text"}.get(bare, "valid")


def _number(kind: type, metadata: list[Any]) -> str:
    noun = "a whole number" if kind is int else "a number"
    low = high = ""
    for bound in metadata:
        if isinstance(bound, annotated_types.Ge):
            low = f"[{bound.ge:g}"
        elif isinstance(bound, annotated_types.Gt):
            low = f"({bound.gt:g}"
        elif isinstance(bound, annotated_types.Le):
            high = f"{bound.le:g}]"
        elif isinstance(bound, annotated_types.Lt):
            high = f"{bound.lt:g})"
    if low and high:
        return f"{noun} in {low}, {high}"
    if low:
        return f"{noun} {'of at least' if low[0] == '[' else 'above'} {low[1:]}"
    return noun
