"""Reads YAML to the values that Kubeflow's reader, go-yaml v3, makes of it, with their lines.

PyYAML's own values differ: it reads `yes` as true and `1:30` as 90, and keeps the last of two equal
keys. Only its parser is used here, libyaml, which go-yaml descends from.
"""

import codecs
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

import yaml

from pipeline.kubeflow.check.faults import Fault, Rule, Verdict, shown

MAX_BYTES = 1 << 20
"""Kubeflow takes 32 MiB, but what it compiles of a file is one object of Kubernetes, whose store
takes 1.5 MiB."""

_MAX_DEPTH = 64
_MAX_NODES = 200_000
_MAX_ALIASED = 900
"""Values. Kubeflow's reader refuses aliases from about a thousand values on, where 99 % of what it
has read came from them; fewer than that it never refuses."""


SIZE = Rule("size", Verdict.TAKES, "Kubernetes refuses the workflow, which holds most of the file")
ENCODING = Rule("encoding", Verdict.UPLOAD)
UTF_16 = Rule("utf-16", Verdict.TAKES, "other tools do not")
SYNTAX = Rule("yaml", Verdict.UPLOAD)
KEYS = Rule("yaml-keys", Verdict.UPLOAD)
NUMBERS = Rule("yaml-numbers", Verdict.UPLOAD)
DATES = Rule("yaml-dates", Verdict.TAKES, "writes the date in another form into the value")
TAGS = Rule("yaml-tags", Verdict.TAKES, "a tag changes the value or is ignored")
MERGES = Rule("yaml-merges", Verdict.TAKES, "what is merged has no place that a message could name")
ALIASES = Rule("yaml-aliases", Verdict.TAKES, "refuses it once nearly all values come from them")
VALUES = Rule("yaml-values", Verdict.TAKES, "Kubernetes refuses the workflow")
DEPTH = Rule("yaml-depth", Verdict.TAKES, "no message of a pipeline is as deep")

