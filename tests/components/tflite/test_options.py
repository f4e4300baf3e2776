"""Which kinds may lose how much; what is refused, and how it is said."""

import dataclasses
import math

import pytest

from components.tflite.options import TFLiteOptions
from components.tflite.results import KindResult, TFLiteReport, reasons

KINDS = ("float32", "float16", "int8")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, (0.1, 0.1, 1.1)),
        (2, (2, 2, 2)),
        (0.0, (0, 0, 0)),
        ({"int8": 3}, (0.1, 0.1, 3)),
        ({"float32": 0, "float16": 5.5}, (0, 5.5, 1.1)),
        ({}, (0.1, 0.1, 1.1)),
    ],
)
def test_points_are_given_for_all_kinds_or_for_some(given, expected):
    options = TFLiteOptions(**{} if given is None else {"max_points_lost": given})
    assert tuple(options.points(kind) for kind in KINDS) == expected
    again = TFLiteOptions.from_json(options.to_json())
    assert again == options and hash(again) == hash(options)


@pytest.mark.parametrize(
    "values",
    [
        {"kinds": ["int4"]},
        {"kinds": "int8"},
        {"kinds": ["int8", "int8"]},
        {"pictures": -1},
        {"calibration_pictures": 0},
        {"seed": -1},
        {"threads": 0},
        {"max_points_lost": -0.1},
        {"max_points_lost": 101},
        {"max_points_lost": "1"},
        {"max_points_lost": {"int4": 1}},
        {"max_points_lost": {"int8": -1}},
        {"max_points_lost": {"int8": math.nan}},
        {"points": 1},
    ],
)
def test_what_is_no_option_is_refused(values):
    (name,) = values
    with pytest.raises(ValueError, match=rf"expected tflite\.{name} .*; got .*; to fix, "):
        TFLiteOptions(**values)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lost", [-3.0, 0.0, 0.09, 0.11, 1.09, 1.11, 50.0, math.nan])
def test_a_kind_is_refused_exactly_where_it_loses_more_than_it_may(kind, lost):
    options = TFLiteOptions(kinds=(kind,))
    results = (KindResult(kind=kind, size_bytes=9, mean_iou=0.7 - lost / 100),)
    found = reasons(results, 0.7, options)
    assert bool(found) == (not lost <= options.points(kind))
    for reason in found:
        assert f"the {kind} file within" in reason and "0.7000" in reason and "to fix" in reason


def test_a_kind_without_a_file_is_refused_by_what_the_converter_said():
    results = (
        KindResult(kind="int8", problem="ValueError: no such operator"),
        KindResult(kind="float32", size_bytes=9, mean_iou=0.7),
    )
    (reason,) = reasons(results, 0.7, TFLiteOptions(kinds=("int8", "float32")))
    assert "int8" in reason and "no such operator" in reason and "to fix" in reason


def test_a_report_is_read_as_it_was_written(tmp_path):
    kind = KindResult(
        kind="int8", size_bytes=5, seconds=0.1, agreement=0.9, mean_iou=0.5,
        operators={"CONV_2D int8": 3, "RESIZE_BILINEAR float32": 1},
    )  # fmt: skip
    report = TFLiteReport(pictures=3, threads=2, mean_iou=0.6, kinds=(kind,), reasons=("no",))
    report.write(str(tmp_path))
    assert TFLiteReport.read(str(tmp_path)) == report and not report.blessed
    assert kind.in_float == {"RESIZE_BILINEAR float32": 1}
    assert dataclasses.replace(report, reasons=()).blessed
