"""The data gate as a TFX component."""

import dataclasses
import json
import os

from absl import logging
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.types import artifact_utils

import schemas
from components import runtime, tfx
from components.artifacts import DataReport
from components.data_gate import report
from components.data_gate.beam_pass import examine_all
from components.data_gate.checks import drift
from components.data_gate.options import GateOptions
from components.dataset.examination.advice import describe_shared, shared_causes
from components.dataset.examination.findings import (
    ACCEPTABLE,
    CORRUPT,
    MISSING_FEATURE,
    Finding,
    counts_by_cause,
    describe,
    split_problems,
)
from components.dataset.limits import Limits
from components.errors import DataError
from components.storage import paths

_ANOMALIES_FILE = "SchemaDiff.pb"


@tfx.dsl.components.component
def DataGate(
    examples: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Examples],
    anomalies: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ExampleAnomalies],
    data_report: tfx.dsl.components.OutputArtifact[DataReport],
    dataset: tfx.dsl.components.Parameter[str],
    accept: tfx.dsl.components.Parameter[str],
    max_pixels: tfx.dsl.components.Parameter[int],
    max_bytes: tfx.dsl.components.Parameter[int],
    source_fingerprint: tfx.dsl.components.Parameter[str],
):
    """Fails the run on schema anomalies and on records that are not fit for training.

    Every record of every span is examined. Writes `components.data_gate.report`: which records
    there are and what they measure. `dataset` is JSON, `accept` that of `GateOptions`: the others
    are the drift gate's, and must not void the training that builds on this report.

    Raises:
        DataError: naming features, splits, spans, records, reasons, and how to accept them.
    """
    del source_fingerprint  # part of the cache key only
    description = schemas.from_json(dataset)
    found = _anomalies(anomalies)
    if found:
        raise DataError(
            "expected records as the schema describes them; got\n"
            + "\n".join(f"  {line}" for line in found)
            + f"\nto fix, mend the data, or accept it by editing schema.pbtxt of {description.name}"
        )
    splits = artifact_utils.decode_split_names(examples.split_names)
    found, sources = examine_all(
        {split: artifact_utils.get_split_uri([examples], split) for split in splits},
        description,
        Limits(max_pixels, max_bytes),
        data_report.uri,
        runtime.current().beam_options["DataGate"],
    )
    measured = report.Report(sources=sources)
    _check_findings(found, measured, description, json.loads(accept))
    paths.write_text(paths.join(data_report.uri, report.FILE), measured.to_json())
    for source in sources:
        logging.info("The data gate let pass: %s", source)


@tfx.dsl.components.component
def DriftGate(
    data_report: tfx.dsl.components.InputArtifact[DataReport],
    served_report: tfx.dsl.components.InputArtifact[DataReport],
    judged_report: tfx.dsl.components.OutputArtifact[DataReport],
    dataset: tfx.dsl.components.Parameter[str],
    options: tfx.dsl.components.Parameter[str],
    source_fingerprint: tfx.dsl.components.Parameter[str],
):
    """Says what of the newest data differs from before, and fails the run if it is to.

    Apart from the data gate, whose pass over all records need not be done again whenever another
    model is served. `served_report` is that on the data behind the served model, empty where
    nothing is served; `judged_report` is `data_report` with what was found.

    Raises:
        DataError: a distance is larger than allowed, and `gate.on_drift` is `stop`.
    """
    del source_fingerprint  # part of the cache key only
    description = schemas.from_json(dataset)
    allowed = GateOptions.from_json(options)
    measured = report.from_json(paths.read_text(paths.join(data_report.uri, report.FILE)))
    served = paths.join(served_report.uri, report.FILE)
    drifted = drift(
        measured,
        report.from_json(paths.read_text(served)) if paths.exists(served) else None,
        allowed,
        description.num_classes,
        description.ignore_label,
    )
    if drifted and allowed.on_drift == "stop":
        raise DataError(
            "expected data like that of before; got\n"
            + "\n".join(f"  {line}" for line in drifted)
            + "\nto fix, mend the data, raise the limit under gate, or accept it with "
            "--set gate.on_drift=warn"
        )
    for line in drifted:
        logging.warning("%s", line)
    content = dataclasses.replace(measured, drift=drifted).to_json()
    paths.write_text(paths.join(judged_report.uri, report.FILE), content)


def _check_findings(
    found: list[Finding],
    measured: report.Report,
    description: schemas.Dataset,
    accepted: list[str],
) -> None:
    """Refuses empty splits and what was found, unless it may be accepted and is.

    Raises:
        DataError: see `DataGate`.
    """
    broken = {finding.split for finding in found}
    empty = [
        f"{split} of {source.name}" if source.name else split
        for source in measured.sources
        for split, measures in source.splits.items()
        if not measures.records and split not in broken
    ]
    if empty:
        raise DataError(
            f"expected records in every split; got none in {', '.join(empty)}; to fix, check the "
            "file patterns and the files"
        )
    found = found + split_problems(
        "train",
        measured.total()["train"].pixels_256,
        description.class_names,
        description.ignore_label,
    )
    refused = [finding for finding in found if finding.cause not in accepted]
    for finding in found:
        logging.log(logging.ERROR if finding in refused else logging.DEBUG, "%s", finding)
    if refused:
        causes = sorted({finding.cause for finding in refused})
        shared = shared_causes(refused, _pictures(measured, found))
        advice = "mend that, and see what remains" if shared else "mend or remove these records"
        if all(cause in ACCEPTABLE for cause in causes):
            advice += f", or accept them with --set 'gate.accept={json.dumps(causes)}'"
        raise DataError(
            f"expected records fit for training; got {describe(refused, 'the log')}"
            f"{describe_shared(shared)}\n"
            f"to fix, {advice}"
        )
    if found:
        logging.warning("Accepted: %s", counts_by_cause(found))


def _pictures(measured: report.Report, found: list[Finding]) -> dict[str, int]:
    """How many records each split has, those that cannot be decoded included."""
    decoded = {split: measures.records for split, measures in measured.total().items()}
    lost = (*CORRUPT, MISSING_FEATURE)
    broken = {(f.split, f.filename) for f in found if f.cause in lost}
    return {
        split: count + sum(own == split for own, _ in broken) for split, count in decoded.items()
    }


def _anomalies(artifact) -> list[str]:
    """One line for each anomaly: split, feature, what is wrong."""
    lines = []
    for split in artifact_utils.decode_split_names(artifact.split_names):
        path = os.path.join(artifact_utils.get_split_uri([artifact], split), _ANOMALIES_FILE)
        found = anomalies_pb2.Anomalies.FromString(paths.read_bytes(path))
        if found.HasField("dataset_anomaly_info"):
            lines.append(f"{split}: {found.dataset_anomaly_info.description}")
        for feature, info in sorted(found.anomaly_info.items()):
            lines.append(f"{split} {feature}: {info.short_description}. {info.description}")
    return lines
