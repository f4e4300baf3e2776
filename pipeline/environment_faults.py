"""Says what is wrong with an environment; never with a value that may be a secret."""

import re
from pathlib import Path

import pydantic

from pipeline.placement.kubernetes import PLACE, VARIABLE

_NAMES_OF_SECRETS = ("signing.password", "signing.identity_token")
_BY_REFERENCE = "secret_variables"


def lines(error: pydantic.ValidationError, path: Path) -> list[str]:
    """The faults of an environment, each with its place and a way out.

    Args:
        error: what reading it ended with.
        path: of its file.
    """
    found = []
    for fault in error.errors(include_input=False):
        place = _place(fault["loc"])
        if fault["type"] == "value_error":
            text = fault["msg"].removeprefix("Value error, ")
            found += text.replace(PLACE, place, 1).split("\n")
        elif place.startswith("secrets.") or place in _NAMES_OF_SECRETS:
            # What came may be a secret.
            found.append(
                f"expected {place} to be the name of an environment variable; got something else; "
                "to fix, put the secret into a variable and its name here"
            )
        elif place.split(".")[0] == _BY_REFERENCE:
            found.append(
                f"expected {place} to be a variable of steps with where the cluster keeps its "
                'value; got something else; to fix, write VARIABLE = "secret/key"'
            )
        else:
            message = fault["msg"][:1].lower() + fault["msg"][1:]
            is_placed = place.startswith(("resources.", "volumes."))
            source = "placement/resources" if is_placed else "environment"
            found.append(
                f"expected {place} to be valid in {path}; got a value that is not "
                f"({message}); to fix, see the docstrings in pipeline/{source}.py"
            )
    return found


def _place(loc: tuple[int | str, ...]) -> str:
    """Where a fault is; without a name that may be a secret that was written at the wrong place."""
    parts = [str(part) for part in loc]
    if parts[:1] == [_BY_REFERENCE]:
        variable, *below = parts[1:] or ("",)
        is_name = re.fullmatch(VARIABLE, variable, re.ASCII) and "[key]" not in parts
        is_field = below[:1] in (["key"], ["steps"])
        parts[1:] = [variable, *(below if is_field else [])] if is_name else []
    return ".".join(part for part in parts if part != "[key]")
