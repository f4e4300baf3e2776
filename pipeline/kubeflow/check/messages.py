"""Reads a document as a message, as strictly as protojson in Go does, and names every fault.

`google.protobuf.json_format` stops at the first fault, does not know its place, and takes numbers
that Go refuses (`1_0`, `+1`, `infinity`).
"""

import difflib
import math
import re
from decimal import Decimal

from pipeline.kubeflow.check import fields
from pipeline.kubeflow.check.faults import Fault, Place, Rule, Verdict, shown
from pipeline.kubeflow.check.yaml_reading import Node

FIELD = Rule("field", Verdict.UPLOAD)
TYPE = Rule("type", Verdict.UPLOAD)
ENUM = Rule("enum", Verdict.TAKES, "takes the number for an unspecified value")
EXECUTOR_FIELD = Rule("executor-field", Verdict.TAKES, "ignores the field")
EXECUTOR_TYPE = Rule("executor-type", Verdict.RUN)
PLATFORM_IGNORED = Rule("platform-message", Verdict.TAKES, "ignores the whole document")

_MAPPING, _ANY = "google.protobuf.Struct", "google.protobuf.Value"
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,9})?")
_DURATION = re.compile(r"[-+]?((0|[1-9][0-9]{0,11})(\.[0-9]{0,9})?|\.[0-9]{1,9})s")
_LONGEST_DURATION = 315_576_000_000
"""Seconds in ten thousand years."""

_BITS = {"int32": 31, "int64": 63}
_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_EXPECTED = {
    "string": "a text",
    "bool": "true or false",
    "int32": "a whole number of 32 bits",
    "int64": "a whole number of 64 bits",
    "double": "a number",
    "google.protobuf.Duration": 'a duration such as "30s"',
}


