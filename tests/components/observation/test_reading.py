"""What is read: own lines and TensorFlow Serving's records, whole, cut off, and what is neither."""

import gzip
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from components.errors import ConfigError, DataError
from components.observation import measuring, reading
from components.observation.sums import Line
from components.serving import tensors
from components.storage import tfrecords
from tests.components.observation.pictures import line, mask_of, pictures, write_lines

BROKEN = [
    "",
    "{",
    "[]",
    "3",
    "null",
    "{}",
    '"schema"',
    "[" * 100_000,
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    "x" * 3_000_000,
]
WRONG = [
    ("time", 3), ("time", "yesterday"), ("time", "2026-03-04T05:06:07"),
    ("width", 0), ("width", -1), ("width", 2.5), ("width", True), ("width", 2**40),
    ("brightness", -0.1), ("brightness", 256), ("brightness", float("nan")), ("brightness", "1"),
    ("class_pixels", []), ("class_pixels", {"256": 1}), ("class_pixels", {"cat": 1}),
    ("class_pixels", {"1": -1}), ("class_pixels", {"1": 1.5}), ("class_pixels", {"1": 10**30}),
    ("asked", []), ("asked", {}), ("version", "7"), ("version", 1.5),
    ("confidence", 1.5), ("confidence", "high"), ("error", 3), ("error", None),
    ("seconds", -1), ("seconds", float("inf")), ("seconds", "1"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_a_line_with_a_wrong_field_is_counted_as_broken_and_adds_nothing(tmp_path, field, value):
    path = write_lines(tmp_path / "log", [line(), line(**{field: value})])
    found = reading.read([path], "deeplab")
    assert (found.total.pictures, found.broken) == (1, 1)


@pytest.mark.parametrize("field", sorted(line().keys() - {"schema"}))
def test_a_line_without_a_field_is_no_line(field):
    content = line()
    del content[field]
    with pytest.raises(ValueError, match="no line of a log"):
        Line(content)


def test_other_lines_are_counted_and_said(tmp_path):
    path = tmp_path / "log"
    good = [json.dumps(one) for one in (line(), line(model="other"), line(schema=2), line())]
    path.write_text("\n".join([*BROKEN, *good, "", good[0][:50]]))
    found = reading.read([str(path)], "deeplab")
    assert found.total.pictures == 2
    assert (found.other_models, found.other_schemas, found.broken) == (1, 1, len(BROKEN))
    assert found.passed_over()[0] == "1 line of another model or signature"


def test_nothing_left_is_bad_data(tmp_path):
    path = write_lines(tmp_path / "log", [line(model="other"), {}])
    with pytest.raises(DataError, match=r"got none: 1 line of another model .*; 1 line broken; to"):
        reading.read([path], "deeplab")
    with pytest.raises(DataError, match="got none: empty files; to fix"):
        reading.read([write_lines(tmp_path / "empty", [])], "deeplab")


def test_windows_are_of_universal_time(tmp_path):
    times = ["2026-03-04T23:30:00+00:00", "2026-03-05T01:30:00+02:00", "2026-03-05T00:00:00Z", None]
    path = write_lines(tmp_path / "log", [line(time=time) for time in times])
    days = reading.read([path], "deeplab", "day")
    assert {name: sums.pictures for name, sums in days.windows.items()} == {
        "2026-03-04": 2,
        "2026-03-05": 1,
    }
    assert days.untimed == 1 and days.total.pictures == 4
    assert list(reading.read([path], "deeplab", "hour").windows) == [
        "2026-03-04 23:00",
        "2026-03-05 00:00",
    ]


def test_parts_add_up_to_the_whole_however_they_are_stored(tmp_path, monkeypatch):
    random = np.random.default_rng(4)
    lines = [
        line(
            width=int(random.integers(1, 5000)),
            brightness=float(random.uniform(0, 255)),
            class_pixels={str(label): int(random.integers(9)) for label in range(4)},
            seconds=float(10 ** random.uniform(-5, 3)),
        )
        for _ in range(300)
    ]
    whole = reading.read([write_lines(tmp_path / "whole", lines)], "deeplab").total
    write_lines(tmp_path / "part-1", lines[:100])
    with gzip.open(tmp_path / "part-2.gz", "wt") as file:
        file.writelines(json.dumps(one) + "\n" for one in lines[100:200])
    text = "".join(json.dumps(one) + "\n" for one in lines[200:]).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(text))))
    files = reading.find([f"{tmp_path}/part-*", f"{tmp_path}/part-1", "-"])
    parts = reading.read(files, "deeplab").total
    assert whole.pictures == parts.pictures == 300
    for one, other in zip(vars(whole).values(), vars(parts).values(), strict=True):
        assert one == pytest.approx(other)
    seconds = np.quantile([one["seconds"] for one in lines], 0.5)
    assert seconds <= 1.01 * whole.seconds(0.5) <= 1.3 * seconds


