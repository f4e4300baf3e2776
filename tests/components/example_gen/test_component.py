"""The import without a shuffle, beside TFX's own."""

import apache_beam as beam
import pytest
import tensorflow as tf
from tfx import v1 as tfx
from tfx.components.example_gen.import_example_gen.executor import Executor
from tfx.proto import example_gen_pb2
from tfx.utils.proto_utils import proto_to_json

from components.dataset.records import Record, write_records
from components.example_gen.component import ImportExampleGen, ImportExampleGenExecutor

COUNTS = {"train": 7, "val": 3}
RUNNER = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records") / "span-1"
    splits = {
        split: [
            Record(
                filename=f"{split}{index}",
                image=bytes([index]) * 100,
                image_format="png",
                label=b"label",
                height=1,
                width=2,
            )
            for index in range(count)
        ]
        for split, count in COUNTS.items()
    }
    write_records(folder, splits, source="test", shards=2)
    return folder.parent


def execute(executor, folder, out):
    """Runs the executor; gives the artifact it has filled and the pipeline it has run."""
    # Patterns as the driver hands them over, with the span put in.
    splits = [example_gen_pb2.Input.Split(name=name, pattern=f"span-1/{name}-*") for name in COUNTS]
    examples = tfx.types.standard_artifacts.Examples()
    examples.uri = str(out)
    pipeline = beam.Pipeline(argv=[RUNNER])
    context = executor.Context(make_beam_pipeline_fn=lambda: pipeline)
    executor(context).Do(
        {},
        {"examples": [examples]},
        {
            "input_base": str(folder),
            "input_config": proto_to_json(example_gen_pb2.Input(splits=splits)),
            "output_config": proto_to_json(example_gen_pb2.Output()),
            "output_data_format": example_gen_pb2.FORMAT_TF_EXAMPLE,
            "output_file_format": example_gen_pb2.FORMAT_TFRECORDS_GZIP,
        },
    )
    return examples, pipeline


def before_writing(pipeline) -> set[str]:
    """The kinds of all transforms that records pass on their way to the writers."""
    waiting = []

    class Writers(beam.pipeline.PipelineVisitor):
        def visit_transform(self, applied):
            if applied.full_label.endswith("/WriteBundles"):
                waiting.append(applied)

    pipeline.visit(Writers())
    assert len(waiting) == len(COUNTS)
    kinds = set()
    while waiting:
        for records in waiting.pop().main_inputs.values():
            if records.producer:
                kinds.add(type(records.producer.transform).__name__)
                waiting.append(records.producer)
    return kinds


@pytest.fixture(scope="module")
def ours(folder, tmp_path_factory):
    return execute(ImportExampleGenExecutor, folder, tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def original(folder, tmp_path_factory):
    return execute(Executor, folder, tmp_path_factory.mktemp("original"))


def test_splits_hold_what_they_hold_with_the_executor_of_tfx(ours, original):
    content = [
        {
            split: sorted(
                record.numpy()
                for record in tf.data.TFRecordDataset(
                    tf.io.gfile.glob(f"{examples.uri}/Split-{split}/data_tfrecord-*-of-*.gz"),
                    "GZIP",
                )
            )
            for split in COUNTS
        }
        for examples, _ in (ours, original)
    ]
    assert content[0] == content[1]
    assert {split: len(records) for split, records in content[0].items()} == COUNTS


def test_artifact_says_what_it_says_with_the_executor_of_tfx(ours, original):
    mine, theirs = (examples.mlmd_artifact for examples, _ in (ours, original))
    assert mine.properties == theirs.properties
    assert mine.custom_properties == theirs.custom_properties
    assert mine.custom_properties["payload_format"].string_value == "FORMAT_TF_EXAMPLE"


def test_nothing_gathers_the_records_before_they_are_written(ours, original):
    # A group by key holds all records; Beam's local runner has no other place than memory.
    assert "GroupByKey" in before_writing(original[1])
    assert "GroupByKey" not in before_writing(ours[1])


def test_component_is_the_one_of_tfx_but_for_its_executor():
    component = ImportExampleGen(input_base="records")
    assert component.id == "ImportExampleGen"
    assert component.executor_spec.executor_class is ImportExampleGenExecutor
    assert component.driver_class is tfx.components.ImportExampleGen.DRIVER_CLASS
