"""The official checkpoint converted here, beside the file that was published of its weights."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from components.tflite.interpreter import Interpreter
from components.tflite.network import convert, phone_network
from models import DeepLabV3Plus
from models.checkpoints import load_checkpoint

pytestmark = pytest.mark.slow

CHECKPOINT = "checkpoints/deeplabv3_mnv2_dm05_pascal"
SIDE = 257


@pytest.fixture(scope="module")
def model(shared_data):
    model = DeepLabV3Plus(
        "mobilenet_v2",
        width_multiplier=0.5,
        output_stride=8,
        atrous_rates=(),
        decoder=False,
        input_shape=(SIDE, SIDE, 3),
    )
    load_checkpoint(model, shared_data / CHECKPOINT / "model.ckpt-30000")
    return model


def pictures(shared_data, split: str, count: int) -> list[np.ndarray]:
    voc = shared_data / "VOCdevkit" / "VOC2012"
    names = (voc / "ImageSets" / "Segmentation" / f"{split}.txt").read_text().split()[:count]
    opened = (Image.open(voc / "JPEGImages" / f"{name}.jpg").convert("RGB") for name in names)
    return [np.asarray(each.resize((SIDE, SIDE)), np.float32)[None] for each in opened]


def test_scores_are_those_of_the_published_file(model, shared_data):
    ours = Interpreter(convert(phone_network(model), "float32", lambda: []), 1)
    theirs = tf.lite.Interpreter(str(shared_data / CHECKPOINT / f"reference_{SIDE}.tflite"))
    theirs.allocate_tensors()
    (their_input,), (their_output,) = theirs.get_input_details(), theirs.get_output_details()
    classes = set()
    for pixels in pictures(shared_data, "val", 6):
        theirs.set_tensor(their_input["index"], pixels / 127.5 - 1)
        theirs.invoke()
        expected = theirs.get_tensor(their_output["index"])
        found = np.asarray(model.logits_resize([ours.scores(pixels), pixels]))
        np.testing.assert_allclose(found, expected, atol=1e-3)
        np.testing.assert_array_equal(found.argmax(-1), expected.argmax(-1))
        classes.update(np.unique(expected.argmax(-1)))
    assert len(classes) >= 4


def test_integers_find_nearly_the_same_classes(model, shared_data):
    phones, training = phone_network(model), pictures(shared_data, "train", 8)
    whole, integers = (
        Interpreter(convert(phones, kind, lambda: training), 1) for kind in ("float32", "int8")
    )
    for pixels in pictures(shared_data, "val", 6):
        one, two = whole.scores(pixels).argmax(-1), integers.scores(pixels).argmax(-1)
        assert (one == two).mean() > 0.9
