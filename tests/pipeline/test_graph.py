"""Options reach the steps that they concern, and no cache key of another."""

import pytest
from tfx.dsl.compiler import compiler

import schemas
from components.serving.push_options import PushOptions
from components.tflite.options import TFLiteOptions
from components.tuner.options import TunerOptions
from pipeline import recipes, steps
from pipeline.graph import create_pipeline
from pipeline.inputs import Inputs

DATASET = "sample"
PHONES = TFLiteOptions(kinds=("float32", "int8"))
SEARCH = TunerOptions(trials=2, space={"training.momentum": {"min": 0.5, "max": 0.9}})


def nodes(tuner: TunerOptions, **options) -> dict:
    """The compiled steps by name."""
    inputs = Inputs(
        dataset=schemas.load(DATASET), schema=schemas.schema_text(DATASET), records="/records"
    )
    config = recipes.get(DATASET).replace(tuner=tuner, **options)
    pipeline = create_pipeline(config, inputs, pipeline_root="/runs")
    compiled = compiler.Compiler().compile(pipeline)
    return {node.pipeline_node.node_info.id: node.pipeline_node for node in compiled.nodes}


@pytest.fixture(scope="module")
def plain():
    return nodes(TunerOptions())


def test_without_a_search_there_is_no_step_of_it_and_no_mention(plain):
    assert set(plain) == set(steps.ALL) - set(steps.OPTIONAL)
    for name, node in plain.items():
        assert "tuner" not in str(node).lower(), name


@pytest.mark.parametrize("change", [{"steps_per_trial": 7}, {"algorithm": "random"}, {"seed": 3}])
def test_without_a_search_its_options_change_no_step(plain, change):
    assert nodes(TunerOptions(**change)) == plain


def test_a_search_changes_no_parameter_but_the_one_of_what_made_the_model(plain):
    searched = nodes(SEARCH)
    assert set(searched) == set(plain) | {"Tuner"}
    changed = {name for name in plain if searched[name].parameters != plain[name].parameters}
    # The hash of all that made the model, by which it is compared with what is served.
    assert changed == {"Sources", "Pusher"}
    inputs = [name for name in plain if searched[name].inputs != plain[name].inputs]
    assert inputs == ["Trainer"]


@pytest.mark.parametrize(
    "change",
    [{"trials": 3}, {"steps_per_trial": 7}, {"algorithm": "random"}, {"seed": 3},
     {"space": {"training.momentum": {"min": 0.5, "max": 0.8}}}],
)  # fmt: skip
def test_every_option_of_a_search_is_in_its_cache_key(change):
    before, after = nodes(SEARCH), nodes(SEARCH.replace(**change))
    assert before["Tuner"].parameters != after["Tuner"].parameters


@pytest.mark.parametrize(
    "change",
    [{"label": "canary"}, {"keep_versions": 3}, {"batch_timeout_micros": 0}],
)
def test_how_a_model_is_pushed_decides_nothing_before(plain, change):
    pushed = nodes(TunerOptions(), push=PushOptions(**change))
    assert {name for name in plain if pushed[name] != plain[name]} == {"Pusher"}


@pytest.mark.parametrize("change", [{"batch_sizes": (1, 2)}, {"warm_up_records": 0}])
def test_what_a_server_is_warmed_up_with_is_checked_before(plain, change):
    pushed = nodes(TunerOptions(), push=PushOptions(**change))
    changed = {name for name in plain if pushed[name] != plain[name]}
    assert changed == {"ServingCheck", "Pusher"}


@pytest.mark.parametrize("change", [{"on_drift": "stop"}, {"max_class_distance": 0.9}])
def test_what_drift_is_judged_by_changes_no_step_but_the_one_that_judges(plain, change):
    changed = nodes(TunerOptions(), gate=recipes.get(DATASET).gate.replace(**change))
    assert [name for name in plain if changed[name] != plain[name]] == ["DriftGate"]


@pytest.mark.parametrize(
    "change",
    [{"pictures": 3}, {"calibration_pictures": 7}, {"seed": 3}, {"threads": 2},
     {"max_points_lost": 4.0}],
)  # fmt: skip
def test_options_of_files_for_phones_are_in_the_cache_key_of_their_step_alone(plain, change):
    assert nodes(TunerOptions(), tflite=TFLiteOptions(**change)) == plain
    before = nodes(TunerOptions(), tflite=PHONES)
    after = nodes(TunerOptions(), tflite=PHONES.replace(**change))
    assert [name for name in before if before[name] != after[name]] == ["TFLite"]


def test_files_for_phones_come_between_evaluator_and_pusher_and_change_nothing_before(plain):
    phones = nodes(TunerOptions(), tflite=PHONES)
    assert set(phones) == set(plain) | {"TFLite"}
    assert "Evaluator" in phones["TFLite"].upstream_nodes
    assert {"Report", "Pusher"} <= set(phones["TFLite"].downstream_nodes)
    assert all(phones[name].parameters == plain[name].parameters for name in plain)
    inputs = {name for name in plain if phones[name].inputs != plain[name].inputs}
    assert inputs == {"Report", "Pusher"}
