"""Our components write to a store as to a disk, and nothing beside their own addresses.

The store is TensorFlow's in-memory file system, which Beam does not know: what Beam writes itself,
the data gate's findings and measures, is not tried here.
"""

import json
import os
import uuid

import pytest
import tensorflow as tf
from tfx import v1 as tfx
from tfx.utils import path_utils

import schemas
from components.artifacts import DataReport, PicturesPage
from components.data_gate import report
from components.dataset.examination.measures import NOTHING
from components.initial_weights.component import InitialWeights
from components.report.component import Report
from components.runtime import Runtime
from components.serving import warm_up
from components.serving.check.component import ServingCheck
from components.serving.check.options import ServingOptions
from components.storage import paths
from components.trainer import history
from tests.components.serving.conftest import CLASSES, CROP, DESCRIPTION, IGNORE, NETWORK

pytestmark = pytest.mark.slow
types = tfx.types.standard_artifacts


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    """An empty current folder, which a store's path taken for a local one would show up in."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield
    assert list(folder.iterdir()) == []


@pytest.fixture
def artifact():
    """Makes artifacts at addresses of their own in one store."""
    store = f"ram://{uuid.uuid4().hex}"

    def artifact(kind, name: str):
        made = kind()
        made.uri = f"{store}/{name}"
        paths.make_folder(made.uri)
        return made

    yield artifact


@pytest.fixture
def stored_model(artifact, exported_model):
    made = artifact(types.Model, "model")
    paths.copy_tree(exported_model, path_utils.serving_model_dir(made.uri))
    return made


@pytest.fixture
def records(artifact, examples):
    made = artifact(types.Examples, "examples")
    made.split_names = '["val"]'
    folder = paths.join(made.uri, "Split-val")
    paths.make_folder(folder)
    with tf.io.TFRecordWriter(paths.join(folder, "part-0.gz"), "GZIP") as writer:
        for example in examples:
            writer.write(example.serialize())
    return made


def run(component, **arguments):
    component.EXECUTOR_SPEC.executor_class._FUNCTION(**arguments)


def test_initial_weights(artifact, exported_model, tmp_path):
    served = f"ram://{uuid.uuid4().hex}/serving"
    paths.copy_tree(exported_model, paths.join(served, "deeplab", "3"))
    weights = artifact(types.Model, "weights")
    network = NETWORK | {"num_classes": CLASSES, "input_shape": [CROP, CROP, 3]}
    with Runtime(served=served, training_states=str(tmp_path), beam_options={}).handed_on():
        run(
            InitialWeights,
            weights=weights,
            options=json.dumps({"source": "served", "scope": "all"}),
            network=json.dumps(network),
            class_names=json.dumps(DESCRIPTION["classes"]),
            tuned_batch_norm="all",
            name="deeplab",
            digest="",
            source_fingerprint="",
        )
    folder = path_utils.serving_model_dir(weights.uri)
    assert "weights.json" in paths.list_folder(folder)
    assert json.loads(paths.read_text(paths.join(folder, "weights.json")))["version"] == "3"
    assert paths.exists(paths.join(folder, "model.ckpt.index"))


def test_serving_check(artifact, stored_model, records, tmp_path):
    blessing = artifact(types.InfraBlessing, "blessing")
    with Runtime(served="", training_states=str(tmp_path), beam_options={}).handed_on():
        run(
            ServingCheck,
            model=stored_model,
            examples=records,
            blessing=blessing,
            split="val",
            num_classes=CLASSES,
            ignore_label=IGNORE,
            options=ServingOptions(requests=3).to_json(),
            batch_sizes="[1, 2]",
            warm_up_records=1,
            source_fingerprint="",
        )
    assert sorted(paths.list_folder(blessing.uri)) == ["INFRA_BLESSED", warm_up.FILE]


def test_report(artifact, evaluated, stored_model, records, examples):
    evaluation = artifact(types.ModelEvaluation, "evaluation")
    paths.copy_tree(evaluated, evaluation.uri)
    data_report = artifact(DataReport, "data_report")
    paths.make_folder(data_report.uri)
    content = report.Report(
        sources=(report.Source(span=1, digest="ab" * 16, splits={"val": NOTHING}),)
    )
    paths.write_text(paths.join(data_report.uri, report.FILE), content.to_json())
    model_run = artifact(types.ModelRun, "model_run")
    still = history.State(step=9, loss=1.0, mean_iou=0.1, change=0.0, val_mean_iou=0.1)
    history.write(model_run.uri, [still])
    page = artifact(PicturesPage, "page")
    run(
        Report,
        model=stored_model,
        examples=records,
        evaluation=evaluation,
        data_report=data_report,
        model_run=model_run,
        page=page,
        dataset=schemas.to_json(schemas.load("sample")),
        split="val",
        pictures=2,
        source_fingerprint="",
    )
    assert paths.list_folder(page.uri) == ["index.html", "predictions.png"]
    html = paths.read_text(paths.join(page.uri, "index.html"))
    assert os.path.basename(examples[0].filename) in html
    assert "the network stood still: in 9 steps" in html
