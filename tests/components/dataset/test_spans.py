"""Which folders are spans, and which of them are the newest."""

import uuid

import pytest

from components.dataset.spans import find_spans
from components.errors import DataError
from components.storage import paths


def make(folder, *names: str) -> str:
    for name in names:
        (folder / name).mkdir(parents=True)
    return str(folder)


@pytest.mark.parametrize(
    ("window", "expected"), [(0, [0, 2, 9, 10]), (1, [10]), (2, [9, 10]), (9, [0, 2, 9, 10])]
)
def test_the_newest_spans_are_those_of_the_highest_numbers_oldest_first(tmp_path, window, expected):
    folder = make(tmp_path, "span-10", "span-9", "span-0", "span-2", "others")
    found = find_spans(folder, window)
    assert list(found) == expected
    assert found == {number: f"{folder}/span-{number}" for number in expected}


@pytest.mark.parametrize("names", [[], ["pictures"], ["span-left", "span-right"]])
def test_other_folders_are_no_spans(tmp_path, names):
    assert find_spans(make(tmp_path, *names)) == {}


def test_a_file_is_no_span(tmp_path):
    (tmp_path / "span-1").touch()
    assert find_spans(str(tmp_path)) == {}


@pytest.mark.parametrize("other", ["span-007", "span-2-old", "span-", "span-x"])
def test_what_could_be_taken_for_a_span_is_refused_beside_spans(tmp_path, other):
    with pytest.raises(DataError, match=f"got {other} beside them; to fix, give it another name"):
        find_spans(make(tmp_path, "span-1", other))


def test_a_number_with_zeros_before_it_is_refused_even_alone(tmp_path):
    with pytest.raises(DataError, match=r"got span-007; to fix"):
        find_spans(make(tmp_path, "span-007"))


def test_spans_in_a_store():
    folder = f"ram://{uuid.uuid4().hex}"
    for number in (3, 12):
        paths.make_folder(f"{folder}/span-{number}")
        paths.write_text(f"{folder}/span-{number}/train-0", "")
    assert find_spans(folder, 1) == {12: f"{folder}/span-12"}
