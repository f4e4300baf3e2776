"""Numbers as people write them."""

import pytest

from components import texts


def test_sizes_are_width_and_height():
    assert texts.size(500, 375) == "500x375"


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "0 pictures"), (1, "1 picture"), (2, "2 pictures")]
)
def test_one_of_a_kind_has_no_s(count, expected):
    assert texts.counted(count, "picture") == expected


@pytest.mark.parametrize(
    ("share", "digits", "expected"),
    [
        (0, 0, "0 %"),
        (0.004, 0, "<1 %"),
        (0.006, 0, "1 %"),
        (0.87, 0, "87 %"),
        (1, 0, "100 %"),
        (0, 1, "0 %"),
        (0.0004, 1, "<0.1 %"),
        (0.1234, 1, "12.3 %"),
        (0.0049, 2, "0.49 %"),
    ],
)
def test_a_share_is_nothing_only_where_it_is(share, digits, expected):
    assert texts.percent(share, digits) == expected
    assert texts.percent(share, digits, unit="") == expected.removesuffix(" %")


def test_lists_end_where_they_would_be_long():
    names = [str(i) for i in range(9)]
    assert texts.listed(names[:8]) == "0, 1, 2, 3, 4, 5, 6, 7"
    assert texts.listed(names) == "0, 1, 2, 3, 4, 5, 6, 7 and 1 more"
    assert texts.listed(names, limit=2) == "0, 1 and 7 more"
    assert texts.listed(names[:2], 20) == "0, 1 and 18 more"
