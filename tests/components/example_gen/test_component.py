"""The import of records, beside TFX's own, and of several spans."""

import json
from pathlib import Path

import apache_beam as beam
import pytest
import tensorflow as tf
from tfx import v1 as tfx
from tfx.components.example_gen.import_example_gen.executor import Executor
from tfx.proto import example_gen_pb2
from tfx.utils.proto_utils import proto_to_json

from components.dataset import source
from components.dataset.records import FILENAME, Record, write_records
from components.errors import DataError
from components.example_gen.component import ImportExampleGen
from components.runtime import Runtime
from components.storage import paths

COUNTS = {"train": 7, "val": 3}
PATTERNS = {"train": "train-*", "val": "val-*"}
RUNNER = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"


def write(folder: Path, name: str = "", shards: int = 2) -> None:
    """Writes records whose names begin with `name`."""
    splits = {
        split: [
            Record(
                filename=f"{name}{split}{index}",
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
    write_records(folder, splits, source="test", shards=shards)


def ingest(folder: Path, out: Path, window: int = 0, patterns: dict = PATTERNS):
    examples = tfx.types.standard_artifacts.Examples()
    examples.uri = str(out)
    runtime = Runtime(served="", training_states="", beam_options={"ImportExampleGen": (RUNNER,)})
    with runtime.handed_on():
        ImportExampleGen.EXECUTOR_SPEC.executor_class._FUNCTION(
            examples=examples,
            folder=str(folder),
            patterns=json.dumps(patterns),
            window=window,
            digest="any",
            source_fingerprint="any",
        )
    return examples


def read(examples, split: str, files: str = "*") -> list[bytes]:
    names = sorted(tf.io.gfile.glob(f"{examples.uri}/Split-{split}/{files}"))
    return [record.numpy() for record in tf.data.TFRecordDataset(names, "GZIP")]


def names(records: list[bytes]) -> list[str]:
    features = [tf.train.Example.FromString(record).features.feature for record in records]
    return [feature[FILENAME].bytes_list.value[0].decode() for feature in features]


def alike(record: bytes) -> bytes:
    """The same for two records of the same features, in whatever order they are written."""
    return tf.train.Example.FromString(record).SerializeToString(deterministic=True)


# === One folder ===


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain") / "records"
    write(folder)
    return folder


@pytest.fixture(scope="module")
def ours(folder, tmp_path_factory):
    return ingest(folder, tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def original(folder, tmp_path_factory):
    """What TFX's executor makes of the same files."""
    splits = [
        example_gen_pb2.Input.Split(name=name, pattern=pattern)
        for name, pattern in PATTERNS.items()
    ]
    examples = tfx.types.standard_artifacts.Examples()
    examples.uri = str(tmp_path_factory.mktemp("original"))
    context = Executor.Context(make_beam_pipeline_fn=lambda: beam.Pipeline(argv=[RUNNER]))
    Executor(context).Do(
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
    return examples


def test_records_stay_what_they_are_to_the_byte(ours, folder):
    files = sorted(tf.io.gfile.glob(f"{folder}/train-*"))
    given = [record.numpy() for record in tf.data.TFRecordDataset(files)]
    assert read(ours, "train") == given


@pytest.mark.parametrize("split", COUNTS)
def test_a_split_holds_what_it_holds_with_the_executor_of_tfx(ours, original, split):
    assert len(read(ours, split)) == COUNTS[split]
    # TFX's takes the records apart and writes the features in any order.
    assert sorted(map(alike, read(ours, split))) == sorted(map(alike, read(original, split)))


def test_the_artifact_says_of_splits_and_payload_what_tfx_says(ours, original):
    assert json.loads(ours.split_names) == json.loads(original.split_names)
    formats = [made.get_string_custom_property("payload_format") for made in (ours, original)]
    assert formats == ["FORMAT_TF_EXAMPLE"] * 2
    assert ours.get_string_custom_property("spans") == ""


def test_records_keep_the_order_of_their_files(tmp_path):
    write(tmp_path / "in", shards=1)
    examples = ingest(tmp_path / "in", tmp_path / "out")
    assert names(read(examples, "train")) == [f"train{index}" for index in range(7)]


def test_a_pattern_that_nothing_matches_is_an_error(folder, tmp_path):
    with pytest.raises(DataError, match=r"matching .*/valid-\*; got none; to fix"):
        ingest(folder, tmp_path, patterns=PATTERNS | {"val": "valid-*"})


# === Spans ===


@pytest.fixture(scope="module")
def spans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spans")
    for number in (2, 10, 1):
        write(folder / f"span-{number}", f"{number}/", shards=1)
    return folder


@pytest.mark.parametrize(("window", "numbers"), [(0, [1, 2, 10]), (2, [2, 10])])
def test_the_newest_spans_are_ingested_each_in_its_order(spans, tmp_path, window, numbers):
    examples = ingest(spans, tmp_path, window)
    assert examples.get_string_custom_property("spans") == ", ".join(map(str, numbers))
    for split, count in COUNTS.items():
        for number in numbers:
            found = names(read(examples, split, f"span-{number}-*"))
            assert found == [f"{number}/{split}{index}" for index in range(count)]
        files = [path.name for path in (tmp_path / f"Split-{split}").iterdir()]
        assert {name.split("-0")[0] for name in files} == {f"span-{n}" for n in numbers}


def test_a_folder_that_could_be_taken_for_a_span_is_an_error(tmp_path):
    for name in ("span-1", "span-02"):
        write(tmp_path / "in" / name)
    with pytest.raises(DataError, match="got span-02 beside them"):
        ingest(tmp_path / "in", tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["s3", "minio"])
def test_spans_in_a_store_that_speaks_s3_are_ingested_as_those_here(tmp_path, s3_bucket, scheme):
    for number in (1, 2, 3):
        write(tmp_path / "spans" / f"span-{number}", f"{number}-")
    there = f"{scheme}://{s3_bucket}/delivered data"
    paths.copy_tree(str(tmp_path / "spans"), there)
    here = ingest(tmp_path / "spans", tmp_path / "here", window=2)
    examples = ingest(there, tmp_path / "there", window=2)
    for split in COUNTS:
        assert names(read(examples, split)) == names(read(here, split))
    before = source.state(there, PATTERNS, 2)
    assert before == source.state(there, PATTERNS, 2) != source.state(there, PATTERNS, 3)
    paths.copy_tree(str(tmp_path / "spans" / "span-1"), f"{there}/span-4")
    assert source.state(there, PATTERNS, 2) != before
    with pytest.raises(DataError, match=r"of the train split matching other-\* in"):
        source.state(there, {**PATTERNS, "train": "other-*"}, 2)
