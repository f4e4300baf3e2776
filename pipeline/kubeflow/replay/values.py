"""Values of parameters and properties as they pass through Kubeflow's programs.

They are written in Go, which has one kind of number, and one of them keeps properties in ML
Metadata, which has neither truths nor lists. See `backend/src/v2/metadata/converter.go` and
`backend/src/v2/driver/util.go` of kubeflow/pipelines.
"""

import json
import math
import re
from decimal import Decimal
from typing import Any

_TRUTHS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}
"""As Go's `strconv.ParseBool` reads them."""

_KINDS = {
    "STRING": str,
    "NUMBER_INTEGER": float,
    "NUMBER_DOUBLE": float,
    "BOOLEAN": bool,
    "LIST": list,
    "STRUCT": dict,
}


def plain(value: Any) -> Any:
    """A value of JSON as Go writes it: numbers are doubles, and whole ones have no point."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
        return int(number) if number.is_integer() else number
    return value


def text(value: Any) -> str:
    """A value where the launcher puts it into a command, or the driver makes a text of it."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _digits(value)
    return _other_text(value)


def drivers_text(value: Any) -> str:
    """The same where the driver puts it into a command: fractions as Go's `%g` has them."""
    if isinstance(value, float) and not value.is_integer():
        sign, digits, _ = Decimal(repr(value)).normalize().as_tuple()
        exponent = Decimal(repr(value)).adjusted()
        if -4 <= exponent < 6:
            return _digits(value)
        first, *others = map(str, digits)
        point = "." if others else ""
        power = f"{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
        return f"{'-' * sign}{first}{point}{''.join(others)}e{power}"
    return text(value)


def _digits(value: float) -> str:
    number = plain(value)
    return str(number) if isinstance(number, int) else format(Decimal(repr(number)), "f")


def _other_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    # Go's encoder escapes what HTML gives a meaning.
    written = json.dumps(plain(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found.group()):04x}", written)


def read(written: str, kind: str) -> Any:
    """The value of an output parameter, from the file that a step has written.

    Args:
        written: in the file.
        kind: the parameter's type.

    Raises:
        ValueError: it is none of that type.
    """
    stripped = written.strip()
    match kind:
        case "STRING":
            return written
        case "NUMBER_INTEGER" if re.fullmatch(r"[+-]?[0-9]+", stripped):
            return plain(int(stripped))
        case "NUMBER_DOUBLE" if "_" not in stripped and math.isfinite(float(stripped)):
            return plain(float(stripped))
        case "BOOLEAN" if stripped in _TRUTHS:
            return _TRUTHS[stripped]
        case "LIST" | "STRUCT":
            found = json.loads(written)
            if isinstance(found, _KINDS[kind]):
                return plain(found)
    raise ValueError(f"expected a value of type {kind}; got {written[:100]!r}")


def given(value: Any, kind: str) -> Any:
    """The value of an input parameter as the driver hands it on.

    Args:
        value: of whatever type.
        kind: the parameter's type.

    Raises:
        ValueError: the driver refuses it.
    """
    if kind == "STRING":
        return text(value)
    value = plain(value)
    found = float if type(value) is int else type(value)
    if found is not _KINDS.get(kind):
        raise ValueError(f"expected a value of type {kind}; got {text(value)[:100]!r}")
    return value


def kept(value: Any) -> Any:
    """The value of an artifact's property after ML Metadata has kept it.

    Raises:
        ValueError: the launcher fails on it.
    """
    if value is None:
        raise ValueError("expected properties with values; got null, which ML Metadata cannot keep")
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, list):
        return {"list": plain(value)}
    return {"struct": plain(value)} if isinstance(value, dict) else plain(value)
