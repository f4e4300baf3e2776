"""What a task is handed and what is taken from it, by Kubeflow's rules."""

import json
import re

import pytest

from components.errors import ConfigError
from tests.pipeline.kubeflow.replay.small_files import TITLE, Files
from tests.pipeline.kubeflow.small_pipeline import parameter

pytestmark = pytest.mark.slow

TYPES = {
    "text": ("STRING", 'a "b" $x <&>\n é {{$}}'),
    "whole": ("NUMBER_INTEGER", 3.0),
    "number": ("NUMBER_DOUBLE", 1e-05),
    "truth": ("BOOLEAN", True),
    "list": ("LIST", [1.0, "a", {"b": False}]),
    "table": ("STRUCT", {"a": [0.5, 2.0]}),
}
DEFINITIONS = {name: parameter(kind) for name, (kind, _) in TYPES.items()}
SOURCES = {name: {"componentInputParameter": name} for name in TYPES}
SHOWN = 'printf "%s" "$all" > $made'


def test_the_executor_input_is_what_the_launcher_writes(tmp_path):
    files = Files({name: parameter(kind, defaultValue=v) for name, (kind, v) in TYPES.items()})
    files.add("first", "mkdir $made; echo 1 > $made/a")
    files.add(
        "step",
        SHOWN,
        after=["first"],
        inputs={**DEFINITIONS, "left_out": parameter("STRING", defaultValue="d"),
                "optional": parameter("STRING", isOptional=True, defaultValue="e")},
        values={**SOURCES, "left_out": {"runtimeValue": {"constant": "{{$.pipeline_task_name}}"}}},
        made={"count": "NUMBER_INTEGER"},
    )  # fmt: skip
    # A parameter that is left out has no placeholder in the driver.
    arguments = files.container("step")["args"]
    arguments[:] = [word for word in arguments if "['optional']" not in word]
    arguments[0] = arguments[0].replace('optional="$1"; shift\n', "") + "\necho 5 > $count"
    seen = files.replay(tmp_path, parameters={"whole": 4})
    assert seen.code == 0, seen.log("step")
    given = json.loads(seen.path("step").read_text())
    values = {name: value for name, (_, value) in TYPES.items()}
    assert given["inputs"]["parameterValues"] == {
        **values, "whole": 4, "left_out": "step", "optional": "e"
    }  # fmt: skip
    assert re.search('"whole": 4[,}]', seen.path("step").read_text())
    (first,) = given["inputs"]["artifacts"]["first"]["artifacts"]
    assert first["uri"] == seen.artifact("first")["uri"] and first["name"].isdigit()
    # As in Kubeflow's ML Metadata: the type is lost, and there are properties of its own.
    assert first["type"] == {"instanceSchema": ""}
    assert first["metadata"].keys() == {"display_name", "store_session_info"}
    outputs = given["outputs"]
    (made,) = outputs["artifacts"]["made"]["artifacts"]
    assert made["name"] == "made" and f"title: {TITLE}" in made["type"]["instanceSchema"]
    root, run, task, execution = made["uri"].removesuffix("/made").rsplit("/", 3)
    assert root == "minio://mlpipeline/v2/artifacts/small" and task == "step"
    assert run in str(seen.replayed.logs) and execution
    assert (
        outputs["outputFile"]
        == f"/minio/mlpipeline/v2/artifacts/small/{run}/step/{execution}/output_metadata.json"
    )
    assert outputs["parameters"] == {"count": {"outputFile": "/tmp/kfp/outputs/count"}}
    assert seen.parameters("step") == {"count": 5}