class Reader:
    """Reads documents of one file.

    Attributes:
        faults: what is wrong so far.
        lines: of every key, by its place.
    """

    def __init__(self):
        self.faults: list[Fault] = []
        self.lines: dict[Place, int] = {}
        self._known = fields.messages()

    def message(self, node: Node, name: str, place: Place = ()) -> dict:
        """A document as a message.

        Args:
            node: the document.
            name: of the message.
            place: put before that of every value.

        Returns:
            Fields by their names in camelCase, without those that are null or wrong; enums by name,
            numbers as int or float, `Struct` and `Value` as they are.
        """
        if not isinstance(node.value, dict):
            self._wrong(place, "a mapping", node, "write its fields below it")
            return {}
        known = self._known.fields[name]
        by_name = {field.name: field for field in known.values()} | known
        result: dict = {}
        seen: dict[str, str] = {}
        for key, child in node.value.items():
            field = by_name.get(key)
            here = (*place, key if field is None else field.name)
            self.lines.setdefault(here, node.keys.get(key, child.line))
            if field is None:
                near = difflib.get_close_matches(key, by_name, 1, 0.7)
                fix = f"write {near[0]}" if near else "take it away"
                expected = "a field that Kubeflow Pipelines knows"
                self._unfit(here, expected, shown(key), fix, is_unknown=True)
            elif field.name in seen:
                got = f"{shown(seen[field.name])} and {shown(key)}"
                self._unfit(here, "every field once", got, "take one of them away")
            else:
                seen[field.name] = key
                if child.value is not None or field.type == _ANY:
                    self._read(result, field, child, here, known)
        return result

    def _read(
        self,
        result: dict,
        field: fields.Field,
        node: Node,
        place: Place,
        known: dict[str, fields.Field],
    ) -> None:
        """Puts the value of one field of a message into what is read of it so far."""
        rivals = [
            other.name
            for other in known.values()
            if field.oneof and other.oneof == field.oneof and other.name in result
        ]
        if rivals:
            self._unfit(place, f"either it or {rivals[0]}", "both", "take one of them away")
            return
        read = {"one": self._value, "list": self._list, "map": self._map}[field.shape]
        value = read(field, node, place)
        if value is not _WRONG:
            result[field.name] = value

    def _list(self, field: fields.Field, node: Node, place: Place) -> object:
        if not isinstance(node.value, list):
            self._wrong(place, "a list", node, "write a list, also of one")
            return _WRONG
        values = []
        for index, child in enumerate(node.value):
            here = (*place, index)
            self.lines[here] = child.line
            if child.value is None and field.type != _ANY:
                self._wrong(here, self._expected(field), child, "give a value or take it away")
            else:
                values.append(self._value(field, child, here))
        return [value for value in values if value is not _WRONG]

    def _map(self, field: fields.Field, node: Node, place: Place) -> object:
        if not isinstance(node.value, dict):
            self._wrong(place, "a mapping", node, "write names with their values below it")
            return _WRONG
        values = {}
        for key, child in node.value.items():
            here = (*place, key)
            self.lines[here] = node.keys.get(key, child.line)
            if child.value is None and field.type != _ANY:
                self._wrong(here, self._expected(field), child, "give a value or take it away")
            else:
                values[key] = self._value(field, child, here)
        return {key: value for key, value in values.items() if value is not _WRONG}

    def _value(self, field: fields.Field, node: Node, place: Place) -> object:
        if field.type in self._known.fields:
            return self.message(node, field.type, place)
        if field.type == _MAPPING and not isinstance(node.value, dict):
            self._wrong(place, "a mapping", node, "write names with their values below it")
            return _WRONG
        if field.type in (_MAPPING, _ANY):
            return self._plain(node, place)
        if field.type in self._known.enums:
            return self._enum(field, node, place)
        value = _scalar(field.type, node.value)
        if value is _WRONG:
            is_number = field.type == "string" and isinstance(node.value, int | float)
            fix = "put it into quotation marks" if is_number else "give one"
            self._wrong(place, self._expected(field), node, fix)
        return value

    def _enum(self, field: fields.Field, node: Node, place: Place) -> object:
        names = self._known.enums[field.type]
        if node.value in names.values():
            return node.value
        number = _WRONG if isinstance(node.value, str) else _whole(node.value, 31)
        if number in names:
            return names[number]
        fix = "choose one of them"
        if number is _WRONG:
            self._wrong(place, self._expected(field), node, fix)
        else:
            self.faults.append(ENUM.broken(place, self._expected(field), node.value, fix))
        return _WRONG

    def _plain(self, node: Node, place: Place) -> object:
        """A value of any kind; it may be taken for a message later, so lines are kept."""
        if isinstance(node.value, dict):
            for key, child in node.value.items():
                self.lines[(*place, key)] = node.keys.get(key, child.line)
            return {key: self._plain(child, (*place, key)) for key, child in node.value.items()}
        if isinstance(node.value, list):
            return [self._plain(c, (*place, i)) for i, c in enumerate(node.value)]
        return node.value

    def _expected(self, field: fields.Field) -> str:
        if field.type in self._known.enums:
            return "one of " + ", ".join(self._known.enums[field.type].values())
        return _EXPECTED.get(field.type, "a mapping")

    def _wrong(self, place: Place, expected: str, node: Node, fix: str) -> None:
        self._unfit(place, expected, shown(node.value), fix)

    def _unfit(
        self, place: Place, expected: str, got: str, fix: str, *, is_unknown: bool = False
    ) -> None:
        """What Kubeflow does with it depends on when it reads that part as a message."""
        rule = FIELD if is_unknown else TYPE
        if place[0] == "platforms":
            is_executors = place[1:4] == ("kubernetes", "deploymentSpec", "executors")
            rule = EXECUTOR_TYPE if is_executors and len(place) > 5 else PLATFORM_IGNORED
        elif place[0] == "deploymentSpec" and len(place) > 1:
            rule = EXECUTOR_FIELD if is_unknown else EXECUTOR_TYPE
        self.faults.append(rule.broken(place, expected, got, fix, is_quoted=False))


_WRONG = object()
"""Stands for a value that was refused."""


def seconds(duration: str) -> float:
    """Of a duration as protojson writes it, such as `1.5s`."""
    return float(duration.removesuffix("s"))


def _scalar(kind: str, value: object) -> object:
    match kind:
        case "string":
            return value if isinstance(value, str) else _WRONG
        case "bool":
            return value if isinstance(value, bool) else _WRONG
        case "double":
            return _double(value)
        case "google.protobuf.Duration":
            if not isinstance(value, str) or not _DURATION.fullmatch(value):
                return _WRONG
            return value if abs(seconds(value)) <= _LONGEST_DURATION else _WRONG
    return _whole(value, _BITS[kind])


def _double(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return _WRONG
    if isinstance(value, str):
        if value in _SPECIAL:
            return _SPECIAL[value]
        if not _NUMBER.fullmatch(value):
            return _WRONG
    try:
        number = float(value)
    except OverflowError:
        return _WRONG
    return number if math.isfinite(number) else _WRONG


def _whole(value: object, bits: int) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return _WRONG
    if isinstance(value, str) and (not _NUMBER.fullmatch(value) or len(value) > 64):
        return _WRONG
    number = Decimal(value)
    if number.is_finite() and number.adjusted() < 20 and number == number.to_integral_value():
        return int(number) if -(2**bits) <= number < 2**bits else _WRONG
    return _WRONG
