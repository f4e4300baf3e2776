"""A run that is given values is the run of a file that was compiled with them."""

import json
import os
import random
import re
import subprocess
import sys

import pytest
import yaml

import schemas
from components.errors import ConfigError
from components.options import Options
from pipeline import config as configuration
from pipeline import door, recipes
from pipeline.inputs import Inputs
from pipeline.kubeflow import check, run_parameters, specs
from pipeline.kubeflow.run_parameters import FIRST, Run, routing
from tests.conftest import REPOSITORY
from tests.end_to_end.test_door import HEAVY

pytestmark = pytest.mark.slow

RECORDS = "gs://bucket/records"
JUDGES = {"DataGate", "DriftGate", "Evaluator", "ServingCheck"}
SEARCHED = (
    'tflite.kinds=["int8"]',
    "tuner.trials=2",
    'tuner.space={"training.momentum": {"choices": [0.5, 0.9]}}',
)


def run_of(recipe: str, *assignments: str) -> Run:
    config = recipes.get(recipe)
    name = config.data.dataset
    return Run(
        recipe=config.model_dump(mode="json"),
        assignments=assignments,
        dataset=schemas.to_json(schemas.load(name)),
        schema_text=schemas.schema_text(name),
        records=RECORDS,
    )


def compiled(run: Run, config) -> dict:
    """The file of a configuration, before it has parameters."""
    inputs = Inputs(
        dataset=schemas.from_json(run.dataset),
        schema=run.schema_text,
        records=config.data.source or run.records,
    )
    spec = specs.compiled(config, inputs, "gs://bucket/artifacts", "registry.example/deeplab:1")
    for executor in spec["deploymentSpec"]["executors"].values():
        executor["container"] |= {"env": [], "command": ["python", "-m", "pipeline.kubeflow.step"]}
    return spec


def declared(run: Run) -> dict:
    """The same with parameters."""
    spec = compiled(run, run.config({}))
    routing.declare(spec, run)
    return spec


def taken(spec: dict, run: Run, given: dict) -> dict:
    """The constants of every step in a run of the file, and what it takes of the first step."""
    outputs = spec["components"][FIRST]["outputDefinitions"]["parameters"]
    own, handed_on = routing.settle(run, given, outputs)
    tasks = spec["root"]["dag"]["tasks"]
    found = {name: specs.constants(spec, name) for name in tasks} | {FIRST: own}
    for name, task in tasks.items():
        for key, source in task["inputs"].get("parameters", {}).items():
            output = source.get("taskOutputParameter", {}).get("outputParameterKey")
            if output in handed_on:
                found[name][key] = handed_on[output]
    return found


@pytest.fixture(scope="module")
def sample():
    run = run_of("sample")
    return run, declared(run)


def drawn(parameter, draw: random.Random):
    """A value, right or wrong, as Kubeflow gives it: whole numbers are fractions."""
    match parameter.schema["type"]:
        case "boolean":
            return draw.choice([True, False])
        case "integer":
            return draw.choice([-1.0, 0.0, 1.0, 2.5, 7.0, 240.0, 1000.0, 1e15])
        case "number":
            return draw.choice([-0.5, 0.0, 1e-5, 0.25, 1.0, 3.0, 200.0])
        case "string":
            texts = ["", "stop", "warn", "all", "except_logits", "served:other", "7"]
            paths = ["gs://b/spans", "/mnt/data", "here/there", "mobilenet_v2_pascal", "f" * 64]
            return draw.choice(texts + paths)
        case "array":
            return draw.choice([[], ["size"], ["orientation"], ["duplicate"], ["size", "size"]])
        case "object":
            return draw.choice([{}, {"int8": 2.0}, {"int8": 101.0}, {"int4": 1.0}])


def is_of_one_machine(name: str, value) -> bool:
    """Whether a value is a path that the steps on other machines could not find."""
    is_far = isinstance(value, str) and value.startswith(("/", "gs://"))
    if name == "initial_weights_source":
        return isinstance(value, str) and "/" in value and not is_far
    return name == "data_source" and not is_far


