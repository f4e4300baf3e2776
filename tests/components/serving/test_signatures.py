"""What is judged is what is served, and what a reply says beside its masks."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from components.dataset.records import IMAGE
from components.serving import signatures
from tests.components.serving.conftest import CLASSES, IGNORE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def signature(exported_model):
    """Asks one signature of the exported model; the model lives as long as the module."""
    loaded = tf.saved_model.load(exported_model)

    def ask(name: str, values: list[bytes]) -> dict[str, np.ndarray]:
        reply = loaded.signatures[name](tf.constant(values, tf.string))
        return {key: value.numpy() for key, value in reply.items()}

    return ask


@pytest.fixture(scope="module")
def reply(signature, examples):
    return signature(signatures.SERVING, [e.image for e in examples] + [b"no picture"])


@pytest.fixture(scope="module")
def served(reply) -> list[np.ndarray]:
    return [np.asarray(Image.open(io.BytesIO(mask))) for mask in reply[signatures.MASK_BYTES][:-1]]


def test_the_masks_that_are_judged_are_those_that_are_served(signature, served, examples):
    judged = signature(signatures.EVALUATE, [e.serialize() for e in examples])
    matrices = judged[signatures.CONFUSION_MATRIX].reshape(-1, CLASSES, CLASSES)
    assert matrices.dtype == np.int64 and not judged[signatures.LABELS_OUT_OF_RANGE].any()
    for matrix, mask, example in zip(matrices, served, examples, strict=True):
        label = np.asarray(Image.open(io.BytesIO(example.label)))
        expected = np.zeros_like(matrix)
        np.add.at(expected, (label[label != IGNORE], mask[label != IGNORE]), 1)
        np.testing.assert_array_equal(matrix, expected)


def test_a_reply_names_the_classes_of_each_mask(reply, served):
    classes = reply[signatures.CLASS_IDS]
    assert classes.shape == (len(served) + 1, CLASSES)
    for found, mask in zip(classes, served, strict=False):
        there = np.unique(mask)
        assert len(there) > 1
        np.testing.assert_array_equal(
            found, np.pad(there.astype(int), (0, CLASSES - len(there)), constant_values=-1)
        )
    assert np.all(classes[-1] == -1)


def test_a_reply_says_how_sure_the_network_is(reply, model, transform_output, examples):
    *confidence, of_none = reply[signatures.MEAN_CONFIDENCE]
    assert of_none == 0
    features = transform_output.transform_features_layer()(
        {IMAGE: tf.constant([[example.image] for example in examples])}
    )
    chosen = tf.reduce_max(tf.nn.softmax(model.predict(features["image"], verbose=0)), -1)
    for value, one, (height, width) in zip(confidence, chosen, features["size"], strict=True):
        assert value == pytest.approx(np.mean(one[:height, :width]), abs=0.01)


def test_a_record_whose_label_cannot_be_decoded_counts_for_nothing(signature, examples):
    broken = tf.train.Example.FromString(examples[0].serialize())
    label = broken.features.feature["image/segmentation/class/encoded"].bytes_list
    label.value[0] = label.value[0][:-20]
    judged = signature(signatures.EVALUATE, [broken.SerializeToString(), examples[1].serialize()])
    assert not judged[signatures.CONFUSION_MATRIX][0].any()
    assert judged[signatures.CONFUSION_MATRIX][1].any()
