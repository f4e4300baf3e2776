"""The way of the parameters of a run: into the first step, and as its outputs to the others."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import schemas
from components.errors import ConfigError
from pipeline.config import PipelineConfig
from pipeline.graph import create_pipeline
from pipeline.inputs import Inputs
from pipeline.kubeflow.run_parameters.options import RunParameter
from pipeline.kubeflow.run_parameters.run import FIRST, VARIABLE, Run

Property = tuple[str, str]
"""Name of a step, name of one of its parameters."""

Value = int | float | str


def declare(spec: dict[str, Any], run: Run) -> None:
    """Puts the parameters into a compiled file; those that decide nothing of it are left out.

    Args:
        spec: of the configuration of a run that is given nothing; changed in place.
        run: what the file is to know.
    """
    used = uses(run)
    tasks, components = spec["root"]["dag"]["tasks"], spec["components"]
    first = components[FIRST]
    definitions = {each.name: each.definition() for each in run.parameters() if used[each.name]}
    spec["root"]["inputDefinitions"] = {"parameters": definitions}
    for name, definition in definitions.items():
        first["inputDefinitions"]["parameters"][name] = {
            "parameterType": definition["parameterType"]
        }
        tasks[FIRST]["inputs"]["parameters"][name] = {"componentInputParameter": name}
    for step, name in sorted(set().union(*used.values())):
        if step == FIRST:
            continue
        taken = components[step]["inputDefinitions"]["parameters"][name]
        given = first["outputDefinitions"]["parameters"]
        given[_key(step, name)] = {"parameterType": taken["parameterType"]}
        tasks[step]["inputs"]["parameters"][name] = {
            "taskOutputParameter": {"producerTask": FIRST, "outputParameterKey": _key(step, name)}
        }
    container = spec["deploymentSpec"]["executors"][first["executorLabel"]]["container"]
    container["env"].append({"name": VARIABLE, "value": run.model_dump_json()})


def settle(
    run: Run, given: Mapping[str, Any], outputs: Collection[str]
) -> tuple[dict[str, Value], dict[str, Value]]:
    """What the steps take in a run that was given values: that of a file compiled with them.

    Args:
        run: see `run.current`.
        given: by the names of parameters.
        outputs: names of the parameters that the file expects of the first step.

    Returns:
        The first step's own parameters, and what it hands to the others by the names of its
        outputs.

    Raises:
        ConfigError: a value does not fit; it changes what the file holds fast; or the file is of
            another version of this project.
    """
    config = run.config(given)
    plain, found = properties(run, run.config({})), properties(run, config)
    changed = {each for each in plain.keys() | found.keys() if plain.get(each) != found.get(each)}
    lost = [f"{step}.{name}" for step, name in sorted(changed)
            if step != FIRST and _key(step, name) not in outputs]  # fmt: skip
    if lost:
        raise ConfigError(
            "expected parameters of a run that change what the compiled file leaves open; got some "
            f"that change {', '.join(lost)}; to fix, compile with --set in place of them"
        )
    own = {name: value for (step, name), value in found.items() if step == FIRST}
    others = {_key(*each): value for each, value in found.items() if each[0] != FIRST}
    return own, {key: value for key, value in others.items() if key in outputs}


def uses(run: Run) -> dict[str, set[Property]]:
    """What each parameter decides, by its name: what other values of it change in the graph."""
    config = run.config({})
    plain = properties(run, config)
    found: dict[str, set[Property]] = {}
    for parameter in run.parameters():
        changed = found.setdefault(parameter.name, set())
        for value in _others(parameter):
            other = _properties_with(run, config, parameter, value)
            changed |= {each for each in plain if other and plain[each] != other.get(each)}
    return found


def _properties_with(
    run: Run, config: PipelineConfig, parameter: RunParameter, value: Any
) -> dict[Property, Value] | None:
    """The same with another value of a parameter, with what follows from it, if it is allowed.

    One that is not is good enough where a graph can be made of it: nothing is run of it.
    """
    try:
        return properties(run, run.config({parameter.name: value}))
    except ConfigError:
        section, _, name = parameter.path.partition(".")
        options = getattr(config, section).model_copy(update={name: value})
    try:
        return properties(run, config.model_copy(update={section: options}))
    except ValueError:
        return None


def properties(run: Run, config: PipelineConfig) -> dict[Property, Value]:
    """The parameters of all steps, but those that another step gives."""
    inputs = Inputs(
        dataset=schemas.from_json(run.dataset),
        schema=run.schema_text,
        records=config.data.source or run.records,
    )
    return {
        (step.id, name): value
        for step in create_pipeline(config, inputs, pipeline_root="").components
        for name, value in step.exec_properties.items()
        if isinstance(value, Value)
    }


def _key(step: str, name: str) -> str:
    return f"{step}_{name}"


def _others(parameter: RunParameter) -> Iterator[Any]:
    """Values of the type that differ from the default, the least among them."""
    value, schema = parameter.value, parameter.schema
    match schema["type"]:
        case "boolean":
            yield not value
        case "integer" | "number":
            yield from {schema.get("minimum", 0), value + 1, 2 * value} - {value}
        case "string":
            yield from [each for each in schema.get("enum", ("/other",)) if each != value]
        case "array":
            yield from [each for each in ((), ("other",)) if list(each) != value]
        case "object":
            yield {}
