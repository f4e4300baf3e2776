"""Examples without TensorFlow are TensorFlow's examples."""

import numpy as np
import pytest
import tensorflow as tf

from components.dataset.example import Example
from components.dataset.records import Record


def example(seed: int, kind: type):
    """A message of random features: none, or a list of zero to five values of one type."""
    generator = np.random.default_rng(seed)
    made = kind()
    for key in generator.choice(["", "a", "image/encoded", "ä\0"], generator.integers(5)):
        feature = made.features.feature[key]
        count = generator.integers(6)
        match generator.integers(4):
            case 0:
                feature.bytes_list.value.extend(generator.bytes(9) for _ in range(count))
            case 1:
                feature.float_list.value.extend(generator.normal(size=count))
            case 2:
                feature.int64_list.value.extend(generator.integers(-(2**63), 2**63 - 1, count))
    return made


@pytest.mark.parametrize("seed", range(50))
def test_messages_are_equal_both_ways(seed):
    ours, theirs = example(seed, Example), example(seed, tf.train.Example)
    assert ours.SerializeToString(deterministic=True) == theirs.SerializeToString(
        deterministic=True
    )
    assert tf.train.Example.FromString(ours.SerializeToString()) == theirs
    assert Example.FromString(theirs.SerializeToString()) == ours


def test_a_record_is_the_same_bytes_each_time_and_what_tensorflow_reads():
    record = Record(
        filename="ä.jpg", image=b"i", image_format="jpeg", label=b"l", height=2, width=3
    )
    assert record.serialize() == record.serialize()
    feature = tf.train.Example.FromString(record.serialize()).features.feature
    assert feature["image/filename"].bytes_list.value[0].decode() == "ä.jpg"
    assert feature["image/width"].int64_list.value == [3]
