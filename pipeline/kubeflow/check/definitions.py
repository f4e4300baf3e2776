"""Definitions of inputs and outputs: types, defaults, and the values that a run gives."""

import math
from collections.abc import Iterator

from components import texts
from pipeline.kubeflow.check import yaml_reading
from pipeline.kubeflow.check.compiled import Compiled, Component
from pipeline.kubeflow.check.faults import Fault, Place, Rule, Verdict, shown

PARAMETER_TYPE = Rule("parameter-type", Verdict.TAKES, "the driver refuses every value of it")
DEFAULT = Rule("default", Verdict.TAKES, "the driver or the step fails on the value")
VALUE = Rule("value", Verdict.TAKES, "the driver refuses the value, or passes on another text")
TITLE = Rule("artifact-title", Verdict.TAKES, "its driver ends with 'No title specified'")
REQUIRED = Rule("required-parameter", Verdict.RUN)
REQUIRED_ARTIFACT = Rule("root-artifact", Verdict.TAKES, "no run can give one")
UNKNOWN_GIVEN = Rule("unknown-parameter", Verdict.RUN)
GIVEN = Rule("given-value", Verdict.RUN)
GIVEN_WHOLE = Rule("given-whole-number", Verdict.TAKES, "the step fails on the value")
OF_ROOT = Rule("root-parameter", Verdict.TAKES, "no run can give it a value")

_LARGEST_WHOLE = 2**53 - 1
"""Numbers travel as floats of 64 bits."""

_EXPECTED = {
    "NUMBER_DOUBLE": "a number",
    "NUMBER_INTEGER": f"a whole number of at most {_LARGEST_WHOLE}",
    "STRING": "a text",
    "BOOLEAN": "true or false",
    "LIST": "a list",
    "STRUCT": "a mapping",
    "TASK_FINAL_STATUS": "the final status of a task",
    "TASK_CONFIG": "no value, for Kubeflow gives it",
}


def check(compiled: Compiled) -> Iterator[Fault]:
    """What is wrong with the definitions of all components, and with the values of a run."""
    for component in compiled.components.values():
        for section in ("inputDefinitions", "outputDefinitions"):
            defined = component.message.get(section, {})
            for name, each in defined.get("parameters", {}).items():
                place = (*component.place, section, "parameters", name)
                yield from _parameter(each, place)
            for name, each in defined.get("artifacts", {}).items():
                place = (*component.place, section, "artifacts", name, "artifactType")
                yield from title_faults(each.get("artifactType", {}), place)
    yield from _run(compiled)


def title(schema: dict) -> str | None:
    """The name of an artifact's type, from its `ArtifactTypeSchema`; None where it has none."""
    if "instanceSchema" not in schema:
        return schema.get("schemaTitle") or None
    try:
        (node,) = yaml_reading.documents(schema["instanceSchema"].encode())
    except (yaml_reading.Refused, ValueError):
        return None
    named = node.value.get("title") if isinstance(node.value, dict) else None
    return named.value if named and isinstance(named.value, str) and named.value else None


def title_faults(schema: dict, place: Place) -> Iterator[Fault]:
    """What is wrong with the type of an artifact."""
    if title(schema) is None:
        yield TITLE.broken(
            place,
            "a type with a title: schemaTitle, or instanceSchema in YAML with title",
            schema.get("instanceSchema", schema or None),
            "give it one, such as schemaTitle: system.Artifact",
        )


def fits(kind: str, value: object) -> bool:
    """Whether a value is of a parameter's type, without any change of it."""
    match kind:
        case "STRING":
            return isinstance(value, str)
        case "BOOLEAN":
            return isinstance(value, bool)
        case "LIST":
            return isinstance(value, list)
        case "STRUCT":
            return isinstance(value, dict)
        case "NUMBER_DOUBLE" | "NUMBER_INTEGER":
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            is_whole = is_number and math.isfinite(value) and value == int(value)
            return is_number and (
                kind == "NUMBER_DOUBLE" or (is_whole and abs(value) <= _LARGEST_WHOLE)
            )
    return False


def value_faults(rule: Rule, defined: dict, value: object, place: Place) -> Iterator[Fault]:
    """What is wrong with the value of a parameter."""
    kind = defined.get("parameterType", "")
    literals = defined.get("literals", [])
    if kind in _EXPECTED and not fits(kind, value):
        fix = "put it into quotation marks" if kind == "STRING" else "give one"
        yield rule.broken(place, f"{_EXPECTED[kind]} ({kind})", value, fix)
    elif literals and not any(_same(value, literal) for literal in literals):
        among = texts.listed([shown(literal) for literal in literals])
        yield rule.broken(place, f"one of {among}", value, "choose one")


def _same(value: object, other: object) -> bool:
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _parameter(defined: dict, place: Place) -> Iterator[Fault]:
    kind = defined.get("parameterType", "")
    if kind in ("", "PARAMETER_TYPE_ENUM_UNSPECIFIED"):
        got = "only the old field type" if "type" in defined else "none"
        yield PARAMETER_TYPE.broken(
            (*place, "parameterType"),
            f"a type, one of {', '.join(list(_EXPECTED)[:6])}",
            got,
            "give it with parameterType",
            is_quoted=False,
        )
    elif defined.get("defaultValue") is not None:
        value = defined["defaultValue"]
        yield from value_faults(DEFAULT, defined, value, (*place, "defaultValue"))


def _run(compiled: Compiled) -> Iterator[Fault]:
    """What a run of the pipeline must be given, and is given."""
    root: Component = compiled.components["root"]
    defined = root.inputs("parameters")
    for name, each in defined.items():
        place = (*root.place, "inputDefinitions", "parameters", name)
        if each.get("parameterType") in ("TASK_FINAL_STATUS", "TASK_CONFIG"):
            yield OF_ROOT.broken(
                (*place, "parameterType"),
                "a type that a run can give",
                each["parameterType"],
                "choose another",
            )
        if name in compiled.given:
            yield from _given(each, compiled.given[name], name)
        elif not each.get("isOptional") and each.get("defaultValue") is None:
            yield REQUIRED.broken(
                place,
                "a default, or that it is optional, or its value with the run",
                "none of them",
                f"add defaultValue, or check the file with --parameter {name}=VALUE",
                is_quoted=False,
            )
    for name in compiled.given.keys() - defined.keys():
        among = f"one of {texts.listed(sorted(defined))}" if defined else "none"
        yield UNKNOWN_GIVEN.broken(
            ("root", "inputDefinitions", "parameters"),
            f"only parameters that the pipeline has, {among}",
            name,
            "leave it out",
        )
    for name in root.inputs("artifacts"):
        if not root.inputs("artifacts")[name].get("isOptional"):
            yield REQUIRED_ARTIFACT.broken(
                (*root.place, "inputDefinitions", "artifacts", name),
                "no artifact that a run would have to give",
                name,
                "import it by a task",
            )


def _given(defined: dict, value: object, name: str) -> Iterator[Fault]:
    is_fraction = (
        defined.get("parameterType") == "NUMBER_INTEGER"
        and fits("NUMBER_DOUBLE", value)
        and not fits("NUMBER_INTEGER", value)
    )
    rule = GIVEN_WHOLE if is_fraction else GIVEN
    yield from value_faults(rule, defined, value, ("root", "inputDefinitions", "parameters", name))
