"""The gates as steps: several spans of records in, a report or a refusal out."""

import dataclasses
import io
import itertools
import json
import random
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import v1 as tfx

import schemas
from components.artifacts import DataReport
from components.data_gate import report
from components.data_gate.component import DataGate, DriftGate
from components.data_gate.options import GateOptions
from components.dataset.limits import MAX_BYTES, MAX_PIXELS
from components.dataset.records import Record
from components.errors import DataError
from components.runtime import Runtime

RUNNER = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"
SAMPLE = schemas.load("sample")
types = tfx.types.standard_artifacts

_SEEDS = itertools.count()


def encode(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def record(name: str, value: int = 100, image: bytes | None = None, label: int = 0) -> bytes:
    """A picture unlike all others and a mask of all classes, with one label in place of 0."""
    pixels = np.random.default_rng(next(_SEEDS)).integers(-5, 6, (24, 24, 3)) + value
    mask = np.arange(24 * 24).reshape(24, 24) % SAMPLE.num_classes
    mask[mask == 0] = label
    return Record(
        filename=name,
        image=encode(pixels.astype(np.uint8)) if image is None else image,
        image_format="png",
        label=encode(mask.astype(np.uint8)),
        height=24,
        width=24,
    ).serialize()


def good(value: int = 100) -> dict[str, list[bytes]]:
    return {split: [record(f"{split}.png", value)] for split in ("train", "val")}


Files = Mapping[str, Mapping[str, list[bytes]]]
"""Records by the first part of the file's name, and by split."""


def artifact(kind: type, folder: Path):
    made = kind()
    made.uri = str(folder)
    folder.mkdir(parents=True)
    return made


def report_on(folder: Path, text: str | None):
    """A report of the gate as an artifact, empty where there is none."""
    made = artifact(DataReport, folder)
    if text is not None:
        (folder / report.FILE).write_text(text)
    return made


def examine(folder: Path, files: Files, anomaly: str = "", **options) -> str:
    """Runs the data gate on records as the import leaves them; gives the text of its report."""
    examples, anomalies = (
        artifact(types.Examples, folder / "e"),
        artifact(types.ExampleAnomalies, folder / "a"),
    )
    after = artifact(DataReport, folder / "r")
    examples.split_names = anomalies.split_names = '["train", "val"]'
    for split in ("train", "val"):
        (folder / "e" / f"Split-{split}").mkdir()
        for name, splits in files.items():
            path = folder / "e" / f"Split-{split}" / f"{name}-00000-of-00001.gz"
            with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
                for each in splits[split]:
                    writer.write(each)
        found = anomalies_pb2.Anomalies()
        if anomaly:
            found.anomaly_info[anomaly].short_description = "Column dropped"
        (folder / "a" / f"Split-{split}").mkdir()
        (folder / "a" / f"Split-{split}" / "SchemaDiff.pb").write_bytes(found.SerializeToString())
    runtime = Runtime(served="", training_states="", beam_options={"DataGate": (RUNNER,)})
    with runtime.handed_on():
        DataGate.EXECUTOR_SPEC.executor_class._FUNCTION(
            examples=examples,
            anomalies=anomalies,
            data_report=after,
            dataset=schemas.to_json(SAMPLE),
            accept=json.dumps(GateOptions(**options).accept),
            max_pixels=MAX_PIXELS,
            max_bytes=MAX_BYTES,
            source_fingerprint="",
        )
    return (folder / "r" / report.FILE).read_text()


def judge(folder: Path, text: str, served: str | None, **options) -> report.Report:
    """Runs the drift gate on two reports of the data gate."""
    DriftGate.EXECUTOR_SPEC.executor_class._FUNCTION(
        data_report=report_on(folder / "new", text),
        served_report=report_on(folder / "served", served),
        judged_report=artifact(DataReport, folder / "judged"),
        dataset=schemas.to_json(SAMPLE),
        options=GateOptions(**options).model_dump_json(),
        source_fingerprint="",
    )
    return report.from_json((folder / "judged" / report.FILE).read_text())


def sources(text: str) -> tuple[report.Source, ...]:
    return report.from_json(text).sources


def test_every_span_is_examined_and_has_sums_of_its_own(tmp_path):
    spans = {"span-2": good(), "span-10": good()}
    spans["span-10"]["train"].append(record("more.png"))
    found = sources(examine(tmp_path, spans))
    assert [source.span for source in found] == [2, 10]
    counts = [{s: m.records for s, m in source.splits.items()} for source in found]
    assert counts == [{"train": 1, "val": 1}, {"train": 2, "val": 1}]
    assert len({source.digest for source in found}) == 2


@pytest.mark.parametrize(("name", "place"), [("records", ""), ("span-3", "span-3/")])
def test_a_finding_names_the_span_before_the_picture(tmp_path, name, place):
    files = {"span-1": good(), name: good()} if place else {name: good()}
    files[name]["train"].append(record("broken.png", image=b"no picture"))
    with pytest.raises(DataError, match=rf"  train {place}broken\.png: corrupt picture, "):
        examine(tmp_path, files)


def test_the_digest_of_a_source_is_of_its_records_in_any_order(tmp_path):
    records = {"train": [record(f"{index}.png") for index in range(6)], "val": [record("v.png")]}
    shuffled = records | {"train": random.Random(1).sample(records["train"], 6)}
    fewer = records | {"train": records["train"][1:]}
    digests = [
        sources(examine(tmp_path / str(index), {"records": files}))[0].digest
        for index, files in enumerate((records, shuffled, fewer))
    ]
    assert digests[0] == digests[1] != digests[2]
    assert all(len(digest) == 32 for digest in digests)


# === The same in two places ===


def twice(one: str, split: str, other: str, other_split: str, image_only: bool) -> Files:
    """A picture in two places, under one name or two."""
    picture = encode(np.random.default_rng(0).integers(0, 256, (24, 24, 3)).astype(np.uint8))
    files = {"span-1": good(), "span-2": good()}
    files[one][split].append(record("a.png", image=picture))
    files[other][other_split].append(record("b.png" if image_only else "a.png", image=picture))
    return files


@pytest.mark.parametrize("image_only", [False, True])
@pytest.mark.parametrize(
    ("place", "finding"),
    [
        (
            ("span-1", "train", "span-2", "train"),
            "train span-2/{0}.png: duplicate, the same picture",
        ),
        (("span-1", "train", "span-2", "val"), "val span-2/{0}.png: in two splits, train has the"),
        (("span-1", "train", "span-1", "val"), "val span-1/{0}.png: in two splits, train has the"),
    ],
)
def test_a_picture_in_two_spans_or_splits_is_found(tmp_path, place, finding, image_only):
    with pytest.raises(DataError) as caught:
        examine(tmp_path, twice(*place, image_only))
    message = str(caught.value)
    assert finding.format("b" if image_only else "a") in message
    assert "got 1 × " in message and "--set 'gate.accept=[" in message


def test_what_may_be_accepted_is_accepted(tmp_path):
    files = twice("span-1", "train", "span-2", "val", image_only=True)
    found = sources(examine(tmp_path, files, accept=("in two splits",)))
    assert [source.splits["val"].records for source in found] == [1, 2]


@pytest.mark.parametrize("broken", [0, 1])
def test_a_label_of_all_records_is_to_be_declared_and_no_record_to_be_removed(tmp_path, broken):
    files = {
        split: [record(f"{split}{i}.png", label=11) for i in range(3)] for split in ("train", "val")
    }
    files["val"] += [record("broken.png", image=b"no picture")] * broken
    with pytest.raises(DataError) as caught:
        examine(tmp_path, {"span-1": files})
    message = str(caught.value)
    total = 6 + broken
    assert f"label 11 is in 6 of {total} masks: declare it as a class in dataset.toml" in message
    assert "mend that, and see what remains" in message and "remove" not in message


def test_what_is_wrong_with_one_record_is_mended_there(tmp_path):
    files = good()
    files["train"].append(record("odd.png", label=11))
    with pytest.raises(DataError, match="to fix, mend or remove these records"):
        examine(tmp_path, {"span-1": files})


def test_other_pictures_of_the_same_name_in_two_spans_are_fine(tmp_path):
    examine(tmp_path, {"span-1": good(), "span-2": good()})


def test_other_pictures_of_the_same_name_in_one_span_are_found(tmp_path):
    files = {"span-1": good(), "span-2": good()}
    files["span-2"]["val"].append(record("train.png"))
    with pytest.raises(
        DataError, match=r"val span-2/train\.png: in two splits, train has the same n"
    ):
        examine(tmp_path, files)


# === Refused as a whole ===


@pytest.mark.parametrize(("name", "place"), [("span-2", "val of span-2"), ("records", "val")])
def test_an_empty_split_is_refused(tmp_path, name, place):
    files = {"span-1": good()} if name == "span-2" else {}
    files[name] = good() | {"val": []}
    with pytest.raises(DataError, match=f"records in every split; got none in {place}; to fix"):
        examine(tmp_path, files)


def test_anomalies_of_the_schema_are_refused(tmp_path):
    with pytest.raises(
        DataError, match=r"train image/encoded: Column dropped.*(?s:.)*to fix, mend"
    ):
        examine(tmp_path, {"records": good()}, anomaly="image/encoded")


# === Against the data behind the served model ===


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> tuple[str, str]:
    """On one span, and on it and a much brighter one."""
    spans = {"span-1": good(100), "span-2": good(244)}
    folder = tmp_path_factory.mktemp("reports")
    first = {"span-1": spans["span-1"]}
    return examine(folder / "1", first), examine(folder / "2", spans)


def test_the_newest_span_has_drifted_and_a_run_may_stop_for_it(reports, tmp_path):
    first, both = reports
    with pytest.raises(DataError, match=r"drift of the val split of span-2 against .*brightness"):
        judge(tmp_path / "stops", both, first, on_drift="stop")
    judged = judge(tmp_path / "warns", both, first)
    assert len(judged.drift) == 2 and all("of span-2" in line for line in judged.drift)
    # All but what has drifted is the data gate's.
    assert dataclasses.replace(judged, drift=()).to_json() == both


def test_where_nothing_is_served_nothing_has_drifted(reports, tmp_path):
    assert judge(tmp_path, reports[1], None, on_drift="stop").drift == ()


def test_data_that_the_served_model_has_learned_from_is_nothing_new(reports, tmp_path):
    first, both = reports
    judge(tmp_path / "unchanged", both, both, on_drift="stop")
    judge(tmp_path / "one of two", first, both, on_drift="stop")
