"""The exported model of the serving tests, and records whose labels are what it says of them."""

import dataclasses

import pytest
import tensorflow as tf

from components.dataset.records import Record
from components.serving import interface
from tests.components.serving.conftest import (  # noqa: F401
    examples,
    exported_model,
    model,
    transform_output,
)


@pytest.fixture(scope="module")
def judged(examples, exported_model) -> list[bytes]:  # noqa: F811
    """Serialized records of which the exported model gets every pixel right."""
    loaded = tf.saved_model.load(exported_model)
    answer = loaded.signatures[interface.SERVING](tf.constant([each.image for each in examples]))
    masks = answer[interface.MASK_BYTES].numpy()
    return [_labelled(*pair).serialize() for pair in zip(examples, masks, strict=True)]


def _labelled(record: Record, mask: bytes) -> Record:
    return dataclasses.replace(record, label=mask)
