"""What is wrong with a compiled file: where, what Kubeflow makes of it, and the way out."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from components import texts

Place = tuple[str | int, ...]
"""The keys from the top of the file to a value, in the names that protojson writes."""

_LONGEST_SHOWN = 100
"""Characters of a value in a message."""


class Verdict(enum.Enum):
    """What Kubeflow Pipelines itself does with a file that breaks a rule."""

    UPLOAD = "refuses the file"
    RUN = "takes the file and refuses every run of it"
    TAKES = "takes the file and the run"
    """The rule is stricter than Kubeflow; its consequence says why."""


@dataclass(frozen=True)
class Rule:
    """One thing that a compiled file must be."""

    name: str
    """As in the table of docs/kubeflow-check.md."""

    kubeflow: Verdict
    consequence: str = ""
    """What happens where Kubeflow takes the file all the same; the end of a sentence."""

    def broken(
        self, place: Place, expected: str, got: object, fix: str, *, is_quoted: bool = True
    ) -> "Fault":
        """A fault by this rule.

        Args:
            place: of the value.
            expected: what should have been there.
            got: what is there.
            fix: what to do.
            is_quoted: whether `got` is a value of the file, and no words of ours.
        """
        return Fault(self, place, expected, shown(got) if is_quoted else str(got), fix)


@dataclass(frozen=True)
class Fault:
    """A rule that is broken at some place of the file."""

    rule: Rule
    place: Place
    expected: str
    got: str
    fix: str

    def text(self, lines: Mapping[Place, int]) -> str:
        """One sentence with the place, and its line where that is known."""
        place = self.place
        while place and place not in lines:
            place = place[:-1]
        where = dotted(self.place) or "the file"
        where = f"line {lines[place]}, {where}" if place in lines else where
        follows = f"Kubeflow {self.rule.kubeflow.value}"
        if self.rule.consequence:
            follows += f", and {self.rule.consequence}"
        return (
            f"{where}: expected {self.expected}; got {self.got}; to fix, {self.fix} "
            f"({self.rule.name}: {follows})"
        )


def dotted(place: Place) -> str:
    """A place as text, such as `root.dag.tasks.Trainer.dependentTasks[0]`."""
    text = ""
    for key in place:
        if isinstance(key, int):
            text += f"[{key}]"
        elif key.replace("-", "_").isidentifier():
            text += f".{key}" if text else key
        else:
            text += f"[{shown(key)}]"
    return text


def shown(value: object) -> str:
    """A value of the file as messages show it: on one line, without control characters."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case dict():
            return "a mapping" + (f" of {texts.listed([shown(k) for k in value])}" if value else "")
        case list():
            return f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