@pytest.mark.parametrize("name", TYPES)
def test_a_value_passes_through_a_task_unchanged(name, tmp_path):
    kind, value = TYPES[name]
    files = Files({name: parameter(kind)})
    source = {"of": {"componentInputParameter": name}}
    files.add("writes", 'printf "%s" "$of" > $gives; echo 1 > $made',
              inputs={"of": parameter(kind)}, values=source, made={"gives": kind})  # fmt: skip
    of = {"of": {"taskOutputParameter": {"producerTask": "writes", "outputParameterKey": "gives"}}}
    files.add("takes", 'printf "%s" "$of" > $made', inputs={"of": parameter(kind)}, values=of)
    seen = files.replay(tmp_path, parameters={name: value})
    assert seen.code == 0, seen.why
    assert seen.parameters("writes") == {"gives": value}
    text = seen.path("takes").read_text()
    assert (text if kind == "STRING" else json.loads(text)) == value
    assert files.replay(tmp_path, parameters={name: value}).in_state("cached") == set(seen.states)


@pytest.mark.parametrize("name", TYPES)
def test_a_value_of_another_type_than_the_producer_has_is_refused_or_made_a_text(name, tmp_path):
    kind, value = TYPES[name]
    other = "BOOLEAN" if kind != "BOOLEAN" else "LIST"
    files = Files()
    said = json.dumps({"parameterValues": {"gives": value}}).replace("'", "'\\''")
    said = said.replace("{{$}}", "")
    script = f"echo 1 > $made; printf '%s' '{said}' > $(dirname $made)/output_metadata.json"
    files.add("writes", script, made={"gives": other})
    of = {"of": {"taskOutputParameter": {"producerTask": "writes", "outputParameterKey": "gives"}}}
    files.add("takes", "echo 1 > $made", inputs={"of": parameter(other)}, values=of)
    seen = files.replay(tmp_path)
    assert seen.states == {"writes": "done", "takes": "failed"}
    assert f"of type {other}" in seen.why and not (seen.replayed.logs / "takes.txt").exists()


SAYS = """
mkdir $made; echo 1 > $made/a
uri="$(echo "$all" | grep -o 'minio://[^"]*/made')"
file="$(dirname $made)/output_metadata.json"
say() { printf '{"artifacts": {"made": {"artifacts": [%s]}}}' "$1" > $file; }
"""


def test_what_a_step_says_of_an_output_reaches_those_that_take_it(tmp_path):
    metadata = {"whole": 2.0, "truth": True, "text": "é", "list": [1], "table": {"a": 1}}
    files = Files()
    said = json.dumps({"metadata": metadata})
    files.add("says", SAYS + f"say '{said}'")
    files.add("takes", SHOWN, after=["says"])
    seen = files.replay(tmp_path)
    assert seen.code == 0, seen.why
    taken = json.loads(seen.path("takes").read_text())["inputs"]["artifacts"]["says"]["artifacts"]
    kept = {
        "whole": 2,
        "truth": 1,
        "text": "é",
        "list": {"list": [1]},
        "table": {"struct": {"a": 1}},
    }
    assert kept.items() <= taken[0]["metadata"].items()
    # The cache gives it on as it was.
    assert files.replay(tmp_path).artifact("says")["metadata"] == taken[0]["metadata"]


def test_a_step_may_put_an_output_elsewhere_below_its_root(tmp_path):
    files = Files()
    files.add("says", SAYS + 'mv $made $made-2; say "{\\"uri\\": \\"$uri-2\\"}"')
    files.add("takes", "cat $from_says/a > $made", after=["says"])
    seen = files.replay(tmp_path)
    assert seen.code == 0, seen.why
    assert seen.artifact("says")["uri"].endswith("/made-2")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("true", "got none of made"),
        ("mkdir -p $made/empty", "got none of made"),
        (SAYS + 'say "{\\"uri\\": \\"$uri-2\\"}"', "got none of made"),
        (SAYS + 'say "{\\"uri\\": \\"minio://mlpipeline/other\\"}"', "below the root of the step"),
        (SAYS + 'say "{\\"uri\\": \\"$uri/../../../x\\"}"', "below the root of the step"),
        (SAYS + 'say "{\\"uri\\": \\"/etc/hostname\\"}"', "below the root of the step"),
        (SAYS + "say '{}, {}'", "got 2, of which Kubeflow keeps the first"),
        (SAYS + """say '{"metadata": {"a": null}}'""", "null, which ML Metadata cannot keep"),
        (SAYS + """say '{"unknown": 1}'""", "expected an ExecutorOutput"),
        (SAYS + "echo '{' > $file", "expected an ExecutorOutput"),
        (SAYS + "printf '\\377' > $file", "expected an ExecutorOutput"),
    ],
)
def test_outputs_that_are_not_there_or_not_so_fail_the_step(script, why, tmp_path):
    files = Files()
    files.add("step", script)
    seen = files.replay(tmp_path)
    assert seen.code == 1 and why in seen.why
    assert not list((tmp_path / "store").glob("cache/*"))


