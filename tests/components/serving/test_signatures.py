"""What is judged is what is served, and what a reply says beside its masks."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from components.dataset.decoding.image import decode_image
from components.dataset.limits import DEFAULT
from components.dataset.records import IMAGE, LABEL
from components.serving import interface
from tests.components.serving.conftest import CLASSES, IGNORE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def signature(exported_model):
    """Asks one signature of the exported model; the model lives as long as the module."""
    loaded = tf.saved_model.load(exported_model)

    def ask(name: str, values: list[bytes] | np.ndarray) -> dict[str, np.ndarray]:
        reply = loaded.signatures[name](tf.constant(values))
        return {key: value.numpy() for key, value in reply.items()}

    return ask


@pytest.fixture(scope="module")
def reply(signature, examples):
    return signature(interface.SERVING, [e.image for e in examples] + [b"no picture"])


@pytest.fixture(scope="module")
def served(reply) -> list[np.ndarray]:
    return [np.asarray(Image.open(io.BytesIO(mask))) for mask in reply[interface.MASK_BYTES][:-1]]


def test_the_masks_that_are_judged_are_those_that_are_served(signature, served, examples):
    judged = signature(interface.EVALUATE, [e.serialize() for e in examples])
    matrices = judged[interface.CONFUSION_MATRIX].reshape(-1, CLASSES, CLASSES)
    assert matrices.dtype == np.int64 and not judged[interface.LABELS_OUT_OF_RANGE].any()
    for matrix, mask, example in zip(matrices, served, examples, strict=True):
        label = np.asarray(Image.open(io.BytesIO(example.label)))
        expected = np.zeros_like(matrix)
        np.add.at(expected, (label[label != IGNORE], mask[label != IGNORE]), 1)
        np.testing.assert_array_equal(matrix, expected)


def test_a_reply_names_the_classes_of_each_mask(reply, served):
    classes = reply[interface.CLASS_IDS]
    assert classes.shape == (len(served) + 1, CLASSES)
    for found, mask in zip(classes, served, strict=False):
        there = np.unique(mask)
        assert len(there) > 1
        np.testing.assert_array_equal(
            found, np.pad(there.astype(int), (0, CLASSES - len(there)), constant_values=-1)
        )
    assert np.all(classes[-1] == -1)


def test_a_reply_says_how_sure_the_network_is(reply, model, transform_output, examples):
    *confidence, of_none = reply[interface.MEAN_CONFIDENCE]
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
    judged = signature(interface.EVALUATE, [broken.SerializeToString(), examples[1].serialize()])
    assert not judged[interface.CONFUSION_MATRIX][0].any()
    assert judged[interface.CONFUSION_MATRIX][1].any()


def test_the_map_of_confidence_is_of_the_masks_that_are_served(signature, reply, served, examples):
    files = [e.image for e in examples] + [b"no picture"]
    mapped = signature(interface.MASKS_AND_CONFIDENCE, files)
    logits = [
        signature(
            interface.LOGITS_FROM_TENSORS, decode_image(e.image, DEFAULT).pixels[None].numpy()
        )
        for e in examples
    ]
    for name, values in reply.items():
        np.testing.assert_array_equal(mapped[name], values)
    *maps, nothing = mapped[interface.CONFIDENCE_BYTES]
    assert nothing == b""
    for file, mask, of_pixels in zip(maps, served, logits, strict=True):
        found = np.asarray(Image.open(io.BytesIO(file)))
        assert found.shape == mask.shape and found.dtype == np.uint8
        probabilities = tf.nn.softmax(of_pixels[interface.LOGITS][0]).numpy()
        np.testing.assert_allclose(found / 255, probabilities.max(-1), atol=0.5 / 255 + 1e-4)


def test_records_are_answered_as_their_pictures_are(signature, reply, examples):
    without_label = tf.train.Example.FromString(examples[0].serialize())
    del without_label.features.feature[LABEL]
    sent = [without_label.SerializeToString(), *(e.serialize() for e in examples[1:])]
    answers = signature(interface.FROM_EXAMPLES, sent)
    assert answers.keys() == reply.keys()
    for name, values in answers.items():
        np.testing.assert_array_equal(values, reply[name][:-1])


def encoded(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (64, 65), (65, 65), (130, 90)])
@pytest.mark.parametrize("count", [1, 2])
def test_pixels_are_answered_as_their_files_are(signature, size, count):
    pixels = np.random.default_rng(size).integers(0, 256, (count, *size, 3), np.uint8)
    files = [encoded(picture) for picture in pixels]
    masks = signature(interface.SERVING, files)[interface.MASK_BYTES]
    answer = signature(interface.FROM_TENSORS, pixels)
    logits = signature(interface.LOGITS_FROM_TENSORS, pixels)[interface.LOGITS]
    ids, probabilities = answer[interface.PREDICTIONS], answer[interface.PROBABILITIES]
    assert ids.dtype == np.int64
    for found, mask in zip(ids, masks, strict=True):
        np.testing.assert_array_equal(found, np.asarray(Image.open(io.BytesIO(mask))))
    assert logits.shape == (count, *size, CLASSES) == probabilities.shape
    np.testing.assert_allclose(probabilities, tf.nn.softmax(logits), atol=1e-6)
    # Where two classes are as good as equal, either may be first.
    sure = np.diff(np.sort(logits), axis=-1)[..., -1] > 1e-4
    np.testing.assert_array_equal(logits.argmax(-1)[sure], ids[sure])


def test_no_pictures_have_no_answer(signature):
    for name in (interface.FROM_TENSORS, interface.LOGITS_FROM_TENSORS):
        for values in signature(name, np.zeros((0, 20, 30, 3), np.uint8)).values():
            assert values.shape[:3] == (0, 20, 30)
