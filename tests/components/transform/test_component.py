"""The Transform step: the graph of its function, and the sums that the data gate made."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import standard_artifacts

import schemas
from components.artifacts import DataReport
from components.data_gate import report
from components.dataset.examination.measures import NOTHING, measure
from components.dataset.limits import DEFAULT
from components.dataset.records import IMAGE, LABEL
from components.transform import preprocessing
from components.transform.component import Transform
from components.transform.statistics import read_statistics, training_statistics

pytestmark = pytest.mark.slow

SAMPLE = schemas.load("sample")


def measured(side: int):
    random = np.random.default_rng(side)
    return measure(
        random.integers(0, 256, (side, side, 3), np.uint8),
        random.integers(0, 9, (side, side), np.uint8),
    )


SOURCES = tuple(
    report.Source(
        span=span, digest="0" * 32, splits={"train": measured(10 * span), "val": measured(5)}
    )
    for span in (1, 2, 3)
)


@pytest.fixture(scope="module")
def graph(tmp_path_factory) -> str:
    """What the step writes."""
    folder = tmp_path_factory.mktemp("step")
    schema, gate = standard_artifacts.Schema(), DataReport()
    written = standard_artifacts.TransformGraph()
    for artifact in (schema, gate, written):
        artifact.uri = str(folder / artifact.type_name)
    for artifact, name, content in (
        (schema, "schema.pbtxt", schemas.schema_text("sample")),
        (gate, report.FILE, report.Report(sources=SOURCES).to_json()),
    ):
        (folder / artifact.type_name).mkdir()
        (folder / artifact.type_name / name).write_text(content)
    Transform.EXECUTOR_SPEC.executor_class(BaseExecutor.Context(unique_id="1")).Do(
        {"schema": [schema], "data_report": [gate]},
        {"transform_graph": [written]},
        {
            "dataset": schemas.to_json(SAMPLE),
            "split": "train",
            "canvas_size": 33,
            "max_pixels": DEFAULT.max_pixels,
            "max_bytes": DEFAULT.max_bytes,
            "source_fingerprint": "",
        },
    )
    return written.uri


def test_the_graph_is_that_of_its_function(graph):
    random = np.random.default_rng(0)
    image = tf.io.encode_png(random.integers(0, 256, (40, 20, 3), np.uint8)).numpy()
    label = tf.io.encode_png(random.integers(0, 7, (40, 20, 1), np.uint8)).numpy()
    inputs = {IMAGE: tf.constant([[image]]), LABEL: tf.constant([[label]])}
    output = tft.TFTransformOutput(graph)
    found = output.transform_features_layer()(inputs)
    expected = preprocessing.preprocessing_fn(inputs, {"canvas_size": 33, "ignore_label": 255})
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert {IMAGE, LABEL} < output.raw_feature_spec().keys()


def test_beside_it_lie_the_sums_of_the_training_split_over_all_sources(graph):
    total = sum((source.splits["train"] for source in SOURCES), NOTHING)
    assert read_statistics(graph) == training_statistics(total, SAMPLE.num_classes, 255)
