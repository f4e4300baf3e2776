"""What the gate's report says of all records, and what of it differs from before."""

import numpy as np
import pytest

from components.data_gate import report
from components.data_gate.checks import drift
from components.data_gate.options import GateOptions
from components.data_gate.report import Report, Source
from components.dataset.examination.measures import NOTHING, Measures, measure

ZERO = {f"max_{name}_distance": 0 for name in ("class", "size", "brightness")}


def measured(value: int, label: int, side: int = 64) -> Measures:
    image = np.full((side, side, 3), value, np.uint8)
    return measure(image, np.full((side, side), label, np.uint8))


def source(train: Measures, val: Measures, *, digest: str = "a", span: int | None = None) -> Source:
    return Source(span=span, digest=digest, splits={"train": train, "val": val})


def drifted(*sources: Source, served: tuple[Source, ...] = (), **limits) -> tuple[str, ...]:
    old = Report(sources=served) if served else None
    options = GateOptions(**limits)
    return drift(Report(sources=sources), old, options, num_classes=3, ignore_label=255)


ALIKE = source(measured(100, 1), measured(100, 1))


def test_splits_that_are_alike_have_not_drifted():
    other = source(measured(100, 1), measured(100, 1), digest="b")
    assert drifted(ALIKE) == drifted(other, served=(ALIKE,)) == ()
    assert drifted(other, served=(ALIKE,), **ZERO) == ()


def test_skew_is_between_the_splits_and_says_how_much_and_what_is_allowed():
    skewed = source(measured(100, 1), measured(100, 2))
    assert drifted(skewed, max_class_distance=0.25) == (
        "skew of the training against the validation split: class distance 1.000, at most 0.25",
    )
    assert drifted(skewed, max_class_distance=1) == ()


def test_skew_is_of_all_spans_together():
    skewed = [
        source(measured(100, label), measured(100, 3 - label), digest=str(label), span=label)
        for label in (1, 2)
    ]
    assert drifted(*skewed, **ZERO) == ()
    assert len(drifted(skewed[1])) == 1


def test_drift_is_of_each_split_against_that_behind_the_served_model():
    new = source(measured(250, 1), measured(250, 1, side=512), digest="b")
    against = "against the data behind the served model"
    assert drifted(new, served=(ALIKE,)) == (
        "skew of the training against the validation split: size distance 1.000, at most 0.2",
        f"drift of the train split {against}: brightness distance 1.000, at most 0.2",
        f"drift of the val split {against}: size distance 1.000, at most 0.2",
        f"drift of the val split {against}: brightness distance 1.000, at most 0.2",
    )


def span(number: int, value: int) -> Source:
    return source(measured(value, 1), measured(value, 1), digest=str(number), span=number)


def test_the_newest_span_alone_is_compared_and_named():
    lines = drifted(span(1, 100), span(2, 250), served=(span(1, 100),))
    assert [line.split(":")[0] for line in lines] == [
        f"drift of the {split} split of span-2 against the data behind the served model"
        for split in ("train", "val")
    ]
    assert drifted(span(1, 250), span(2, 100), served=(span(0, 100),)) == ()


def test_the_newest_span_is_compared_with_all_that_the_served_model_learned_from():
    # Half of that is as bright: the distance to the whole is less than to either half.
    served = span(1, 100), span(2, 250)
    between = drifted(span(3, 250), served=served, max_brightness_distance=0.2)
    assert len(between) == 2 and all("distance 1.000" not in line for line in between)
    assert drifted(span(3, 250), served=served[1:], **ZERO) == ()


@pytest.mark.parametrize("served", [(span(2, 100),), (span(1, 100), span(2, 100))])
def test_what_the_served_model_has_learned_from_already_has_not_drifted(served):
    """By its digest alone: neither its number nor what it measures."""
    assert drifted(span(1, 100), span(2, 250), served=served) == ()
    assert drifted(span(1, 100), span(3, 250), served=served) != ()


def test_a_split_that_there_was_not_before_has_not_drifted():
    splits = ALIKE.splits | {"new": measured(250, 2)}
    new = Source(span=None, digest="b", splits=splits)
    assert drifted(new, served=(ALIKE,)) == ()


# === The report ===


def test_total_is_the_sum_of_all_sources_by_split():
    both = Report(sources=(span(1, 100), span(2, 250))).total()
    assert {split: measures.records for split, measures in both.items()} == {"train": 2, "val": 2}
    assert both["train"].pixels_256[1] == 2 * 64 * 64


def test_a_report_comes_back_from_its_text():
    given = Report(
        sources=(span(1, 100), source(NOTHING, measured(3, 2))), drift=("one line", "another")
    )
    text = given.to_json()
    assert report.from_json(text).to_json() == text
    assert report.from_json(text).drift == given.drift
    assert [each.span for each in report.from_json(text).sources] == [1, None]
    assert [each.name for each in report.from_json(text).sources] == ["span-1", ""]


@pytest.mark.parametrize(
    ("one", "line"),
    [
        (span(4, 100), "span-4 train 1 record, val 1 record, digest 4"),
        (source(NOTHING, ALIKE.splits["val"]), "train 0 records, val 1 record, digest a"),
    ],
)
def test_a_source_tells_what_it_holds_in_a_line(one, line):
    assert str(one) == line
