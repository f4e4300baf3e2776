"""The data gate as a TFX component."""

import dataclasses
import json
import os

import apache_beam as beam
import tensorflow as tf
from absl import logging
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import v1 as tfx
from tfx.dsl.component.experimental.annotations import BeamComponentParameter
from tfx.types import artifact_utils

from components.artifacts import DataReport
from components.data_gate.checks import Finding, check_record, describe
from components.errors import DataError

_ANOMALIES_FILE = "SchemaDiff.pb"


class _CheckRecord(beam.DoFn):
    """Serialized record to findings; counts what it saw."""

    def __init__(self, split: str, num_classes: int, ignore_label: int):
        self._split = split
        self._num_classes = num_classes
        self._ignore_label = ignore_label

    def process(self, serialized: bytes):
        yield beam.pvalue.TaggedOutput("seen", 1)
        yield from check_record(serialized, self._split, self._num_classes, self._ignore_label)


@tfx.dsl.components.component(use_beam=True)
def DataGate(
    examples: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Examples],
    anomalies: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ExampleAnomalies],
    report: tfx.dsl.components.OutputArtifact[DataReport],
    num_classes: tfx.dsl.components.Parameter[int],
    ignore_label: tfx.dsl.components.Parameter[int],
    schema_path: tfx.dsl.components.Parameter[str],
    source_fingerprint: tfx.dsl.components.Parameter[str],
    beam_pipeline: BeamComponentParameter[beam.Pipeline] = None,
):
    """Fails the run on schema anomalies or on any record that is not fit for training.

    Writes `report/records.json`: how many records each split has.

    Raises:
        DataError: naming features, records and reasons.
    """
    del source_fingerprint  # part of the cache key only
    found = _anomalies(anomalies)
    if found:
        raise DataError(
            "expected records as the schema describes them; got\n"
            + "\n".join(f"  {line}" for line in found)
            + f"\nto fix, mend the data, or accept it by editing {schema_path}"
        )
    splits = artifact_utils.decode_split_names(examples.split_names)
    with beam_pipeline as pipeline:
        for split in splits:
            checked = (
                pipeline
                | f"Read[{split}]"
                >> beam.io.ReadFromTFRecord(
                    os.path.join(artifact_utils.get_split_uri([examples], split), "*")
                )
                | f"Check[{split}]"
                >> beam.ParDo(_CheckRecord(split, num_classes, ignore_label)).with_outputs(
                    "seen", main="findings"
                )
            )
            for name, rows in (
                (
                    "findings",
                    checked.findings
                    | f"ToJson[{split}]" >> beam.Map(lambda f: json.dumps(dataclasses.asdict(f))),
                ),
                ("seen", checked.seen | f"Count[{split}]" >> beam.CombineGlobally(sum)),
            ):
                _ = rows | f"Write[{split}][{name}]" >> beam.io.WriteToText(
                    os.path.join(report.uri, f"{name}-{split}"), shard_name_template=""
                )
    counts = {
        split: int(_read_text(os.path.join(report.uri, f"seen-{split}")) or 0) for split in splits
    }
    findings = [
        Finding(**json.loads(line))
        for split in splits
        for line in _read_text(os.path.join(report.uri, f"findings-{split}")).splitlines()
    ]
    empty = [split for split, count in counts.items() if not count]
    if empty:
        raise DataError(
            f"expected records in every split; got none in {', '.join(empty)}; to fix, check the "
            "file patterns and the files"
        )
    if findings:
        for finding in findings:
            logging.error("%s", finding)
        raise DataError(
            f"expected {sum(counts.values())} records fit for training; got {describe(findings)}\n"
            "to fix, mend or remove these records"
        )
    with tf.io.gfile.GFile(os.path.join(report.uri, "records.json"), "w") as file:
        json.dump(counts, file)
    logging.info("The data gate let %s records pass", sum(counts.values()))


def _read_text(path: str) -> str:
    with tf.io.gfile.GFile(path) as file:
        return file.read().strip()


def _anomalies(artifact) -> list[str]:
    """One line for each anomaly: split, feature, what is wrong."""
    lines = []
    for split in artifact_utils.decode_split_names(artifact.split_names):
        path = os.path.join(artifact_utils.get_split_uri([artifact], split), _ANOMALIES_FILE)
        with tf.io.gfile.GFile(path, "rb") as file:
            found = anomalies_pb2.Anomalies.FromString(file.read())
        if found.HasField("dataset_anomaly_info"):
            lines.append(f"{split}: {found.dataset_anomaly_info.description}")
        for feature, info in sorted(found.anomaly_info.items()):
            lines.append(f"{split} {feature}: {info.short_description}. {info.description}")
    return lines