@pytest.mark.parametrize("recipe", recipes.RECIPES)
@pytest.mark.parametrize("assignments", [(), SEARCHED])
def test_what_steps_take_is_what_a_file_compiled_with_the_values_holds(recipe, assignments):
    if recipe == "pascal_checkpoint" and assignments:
        assignments = assignments[:1]  # A search needs a training.
    run = run_of(recipe, *assignments)
    spec, parameters = declared(run), {each.name: each for each in run.parameters()}
    shown = [p for name, p in parameters.items() if name in definitions(spec)]
    whole, draw, fits = compiled(run, run.config({})), random.Random(recipe), 0
    while fits < 3:  # Refusals are the more frequent, and cost little.
        given = {p.name: drawn(p, draw) for p in draw.sample(shown, draw.randint(1, 3))}
        new = {name: parameters[name].read(value) for name, value in given.items()}
        lines = [
            f"{parameters[name].path}={json.dumps(value)}"
            for name, value in new.items()
            if value != parameters[name].value
        ]
        try:
            config = configuration.override(recipes.get(recipe), [*run.assignments, *lines])
            door.check(config, schemas.from_json(run.dataset))
        except ConfigError as error:
            faults = set(str(error).split("\n"))
        else:
            faults = set()
        is_near = any(map(is_of_one_machine, new, new.values()))
        if faults or is_near:
            with pytest.raises(ConfigError) as refused:
                taken(spec, run, given)
            said = set(str(refused.value).split("\n"))
            assert faults <= said and (said > faults) == is_near
            continue
        fits += 1
        wanted = compiled(run, config)
        found = taken(spec, run, given)
        assert found == {name: specs.constants(wanted, name) for name in found}, given
    assert taken(spec, run, {}) == {
        name: specs.constants(whole, name) for name in whole["root"]["dag"]["tasks"]
    }


def definitions(spec: dict) -> dict:
    return spec["root"]["inputDefinitions"]["parameters"]


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({}, set()),
        ({"training_steps": 1600.0}, {FIRST, "Trainer", "Pusher"}),
        ({"training_learning_rate": 0.001}, {FIRST, "Trainer", "Pusher"}),
        ({"evaluation_min_mean_iou": 0.5}, {"Evaluator"}),
        ({"gate_max_size_distance": 0.5}, {"DriftGate"}),
        ({"gate_accept": ["duplicate"]}, {"DataGate", "DriftGate"}),
        ({"serving_max_memory_mb": 900.0}, {"ServingCheck"}),
        ({"push_enabled": False}, {FIRST, "Pusher"}),
        ({"data_span_window": 2.0}, {FIRST, "ImportExampleGen", "Pusher"}),
        ({"data_source": "s3://b/spans"}, {FIRST, "ImportExampleGen", "Pusher"}),
        ({"initial_weights_source": "served"}, {FIRST, "InitialWeights"}),
        # Where nothing is trained no batch normalization is tuned, and all weights are taken.
        (
            {"training_steps": 0.0, "initial_weights_source": "served"},
            {FIRST, "InitialWeights", "Trainer", "Pusher"},
        ),
    ],
)
def test_only_steps_for_which_something_changes_lose_their_cache(sample, given, changed):
    run, spec = sample
    plain, found = taken(spec, run, {}), taken(spec, run, given)
    assert {name for name in plain if plain[name] != found[name]} == changed


def as_kubeflow_gives(value):
    """Through its messages: whole numbers are fractions, keys are sorted."""
    match value:
        case int() if not isinstance(value, bool):
            return float(value)
        case dict():
            return {key: as_kubeflow_gives(value[key]) for key in sorted(value)}
        case list():
            return [as_kubeflow_gives(each) for each in value]
    return value


@pytest.mark.parametrize("recipe", recipes.RECIPES)
def test_values_that_are_the_defaults_change_nothing(recipe):
    run = run_of(recipe, SEARCHED[0])
    given = {
        each.name: as_kubeflow_gives(each.definition()["defaultValue"]) for each in run.parameters()
    }
    plain = configuration.override(recipes.get(recipe), [SEARCHED[0]])
    assert run.config(given).to_json() == run.config({}).to_json() == plain.to_json()


def test_the_file_is_fit_and_each_parameter_is_typed_described_and_has_its_default(sample):
    run, spec = sample
    assert not check.faults(yaml.safe_dump(spec).encode())[0]
    names = [each.name for each in run.parameters()]
    assert len(set(names)) == len(names)
    for name, defined in definitions(spec).items():
        assert re.fullmatch("[a-z0-9_]+", name)
        assert set(defined) == {"parameterType", "description", "defaultValue", "isOptional"}
        assert "\n" not in defined["description"] and "--set " in defined["description"]
        task = spec["root"]["dag"]["tasks"][FIRST]["inputs"]["parameters"]
        assert task[name] == {"componentInputParameter": name}


def test_a_parameter_that_decides_nothing_of_a_file_is_left_out(sample):
    run, spec = sample
    assert "tflite_max_points_lost" not in definitions(spec)
    assert "tflite_max_points_lost" in definitions(declared(run_of("sample", SEARCHED[0])))
    assert {each.name for each in run.parameters()} - set(definitions(spec)) == {
        "tflite_max_points_lost"
    }


