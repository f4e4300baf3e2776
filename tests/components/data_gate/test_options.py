"""What the gate lets pass, and which limits there are."""

import pytest

from components.data_gate.options import GateOptions
from components.dataset.examination.distances import distances
from components.dataset.examination.findings import ACCEPTABLE
from components.dataset.examination.measures import NOTHING


def test_limits_are_named_as_the_distances_are():
    empty = distances(NOTHING, NOTHING, 3, 255)
    assert GateOptions().limits().keys() == empty.keys()
    options = GateOptions(max_class_distance=0, max_size_distance=1, max_brightness_distance=0.5)
    assert options.limits() == {"class": 0, "size": 1, "brightness": 0.5}


def test_what_can_be_accepted_is_accepted_and_nothing_else():
    assert GateOptions(accept=ACCEPTABLE).accept == ACCEPTABLE
    with pytest.raises(ValueError, match=r"expected gate\.accept .*got corrupt mask; to fix"):
        GateOptions(accept=("duplicate", "corrupt mask"))


@pytest.mark.parametrize("limit", [-0.1, 1.1, float("nan")])
def test_limits_outside_of_0_to_1_are_refused(limit):
    expected = rf"expected gate\.max_size_distance to be a number in \[0, 1\]; got {limit}; to fix"
    with pytest.raises(ValueError, match=expected):
        GateOptions(max_size_distance=limit)
