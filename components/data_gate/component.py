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

import schemas
from components.artifacts import DataReport
from components.data_gate.checks import check_record, drift, repeated
from components.data_gate.options import GateOptions
from components.dataset.examination import measures
from components.dataset.examination.findings import (
    ACCEPTABLE,
    Finding,
    counts_by_cause,
    describe,
    split_problems,
)
from components.errors import DataError

MEASURES = "measures.json"
_ANOMALIES_FILE = "SchemaDiff.pb"


class _CheckRecord(beam.DoFn):
    """Serialized record to findings, measures, and what names and pictures are known by."""

    def __init__(self, split: str, num_classes: int, ignore_label: int):
        self._split = split
        self._num_classes = num_classes
        self._ignore_label = ignore_label

    def process(self, serialized: bytes):
        checked = check_record(serialized, self._split, self._num_classes, self._ignore_label)
        yield beam.pvalue.TaggedOutput("measures", checked.measures)
        place = self._split, checked.filename
        yield beam.pvalue.TaggedOutput("places", (("name", checked.filename), place))
        yield beam.pvalue.TaggedOutput("places", (("picture", checked.digest), place))
        yield from checked.findings


class _SumMeasures(beam.CombineFn):
    """Adds up measures."""

    def create_accumulator(self) -> measures.Measures:
        return measures.NOTHING

    def add_input(self, total, element):
        return total + element

    def merge_accumulators(self, totals):
        return sum(totals, measures.NOTHING)

    def extract_output(self, total):
        return total


@tfx.dsl.components.component(use_beam=True)
def DataGate(
    examples: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Examples],
    anomalies: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ExampleAnomalies],
    report: tfx.dsl.components.OutputArtifact[DataReport],
    dataset: tfx.dsl.components.Parameter[str],
    options: tfx.dsl.components.Parameter[str],
    dataset_digest: tfx.dsl.components.Parameter[str],
    source_fingerprint: tfx.dsl.components.Parameter[str],
    blessed_report: tfx.dsl.components.InputArtifact[DataReport] = None,
    beam_pipeline: BeamComponentParameter[beam.Pipeline] = None,
):
    """Fails the run on schema anomalies and on records that are not fit for training.

    Writes `findings`, all that was found, and `measures.json`: the measures of each split, and
    what has drifted from `blessed_report`, that of the data behind the last blessed model.

    Raises:
        DataError: naming features, splits, records, reasons, and how to accept them.
    """
    del dataset_digest, source_fingerprint  # part of the cache key only
    description = schemas.load(dataset)
    allowed = GateOptions(**json.loads(options))
    found = _anomalies(anomalies)
    if found:
        raise DataError(
            "expected records as the schema describes them; got\n"
            + "\n".join(f"  {line}" for line in found)
            + "\nto fix, mend the data, or accept it by editing "
            + os.path.join("schemas", dataset, "schema.pbtxt")
        )
    splits = artifact_utils.decode_split_names(examples.split_names)
    _examine(beam_pipeline, examples, splits, description, report.uri)
    measured = {
        split: measures.from_json(json.loads(_read_text(report.uri, f"measures-{split}")))
        for split in splits
    }
    _check_findings(report.uri, splits, measured, description, allowed)
    old = _measures_of(blessed_report) if blessed_report else None
    drifted = drift(measured, old, allowed, description.num_classes, description.ignore_label)
    if drifted and allowed.on_drift == "stop":
        raise DataError(
            "expected data like that of before; got\n"
            + "\n".join(f"  {line}" for line in drifted)
            + "\nto fix, mend the data, raise the limit under gate, or accept it with "
            "--set gate.on_drift=warn"
        )
    for line in drifted:
        logging.warning("%s", line)
    _write(
        report.uri,
        MEASURES,
        {"splits": {split: m.to_json() for split, m in measured.items()}, "drift": drifted},
    )
    logging.info("The data gate let %s records pass", sum(m.records for m in measured.values()))


def _examine(pipeline, examples, splits, description: schemas.Dataset, uri: str) -> None:
    """One pass over all records; writes `findings` and, for each split, `measures-<split>`."""
    with pipeline as started:
        found, places = [], []
        for split in splits:
            pattern = os.path.join(artifact_utils.get_split_uri([examples], split), "*")
            checked = (
                started
                | f"Read[{split}]" >> beam.io.ReadFromTFRecord(pattern)
                | f"Check[{split}]"
                >> beam.ParDo(
                    _CheckRecord(split, description.num_classes, description.ignore_label)
                ).with_outputs("measures", "places", main="findings")
            )
            found.append(checked.findings)
            places.append(checked.places)
            _ = (
                checked.measures
                | f"Sum[{split}]" >> beam.CombineGlobally(_SumMeasures())
                | f"MeasuresToJson[{split}]" >> beam.Map(lambda m: json.dumps(m.to_json()))
                | f"WriteMeasures[{split}]"
                >> beam.io.WriteToText(
                    os.path.join(uri, f"measures-{split}"), shard_name_template=""
                )
            )
        again = (
            tuple(places)
            | "AllPlaces" >> beam.Flatten()
            | beam.GroupByKey()
            | beam.FlatMap(lambda group: repeated(group[1], group[0][0]))
        )
        _ = (
            (*found, again)
            | "AllFindings" >> beam.Flatten()
            | beam.Map(lambda finding: json.dumps(dataclasses.asdict(finding)))
            | beam.io.WriteToText(os.path.join(uri, "findings"), shard_name_template="")
        )


def _check_findings(
    uri: str,
    splits: list[str],
    measured: dict[str, measures.Measures],
    description: schemas.Dataset,
    allowed: GateOptions,
) -> None:
    """Refuses empty splits and what was found, unless it may be accepted and is.

    Raises:
        DataError: see `DataGate`.
    """
    lines = sorted(_read_text(uri, "findings").splitlines())
    found = [Finding(**json.loads(line)) for line in lines]
    decodable = {split: measured[split].records for split in splits}
    broken = {finding.split for finding in found}
    empty = [split for split, count in decodable.items() if not count and split not in broken]
    if empty:
        raise DataError(
            f"expected records in every split; got none in {', '.join(empty)}; to fix, check the "
            "file patterns and the files"
        )
    found += split_problems(
        "train",
        measured["train"].pixels_256,
        description.class_names,
        description.ignore_label,
    )
    refused = [finding for finding in found if finding.cause not in allowed.accept]
    for finding in found:
        logging.log(logging.ERROR if finding in refused else logging.DEBUG, "%s", finding)
    if refused:
        causes = sorted({finding.cause for finding in refused})
        advice = "mend or remove these records"
        if all(cause in ACCEPTABLE for cause in causes):
            advice += f", or accept them with --set 'gate.accept={json.dumps(causes)}'"
        raise DataError(
            f"expected records fit for training; got {describe(refused, 'the log')}\n"
            f"to fix, {advice}"
        )
    if found:
        logging.warning("Accepted: %s", counts_by_cause(found))


def _measures_of(report) -> dict[str, measures.Measures]:
    content = json.loads(_read_text(report.uri, MEASURES))
    return {split: measures.from_json(values) for split, values in content["splits"].items()}


def _write(uri: str, name: str, content: dict) -> None:
    with tf.io.gfile.GFile(os.path.join(uri, name), "w") as file:
        json.dump(content, file)


def _read_text(uri: str, name: str) -> str:
    with tf.io.gfile.GFile(os.path.join(uri, name)) as file:
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