_CONSTANTS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((f"{s}{i}" for s in ("", "+") for i in (".inf", ".Inf", ".INF")), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([Tt ].*)?", re.S)
_BASES = (
    (re.compile(r"[-+]?0[xX][0-9a-fA-F]+"), 16),
    (re.compile(r"[-+]?0[bB][01]+"), 2),
    (re.compile(r"[-+]?0[oO]?[0-7]+"), 8),
    (re.compile(r"[-+]?(0|[1-9][0-9]*)"), 10),
)


@dataclass(slots=True)
class Node:
    """A value of a YAML document; aliases share theirs."""

    line: int
    value: object
    """A scalar; a list of nodes; or a dict of nodes by key."""

    count: int = 1
    """Of all nodes in it, aliases written out."""

    keys: dict[str, int] = field(default_factory=dict)
    """The lines of a mapping's keys."""


class Refused(Exception):  # noqa: N818 - no error of this program, but one of the file's
    """Nothing more can be read."""

    def __init__(self, faults: list[Fault]):
        super().__init__()
        self.faults = faults


def documents(content: bytes) -> list[Node]:
    """The documents of a file.

    Args:
        content: of the file, at most `MAX_BYTES`.

    Raises:
        Refused: it is no YAML that has one meaning; with all faults up to that point.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        fault = (UTF_16 if is_utf_16 else ENCODING).broken(
            (),
            "text in UTF-8",
            f"byte 0x{content[error.start]:02x} at offset {error.start}",
            "give the file that the compile command writes, or save it in UTF-8",
            is_quoted=False,
        )
        raise Refused([fault]) from error
    faults: list[Fault] = []
    found: list[Node] = []
    try:
        for document in _Composer(text, faults).documents():
            found.append(document)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        got = " ".join(str(getattr(error, "problem", None) or error).split())
        where = f" in line {mark.line + 1}" if mark else ""
        faults.append(SYNTAX.broken((), "YAML", f"{got}{where}", "mend that line", is_quoted=False))
    if faults:
        raise Refused(faults)
    return found


class _Composer:
    """Makes nodes of the parser's events; not recursive, for hostile files are deep."""

    def __init__(self, text: str, faults: list[Fault]):
        self._events = yaml.parse(text, Loader=yaml.CSafeLoader)
        self._faults = faults
        self._anchors: dict[str, Node] = {}
        self._aliased_values = 0
        self._open: list[tuple[Node, str | None]] = []
        """The collections that are not closed, each with the key whose value comes next."""

    def documents(self) -> Iterator[Node]:
        """Yields the root of each."""
        for event in self._events:
            match event:
                case yaml.DocumentStartEvent():
                    self._anchors = {}
                case yaml.AliasEvent():
                    node = self._aliased(event)
                    if node is not None:
                        yield from self._add(node, event)
                case yaml.ScalarEvent():
                    node = Node(_line(event), self._scalar(event))
                    self._anchor(event, node)
                    yield from self._add(node, event)
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    self._begin(event)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    node, _ = self._open.pop()
                    if self._open:
                        self._open[-1][0].count += node.count
                    else:
                        yield node
                    self._require_small(node, event)

    def _begin(self, event) -> None:
        if len(self._open) == _MAX_DEPTH:
            self._stop(DEPTH, f"at most {_MAX_DEPTH} levels", event)
        self._check_tag(event)
        node = Node(_line(event), {} if isinstance(event, yaml.MappingStartEvent) else [])
        self._anchor(event, node)
        for _ in self._add(node, event, is_open=True):
            pass
        self._open.append((node, None))

    def _add(self, node: Node, event, *, is_open: bool = False) -> Iterator[Node]:
        """Puts a node where the parser stands; yields it where that is the top of a document."""
        if not self._open:
            if not is_open:
                yield node
            return
        parent, key = self._open[-1]
        if not is_open:
            parent.count += node.count
        if isinstance(parent.value, list):
            parent.value.append(node)
        elif key is None:
            self._open[-1] = parent, self._key(parent, node, event)
        else:
            parent.value[key] = node
            self._open[-1] = parent, None
        self._require_small(parent, event)

    def _key(self, parent: Node, node: Node, event) -> str:
        line = _line(event)
        if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and event.value == "<<":
            self._fault(MERGES, line, "keys written out", "a merge (<<)", "write the keys out")
        elif not isinstance(node.value, str):
            self._fault(
                KEYS, line, "a text as key", shown(node.value), "put it into quotation marks"
            )
        elif node.value in parent.value:
            self._fault(
                KEYS,
                line,
                "every key once",
                f"{shown(node.value)} again, first in line {parent.keys[node.value]}",
                "take one of them away",
            )
        key = node.value if isinstance(node.value, str) else f"<key in line {line}>"
        parent.keys.setdefault(key, line)
        return key

    def _scalar(self, event: yaml.ScalarEvent) -> object:
        is_plain = event.implicit[0]
        if not is_plain:
            self._check_tag(event)
            return event.value
        value = resolved(event.value)
        if isinstance(value, float) and not math.isfinite(value):
            self._fault(
                NUMBERS, _line(event), "a finite number", event.value, "give a number or a text"
            )
        elif isinstance(value, str) and _DATE.fullmatch(value):
            self._fault(
                DATES,
                _line(event),
                "a date in quotation marks",
                f"{shown(value)} without",
                "put it into quotation marks",
            )
        return value

    def _check_tag(self, event) -> None:
        implicit = event.implicit
        is_plain = implicit[1] if isinstance(implicit, tuple) else implicit
        if event.tag is not None and not is_plain and event.tag != "tag:yaml.org,2002:str":
            self._fault(
                TAGS, _line(event), "values without tags", shown(event.tag), "take the tag away"
            )

    def _anchor(self, event, node: Node) -> None:
        if event.anchor is not None:
            self._anchors[event.anchor] = node

    def _aliased(self, event: yaml.AliasEvent) -> Node | None:
        node = self._anchors.get(event.anchor)
        is_open = any(node is each for each, _ in self._open)
        if node is None or is_open:
            got = f"*{event.anchor} in line {_line(event)}"
            expected, fix = "an alias of what stands before it", "write the value out"
            fault = SYNTAX.broken((), expected, got, fix, is_quoted=False)
            raise Refused([*self._faults, fault])
        self._aliased_values += node.count
        if self._aliased_values > _MAX_ALIASED:
            self._stop(ALIASES, f"aliases of at most {_MAX_ALIASED} values", event)
        return node

    def _require_small(self, node: Node, event) -> None:
        if node.count > _MAX_NODES:
            self._stop(VALUES, f"at most {_MAX_NODES} values", event)

    def _stop(self, rule: Rule, expected: str, event) -> NoReturn:
        got, fix = f"more by line {_line(event)}", "write less"
        fault = rule.broken((), expected, got, fix, is_quoted=False)
        raise Refused([*self._faults, fault])

    def _fault(self, rule: Rule, line: int, expected: str, got: str, fix: str) -> None:
        self._faults.append(
            rule.broken((), expected, f"{got} in line {line}", fix, is_quoted=False)
        )


def _line(event) -> int:
    return event.start_mark.line + 1


def resolved(text: str) -> object:
    """What a plain scalar is: nothing, a bool, a number or a text.

    Numbers are those of YAML 1.1 and 1.2 together (`0x1f`, `017`, `0o17`, `1_000`); `yes`, `on`
    and `1:30` are texts.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] == ".":
        return _finite(text, text) if _FLOAT.fullmatch(text) else text
    if text[0] not in "+-0123456789":
        return text
    digits = text.replace("_", "")
    for pattern, base in _BASES:
        if pattern.fullmatch(digits):
            # More digits than a 64-bit number has are read as a float, where that is one.
            number = int(digits.replace("o", "").replace("O", ""), base) if len(digits) < 80 else 0
            is_small = len(digits) < 80 and -(2**63) <= number < 2**64
            return number if is_small else _finite(digits, text)
    return _finite(digits, text) if _FLOAT.fullmatch(digits) else text


def _finite(digits: str, text: str) -> object:
    if not _FLOAT.fullmatch(digits):
        return text
    number = float(digits)
    return number if math.isfinite(number) else text