def test_every_option_that_only_judges_is_a_parameter():
    run = run_of("sample", *SEARCHED)
    config, known = run.config({}), {each.path for each in run.parameters()}
    plain, judging = routing.properties(run, config), set()
    for section in type(config).model_fields:
        options = getattr(config, section)
        for name in type(options).model_fields if isinstance(options, Options) else ():
            value = getattr(options, name)
            if type(value) not in (bool, int, float):
                continue
            new = not value if isinstance(value, bool) else value / 2 or 1
            changes = {name: type(value)(new)}
            other = config.model_copy(update={section: options.model_copy(update=changes)})
            try:
                found = routing.properties(run, other)
            except ValueError:
                continue  # Not alone: an option of what is made.
            changed = {step for step, key in plain if plain[step, key] != found[step, key]}
            if changed and changed <= JUDGES:
                judging.add(f"{section}.{name}")
    assert len(judging) > 10 and judging <= known


def test_what_a_file_holds_fast_is_not_changed_unseen(sample):
    run, _ = sample
    with pytest.raises(ConfigError, match=r"got some that change .*Trainer\.train_args"):
        routing.settle(run, {"training_steps": 1600.0}, ())


def test_files_of_other_versions_and_unknown_names_are_refused(sample, monkeypatch):
    run, _ = sample
    with pytest.raises(ConfigError, match=r"among data_source, .*got training_stepz"):
        run.config({"training_stepz": 1})
    older = {**run.recipe, "training": {**run.recipe["training"], "epochs": 3}}
    with pytest.raises(ConfigError, match=r"training\.epochs.*compile the file with the version"):
        run.model_copy(update={"recipe": older}).config({})
    monkeypatch.setenv(run_parameters.VARIABLE, '{"recipe": 1}')
    with pytest.raises(ConfigError, match="compile the file with the version"):
        run_parameters.current()
    monkeypatch.delenv(run_parameters.VARIABLE)
    assert run_parameters.current() is None


WRONG = [
    ("training_steps", -1, "expected training.steps to be a whole number of at least 0; got -1"),
    ("evaluation_min_mean_iou", 40, "a fraction in [0, 1], not a percentage; got 40"),
    ("data_source", "here", "expected data.source to be an absolute path or a bucket's address"),
    ("data_source", "", "expected data.source to be an absolute path"),
    ("gate_on_drift", "shrug", "expected gate.on_drift to be one of stop, warn; got 'shrug'"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_the_check_refuses_what_the_first_step_would_without_tensorflow(
    sample, tmp_path, name, value, message
):
    run, spec = sample
    path = tmp_path / "deeplab.yaml"
    path.write_text(yaml.safe_dump(spec))
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "pipeline", "check", str(path),
         "--parameter", f"{name}={json.dumps(value)}"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and message in done.stdout, done.stdout + done.stderr
    assert not HEAVY.findall(done.stderr)
    with pytest.raises(ConfigError) as refused:
        run.config({name: value})
    assert str(refused.value) in done.stdout


def test_the_first_step_ends_with_the_sentence_of_the_door(sample, tmp_path):
    run, spec = sample
    container = spec["deploymentSpec"]["executors"][f"{FIRST}_executor"]["container"]
    given = {
        name: source["runtimeValue"]["constant"]
        for name, source in spec["root"]["dag"]["tasks"][FIRST]["inputs"]["parameters"].items()
        if "runtimeValue" in source
    }
    given |= {name: defined["defaultValue"] for name, defined in definitions(spec).items()}
    invocation = {
        "inputs": {"parameterValues": given | {"training_steps": 3.5}},
        "outputs": {"outputFile": str(tmp_path / "output_metadata.json")},
    }
    args = [json.dumps(invocation) if word == "{{$}}" else word for word in container["args"]]
    done = subprocess.run(
        [sys.executable, *container["command"][1:], *args],
        cwd=REPOSITORY,
        env={**os.environ, run_parameters.VARIABLE: run.model_dump_json()},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    with pytest.raises(ConfigError) as refused:
        configuration.override(recipes.get("sample"), ["training.steps=3.5"])
    assert str(refused.value) in " ".join(done.stdout.split()), done.stdout
    assert not list(tmp_path.iterdir())


def test_the_table_in_the_documentation_is_that_of_the_code():
    run = run_of("sample", SEARCHED[0])
    used = routing.uses(run)
    rows = [
        f"| `{each.name}` | `{each.kind}` | {', '.join(sorted({s for s, _ in used[each.name]}))} |"
        for each in run.parameters()
    ]
    text = (REPOSITORY / "docs" / "kubeflow.md").read_text()
    section = text.partition("## Run parameters\n")[2].partition("\n## ")[0]
    assert [line for line in section.splitlines() if line.startswith("| `")] == rows