def test_memory_is_bounded_where_errors_and_versions_are_not(tmp_path):
    lines = [line(asked=n, version=n, error=f"got {n}x{n} pixels") for n in range(1000)]
    found = reading.read([write_lines(tmp_path / "log", lines)], "deeplab").total
    assert len(found.versions) == 101 and sum(found.versions.values()) == 1000
    assert dict(found.errors) == {"got …x… pixels": 1000}


@pytest.mark.parametrize("pattern", ["nowhere", "no*", "folder", "fol*"])
def test_what_is_no_log_is_refused(tmp_path, pattern):
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match=r"expected a log of requests at .*; to fix, give"):
        reading.find([str(tmp_path / pattern)])


# === TensorFlow Serving's ===


def prediction(files: list[bytes], model: str = "deeplab", **outputs) -> bytes:
    log = PredictionLog()
    request, response = log.predict_log.request, log.predict_log.response
    request.model_spec.name = response.model_spec.name = model
    response.model_spec.version.value = 12
    request.inputs["image_bytes"].CopyFrom(tensors.to_proto(tensors.strings(files)))
    for name, values in outputs.items():
        response.outputs[name].CopyFrom(tensors.to_proto(values))
    return log.SerializeToString()


@pytest.fixture
def served(tmp_path) -> str:
    """Three requests of ten pictures in all, one of another model, one that is no message."""
    path = tmp_path / "served"
    files = pictures(7, 10)
    with tfrecords.Writer(path) as writer:
        for start, end in ((0, 1), (1, 4), (4, 10)):
            masks = [mask_of(2, 3, label) for label in range(start, end)]
            outputs = {
                "mask_bytes": tensors.strings(masks),
                "error": tensors.strings([b""] * (end - start)),
                "mean_confidence": np.full(end - start, 0.5, np.float32),
            }
            writer.write(prediction(files[start:end], **outputs))
        writer.write(prediction(files, "other"))
        writer.write(b"\xff\xff no message")
    return str(path)


def test_served_records_measure_as_own_lines_do(served, tmp_path):
    found = reading.read([served], "deeplab")
    rows = measuring.rows(pictures(7, 10), {"mask_bytes": [mask_of(2, 3, n) for n in range(10)]})
    own = reading.read([write_lines(tmp_path / "own", [line(**row) for row in rows])], "deeplab")
    for name in ("sizes", "brightness", "pixels_256"):
        counts = (getattr(one.total.measures(), name) for one in (found, own))
        np.testing.assert_array_equal(*counts)
    assert dict(found.total.versions) == {"12": 10} and found.total.mean_confidence == 0.5
    assert found.total.seconds(0.5) is None and (found.other_models, found.broken) == (1, 1)


def test_records_that_are_gzipped(served, tmp_path):
    zipped = tmp_path / "zipped"
    zipped.write_bytes(gzip.compress(Path(served).read_bytes()))
    assert reading.read([str(zipped)], "deeplab").total.pictures == 10


@pytest.mark.parametrize("is_zipped", [False, True])
def test_a_record_that_is_cut_off_is_no_fault_but_said(served, tmp_path, is_zipped):
    (first, *_), whole = tfrecords.read(served), Path(served).read_bytes()
    stored = gzip.compress(whole) if is_zipped else whole
    # In the second record.
    place = int(len(stored) * 0.8) if is_zipped else len(first) + 16 + 100
    cut = tmp_path / "cut"
    cut.write_bytes(stored[:place])
    found = reading.read([str(cut)], "deeplab")
    assert 0 < found.total.pictures <= 10 and found.broken == 0
    (note,) = found.passed_over()[-1:]
    assert "read up to where it is cut off" in note


@pytest.mark.parametrize(
    "outputs",
    [
        {"mask_bytes": np.ones(3, np.float32)},
        {"mask_bytes": tensors.strings([b"x"] * 2)},
        {"mean_confidence": np.full(3, np.nan, np.float32)},
        {"mean_confidence": tensors.strings([b"high"] * 3)},
        {"mean_confidence": np.ones((3, 2), np.float32)},
        {"error": np.ones(3, np.int32)},
        {},
    ],
)
def test_answers_of_other_kinds_leave_the_pictures_known(tmp_path, outputs):
    path = tmp_path / "served"
    with tfrecords.Writer(path) as writer:
        writer.write(prediction(pictures(8, 3), **outputs))
        writer.write(prediction([]))
    found = reading.read([str(path)], "deeplab").total
    assert (found.pictures, found.measured, found.masks, found.mean_confidence) == (3, 3, 0, None)


@pytest.mark.parametrize("seed", range(20))
def test_changed_bytes_are_counted_or_said_and_crash_nothing(served, tmp_path, seed):
    random = np.random.default_rng(seed)
    lines = tmp_path / "lines"
    write_lines(lines, [line()] * 30)
    for path in (lines, Path(served)):
        content = bytearray(path.read_bytes())
        for place in random.integers(0, len(content), 5):
            content[place] = random.integers(256)
        path.write_bytes(content)
        try:
            found = reading.read([str(path)], "deeplab")
        except DataError as error:
            assert "to fix" in str(error)
        else:
            assert 0 < found.total.pictures <= 30
