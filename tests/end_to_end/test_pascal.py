"""The whole pipeline on real pictures, as a user runs it; ML Metadata is the witness.

The tests stand in the order of one story and share its output folder.
"""

import json
import re
import shutil

import pytest

from components.data_gate import report
from components.metadata import runs
from tests.end_to_end.conftest import NODES

pytestmark = [pytest.mark.slow, pytest.mark.real_data]


OTHER_ENVIRONMENT = """
root = "output"
metadata = "sqlite:{root}/metadata.sqlite"
image = "registry.example/deeplab:1"
min_free_disk_gb = 1

[beam]
options = [
  "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",
  "--direct_running_mode=multi_threading",
  "--direct_num_workers=2",
]
"""


@pytest.fixture(scope="module")
def arguments(shared_data):
    """A minute of fine-tuning from the official checkpoint on a few pictures."""
    changes = {
        "data.train_limit": 16,
        "data.val_limit": 12,
        "data.canvas_size": 193,
        "training.steps": 6,
        "training.steps_per_epoch": 6,
        "training.save_every_steps": 2,
        "training.batch_size": 4,
        "training.learning_rate": 1e-6,
        "training.fine_tune_batch_norm": "false",
        "evaluation.min_mean_iou": 0.2,
        # Twelve pictures hold a few pixels of some classes, which nothing finds at this size.
        "evaluation.allow_dead_classes": "true",
    }
    return (
        *("--dataset", "pascal", "--recipe", "pascal_checkpoint"),
        *("--data-dir", str(shared_data / "VOCdevkit")),
        *("--checkpoint", str(shared_data / "checkpoints/deeplabv3_mnv2_dm05_pascal")),
        *(word for path, value in changes.items() for word in ("--set", f"{path}={value}")),
    )


def test_weights_that_do_not_fit_fail_before_any_data_is_converted(checkout, arguments):
    done = checkout.run(*arguments, "--set", "model.width_multiplier=1.0")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "of shape" in done.stdout and "model.ckpt-30000" in done.stdout
    assert not list((checkout.output / "data").glob("*"))


def test_folded_batch_norm_is_not_tuned_and_said_before_any_data_is_converted(checkout, arguments):
    done = checkout.run(*arguments, "--set", "training.fine_tune_batch_norm=true")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "54 of 54 layers" in done.stdout and "fine_tune_batch_norm=false" in done.stdout
    assert not list((checkout.output / "data").glob("*"))