@pytest.mark.parametrize(
    ("script", "why"),
    [("true", "got none of count"), ("echo many > $count", "of type NUMBER_INTEGER; got 'many")],
)
def test_output_parameters_that_are_not_there_or_not_so_fail_the_step(script, why, tmp_path):
    files = Files()
    files.add("step", f"echo 1 > $made; {script}", made={"count": "NUMBER_INTEGER"})
    seen = files.replay(tmp_path)
    assert seen.code == 1 and why in seen.why


def test_an_input_that_has_left_the_store_is_named(tmp_path):
    files = Files()
    files.add("first", "echo 1 > $made")
    first = files.replay(tmp_path)
    first.path("first").unlink()
    files.add("takes", "cat $from_first > $made", after=["first"])
    seen = files.replay(tmp_path)
    assert seen.states == {"first": "cached", "takes": "failed"}
    assert first.artifact("first")["uri"] in seen.why


# === Keys of the cache ===


def test_defaults_of_a_component_are_no_part_of_the_key_and_a_key_of_its_own_is_all(tmp_path):
    files = Files()
    definition = {"of": parameter("STRING", defaultValue="a", isOptional=True)}
    files.add("step", SHOWN, inputs=definition)
    for word in ("{{$.inputs.parameters['of']}}",):
        files.container("step")["args"].remove(word)
    files.container("step")["args"][0] = files.container("step")["args"][0].replace(
        'of="$1"; shift\n', ""
    )
    assert files.replay(tmp_path).states == {"step": "done"}
    definition["of"]["defaultValue"] = "b"
    assert files.replay(tmp_path).states == {"step": "cached"}
    files.tasks["step"]["cachingOptions"] = {"enableCache": True, "cacheKey": "mine"}
    assert files.replay(tmp_path).states == {"step": "done"}
    files.container("step")["image"] = "registry.example/another:1"
    assert files.replay(tmp_path).states == {"step": "cached"}
    files.spec["pipelineInfo"]["name"] = "another"
    assert files.replay(tmp_path).states == {"step": "done"}


# === Parameters of a run ===


@pytest.mark.parametrize(
    "given", [{"unknown": 1}, {"number": "a"}, {"number": True}, {"number": None}, {}], ids=str
)
def test_parameters_of_a_run_are_judged_before_anything_runs(given, tmp_path):
    files = Files({"number": parameter("NUMBER_DOUBLE")})
    files.add("step", "echo 1 > $made", inputs={"of": parameter("NUMBER_DOUBLE")},
              values={"of": {"componentInputParameter": "number"}})  # fmt: skip
    with pytest.raises(ConfigError, match="number"):
        files.replay(tmp_path, parameters=given)
    assert not (tmp_path / "store").exists()


def test_an_optional_parameter_that_is_not_given_is_left_out(tmp_path):
    files = Files({"of": parameter("STRING", isOptional=True)})
    files.add("step", SHOWN, inputs={"of": parameter("STRING", isOptional=True)},
              values={"of": {"componentInputParameter": "of"}})  # fmt: skip
    arguments = files.container("step")["args"]
    arguments.remove("{{$.inputs.parameters['of']}}")
    arguments[0] = arguments[0].replace('of="$1"; shift\n', "")
    given = json.loads(files.replay(tmp_path).path("step").read_text())
    assert given["inputs"]["parameterValues"] == {}
