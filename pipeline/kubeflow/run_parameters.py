"""Values of the configuration that a person sets when a run is started, without a new file.

A step that one of them decides is given it beside its own parameters, and Kubeflow's cache with it:
another value voids those steps and no others. The step then makes the graph of the changed
configuration and takes its own parameters from there, so that such a run is what a file compiled
with `--set` would be. The first step takes all, and refuses what the command line refuses.

Nothing here imports TFX before a value is applied.
"""

import dataclasses
import json
import os
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import pydantic

import schemas
from components.dataset.examination.findings import ACCEPTABLE
from components.errors import ConfigError
from components.options import Options
from pipeline import door
from pipeline.config import PipelineConfig, override

VARIABLE = "DEEPLAB_RUN"
"""The environment variable that holds a `Run` as JSON."""

FIRST = "Sources"
"""The step that every other waits for."""

_SECTIONS = ("evaluation", "gate", "serving")
"""All of whose values are limits, or decide what a limit is held against."""

_SINGLE = (
    *("data.source", "data.span_window", "training.steps", "training.learning_rate"),
    *("initial_weights.source", "push.enabled"),
)

_TYPES = {int: "NUMBER_INTEGER", float: "NUMBER_DOUBLE", bool: "BOOLEAN", str: "STRING"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parameter:
    """A value that may be given.

    Attributes:
        path: in the configuration, such as `training.steps`.
        kind: Kubeflow's name of the type.
        default: None for none; the value is optional then.
        description: in one line.
    """

    path: str
    kind: str
    default: Any
    description: str

    @property
    def name(self) -> str:
        """In the file: Kubeflow's clients take no dots."""
        return self.path.replace(".", "_")

    def definition(self) -> dict[str, Any]:
        """As an input of the pipeline."""
        found = {"parameterType": self.kind, "description": self.description, "isOptional": True}
        return found if self.default is None else {**found, "defaultValue": self.default}


class Run(pydantic.BaseModel, frozen=True, extra="forbid"):
    """What a step needs to make the graph of a changed configuration."""

    recipe: dict[str, Any]
    """The configuration that the command line started from."""

    assignments: tuple[str, ...]
    """What it changed, as `path=value`; what is given at submit is added."""

    dataset: str
    """Description of the data set, JSON."""

    schema_text: str
    """Its `schema.pbtxt`."""

    records: str
    """Folder of the records where none is given."""

    def config(self, given: Mapping[str, Any]) -> PipelineConfig:
        """The configuration with some parameters given.

        Args:
            given: values by the names of parameters.

        Raises:
            ConfigError: with the sentences of the command line.
        """
        known = {parameter.name: parameter for parameter in parameters(self)}
        changed = [
            f"{known[name].path}={json.dumps(_value(known[name], value))}"
            for name, value in given.items()
            if _value(known[name], value) != known[name].default
        ]
        config = override(PipelineConfig(**self.recipe), [*self.assignments, *changed])
        door.check(config, schemas.from_json(self.dataset))
        return config


def parameters(run: Run) -> list[Parameter]:
    """All parameters of a run, in the order of the configuration."""
    config = override(PipelineConfig(**run.recipe), list(run.assignments))
    found = []
    for path, field, value in _fields(config):
        section = path.partition(".")[0]
        if path in _SINGLE or section in _SECTIONS:
            default = run.records if path == "data.source" else value
            found.append(
                Parameter(
                    path=path,
                    kind=_kind(field.annotation),
                    default=list(default) if isinstance(default, tuple) else default,
                    description=_described(config, path),
                )
            )
    return found


def _fields(config: PipelineConfig) -> Iterator[tuple[str, pydantic.fields.FieldInfo, Any]]:
    for section in type(config).model_fields:
        options = getattr(config, section)
        if isinstance(options, Options):
            for name, field in type(options).model_fields.items():
                yield f"{section}.{name}", field, getattr(options, name)


def _kind(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        (annotation,) = (each for each in typing.get_args(annotation) if each is not types.NoneType)
        return _kind(annotation)
    if origin is typing.Annotated:
        return _kind(typing.get_args(annotation)[0])
    if origin is Literal:
        return "STRING"
    if origin is tuple:
        return "LIST"
    return _TYPES[annotation]


def _described(config: PipelineConfig, path: str) -> str:
    section, name = path.split(".")
    return f"{path}: {getattr(config, section).wanted(name)}"


def _value(parameter: Parameter, value: Any) -> Any:
    """As JSON has it: Kubeflow gives whole numbers as 3.0."""
    is_whole = parameter.kind == "NUMBER_INTEGER" and isinstance(value, float)
    return int(value) if is_whole and value == int(value) else value


def alternative(run: Run, parameter: Parameter) -> PipelineConfig:
    """The configuration with another value of a parameter, to see which steps it decides.

    Raises:
        AssertionError: no other value is allowed.
    """
    for value in _others(run, parameter):
        if value == parameter.default:
            continue
        try:
            return run.config({parameter.name: value})
        except ConfigError:
            continue
    raise AssertionError(f"{parameter.path} has no value but {parameter.default!r}")


def _others(run: Run, parameter: Parameter) -> Iterator[Any]:
    default = parameter.default
    if parameter.kind == "BOOLEAN":
        yield not default
    elif parameter.kind in ("NUMBER_INTEGER", "NUMBER_DOUBLE"):
        yield from (default + 1, default * 2, default / 2, default + 0.1)
    elif parameter.kind == "STRING":
        config = override(PipelineConfig(**run.recipe), list(run.assignments))
        section, name = parameter.path.split(".")
        field = type(getattr(config, section)).model_fields[name]
        choices = typing.get_args(field.annotation)
        yield from (each for each in choices if isinstance(each, str) and each != default)
        yield "served" if default != "served" else "served:other"
    else:
        yield from ([], [ACCEPTABLE[0]])


def split(run: Run, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters of the run among those of a step, and the step's own."""
    names = {parameter.name for parameter in parameters(run)}
    given = {name: value for name, value in values.items() if name in names}
    return given, {name: value for name, value in values.items() if name not in names}


def applied(run: Run, step: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The step's own parameters where others of the run are given than the file has.

    Args:
        run: of the step's environment.
        step: its name.
        given: parameters of the run.

    Returns:
        Those that the graph of the changed configuration has; none where nothing is changed.

    Raises:
        ConfigError: a value is refused, with the sentence of the command line.
    """
    known = {parameter.name: parameter for parameter in parameters(run)}
    changed = {
        name: value
        for name, value in given.items()
        if _value(known[name], value) != known[name].default
    }
    if not changed:
        return {}
    config = run.config(changed)
    # Imported here: TFX, and the check of a value needs none of it.
    from pipeline.inputs import Inputs
    from pipeline.kubeflow import specs

    inputs = Inputs(
        dataset=schemas.from_json(run.dataset),
        schema=run.schema_text,
        records=config.data.source or run.records,
    )
    return specs.constants(specs.compiled(config, inputs), step)


def current() -> Run | None:
    """What the compiled file gives to a step that parameters of the run decide."""
    text = os.environ.get(VARIABLE)
    return None if text is None else Run.model_validate_json(text)


def require_valid(spec: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuses parameters of a run before it is started, as its first step would.

    Args:
        spec: of a compiled file, which the check has found fit with these parameters.
        given: values by name.

    Raises:
        ConfigError: with the sentences of the command line.
    """
    executors = spec.get("deploymentSpec", {}).get("executors", {})
    container = executors.get(f"{FIRST}_executor", {}).get("container", {})
    for variable in container.get("env", ()):
        if variable["name"] == VARIABLE and given:
            Run.model_validate_json(variable["value"]).config(given)