def test_a_run_killed_in_training_goes_on_and_pushes(checkout, arguments):
    seen = checkout.run_and_kill(*arguments, when="step 4/6")
    assert "step 4/6" in seen
    assert checkout.pushed() == []
    done = checkout.run(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Training goes on after step 4" in done.stdout
    assert "step 2/6" not in done.stdout and "step 6/6" in done.stdout
    assert "blessed, proven to serve and pushed" in done.stdout

    steps = checkout.steps()
    assert steps.keys() == NODES
    assert {node for node, step in steps.items() if step.state == "cached"} >= {
        "ImportExampleGen", "DataGate", "Transform",
    }  # fmt: skip
    assert checkout.executions("Trainer") == ["running", "complete"]
    assert checkout.executions("Evaluator") == ["complete"]
    assert len(checkout.pushed()) == 1
    assert not list((checkout.output / "training").glob("*/*"))
    artifacts = [artifact.type for artifact in checkout.store().get_artifacts()]
    # Beside the candidate: the weights it began with, and a baseline, which is empty. Reports of
    # both gates, and of what is served, empty too.
    made = {"Model": 3, "deeplab.DataReport": 3}
    for kind in ("Examples", "Schema", "TransformGraph", "Model", "ModelRun", "ModelEvaluation",
                 "ModelBlessing", "InfraBlessing", "deeplab.DataReport", "deeplab.PicturesPage",
                 "PushedModel"):  # fmt: skip
        assert artifacts.count(kind) == made.get(kind, 1), kind


def test_a_version_carries_what_it_was_made_from(checkout):
    (version,) = checkout.pushed()
    extra = checkout.output / "serving" / "deeplab" / version / "assets.extra"
    content = report.from_json((extra / "data_report.json").read_text())
    assert {split: m.records for split, m in content.total().items()} == {"train": 16, "val": 12}
    provenance = json.loads((extra / "provenance.json").read_text())
    assert provenance["pipeline"] == "deeplab-pascal" and provenance["made_from"]
    assert json.loads((extra / "model.json").read_text())["identity"]


def test_the_page_shows_scores_and_pictures(checkout):
    (page,) = checkout.steps()["Report"].outputs["page"]
    with open(f"{page.uri}/index.html") as file:
        html = file.read()
    assert html.count('alt="prediction of') == 12
    assert "mean IoU" in html and "blessed" in html and "person" in html


def test_an_identical_run_trains_nothing_and_pushes_nothing(checkout, arguments):
    before = checkout.pushed()
    done = checkout.run(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing new" in done.stdout
    states = {node: step.state for node, step in checkout.steps().items()}
    assert states == dict.fromkeys(NODES, "cached")
    assert checkout.executions("Trainer").count("complete") == 1
    assert checkout.pushed() == before


@pytest.mark.parametrize("change", ["damaged", "overtaken"])
def test_a_version_that_is_not_served_any_more_is_not_called_pushed(checkout, arguments, change):
    served = checkout.output / "serving" / "deeplab"
    version = served / checkout.pushed()[-1]
    kept = checkout.folder / "kept"
    shutil.copytree(version, kept)
    other = served / "99999999999"
    if change == "damaged":
        (version / "variables" / "variables.index").write_bytes(b"")
    else:
        other.mkdir()  # A server would try to load it.
    done = checkout.run(*arguments)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"was pushed to {version}; got" in done.stdout and "Traceback" not in done.stdout
    advice = re.search(r"the same command with (--from-node \S+ --no-cache)", done.stdout)[1]
    done = checkout.run(*arguments, *advice.split())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "blessed, proven to serve and pushed" in done.stdout
    # As it was, for the rest of the story.
    for path in (*map(served.joinpath, checkout.pushed()), other):
        shutil.rmtree(path, ignore_errors=True)
    shutil.move(kept, version)
    checkout.run(*arguments, *advice.split())


def test_a_model_that_is_served_is_judged_anew_and_not_pushed_twice(checkout, arguments):
    before = checkout.pushed()
    done = checkout.run(*arguments, "--set", "evaluation.min_mean_iou=0.21")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "This very model is served already" in done.stdout and "nothing new" in done.stdout
    states = {node: step.state for node, step in checkout.steps().items()}
    assert {node for node, state in states.items() if state == "complete"} == {
        "Evaluator", "Report", "Pusher",
    }  # fmt: skip
    assert checkout.pushed() == before


def test_another_environment_voids_no_cache(checkout, arguments, tmp_path):
    """Another engine, image and amount of free disk: what is computed is the same."""
    place = tmp_path / "other.toml"
    place.write_text(OTHER_ENVIRONMENT)
    before = checkout.pushed()
    done = checkout.run(*arguments, "--environment", str(place))
    assert done.returncode == 0, done.stdout + done.stderr
    states = {node: step.state for node, step in checkout.steps().items()}
    assert states == dict.fromkeys(NODES, "cached")
    assert checkout.pushed() == before


def test_the_other_environment_is_used(checkout, arguments, tmp_path):
    place = tmp_path / "broken.toml"
    place.write_text(OTHER_ENVIRONMENT.replace("multi_threading", "no_such_mode"))
    done = checkout.run(*arguments, "--environment", str(place), "--no-cache")
    assert done.returncode == 2
    assert "expected options that Beam takes under beam in the environment broken" in done.stdout
    log = max((checkout.output / "logs").glob("*.txt"))
    assert "no_such_mode" in log.read_text()


def test_a_worse_model_is_refused_and_not_pushed(checkout, arguments):
    before = checkout.pushed()
    done = checkout.run(*arguments, "--set", "initial_weights.source=null")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "required is at least 0.2000" in done.stdout
    assert "against the baseline" in done.stdout
    assert "nothing was pushed" in done.stdout
    assert checkout.pushed() == before
    assert checkout.executions("Trainer").count("complete") == 2
    steps = checkout.steps()
    assert steps["ServingCheck"].state == "complete"
    assert steps["Pusher"].outputs["pushed_model"][0].properties["pushed"] == 0


def test_touching_a_model_file_trains_again_and_keeps_the_data_steps(checkout, arguments):
    before = checkout.pushed()
    source = checkout.folder / "models" / "head.py"
    source.write_text(source.read_text() + "\n# touched\n")
    done = checkout.run(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    states = {node: step.state for node, step in checkout.steps().items()}
    after = {"Trainer", "Evaluator", "Report", "ServingCheck", "Pusher"}
    assert {node for node, state in states.items() if state == "complete"} >= after
    assert {node for node, state in states.items() if state == "cached"} >= {
        "ImportExampleGen", "StatisticsGen", "DataGate", "Transform",
    }  # fmt: skip
    pushed = checkout.pushed()
    assert len(pushed) == len(before) + 1 and set(before) < set(pushed)


def test_every_model_can_be_traced_to_its_data(checkout):
    store = checkout.store()
    steps = {step.execution_id: step for step in runs.all_steps(store)}
    pushed = checkout.steps()["Pusher"]
    seen, todo = set(), [pushed.execution_id]
    while todo:
        execution = todo.pop()
        seen.add(steps[execution].node_id)
        inputs = [
            event.artifact_id
            for event in store.get_events_by_execution_ids([execution])
            if event.type == event.INPUT
        ]
        producers = store.get_events_by_artifact_ids(inputs) if inputs else []
        todo += [
            event.execution_id
            for event in producers
            if event.type == event.OUTPUT and event.execution_id not in todo
        ]
    # What the first step has looked at reaches the others as parameters.
    assert seen == NODES - {"Report", "Sources"}


def test_bad_records_stop_at_the_gate(checkout, arguments, tmp_path):
    import tensorflow as tf

    from components.dataset import records

    (good,) = (checkout.output / "data").glob("pascal-*")
    bad = tmp_path / "records"
    shutil.copytree(good, bad)
    path = records.record_files(bad, "val-*")[0]
    examples = list(records.read_examples([path]))
    image = examples[-1].features.feature[records.IMAGE].bytes_list
    image.value[0] = image.value[0][: len(image.value[0]) // 2]
    name = examples[-1].features.feature[records.FILENAME].bytes_list.value[0].decode()
    with tf.io.TFRecordWriter(path) as writer:
        for example in examples:
            writer.write(example.SerializeToString())
    trained = checkout.executions("Trainer")
    done = checkout.run(*arguments, "--data-dir", str(bad))
    assert done.returncode == 3, done.stdout + done.stderr
    assert f"val {name}: corrupt picture" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert checkout.steps()["DataGate"].state == "failed"
    assert checkout.executions("Trainer") == trained
