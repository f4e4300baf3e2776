"""Published weights give the published network's results."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.lite.tools import flatbuffer_utils

from models import DeepLabV3Plus
from models.checkpoints import load_checkpoint

CHECKPOINT = "checkpoints/deeplabv3_mnv2_dm05_pascal"


def _pictures(shared_data, size, count):
    voc = shared_data / "VOCdevkit" / "VOC2012"
    names = (voc / "ImageSets" / "Segmentation" / "val.txt").read_text().split()[:count]
    for name in names:
        picture = Image.open(voc / "JPEGImages" / f"{name}.jpg").resize((size, size))
        yield np.asarray(picture, "float32")[None] / 127.5 - 1


def _with_corners(reference, align_corners, folder) -> str:
    """The graph with other resizes, as converters that know no aligned corners leave them."""
    graph = flatbuffer_utils.read_model(str(reference))
    resizes = [
        operator.builtinOptions
        for subgraph in graph.subgraphs
        for operator in subgraph.operators
        if hasattr(operator.builtinOptions, "halfPixelCenters")
    ]
    assert [(one.alignCorners, one.halfPixelCenters) for one in resizes] == [(True, False)] * 3
    for options in resizes:
        options.alignCorners = align_corners
    path = str(folder / "graph.tflite")
    flatbuffer_utils.write_model(graph, path)
    return path


@pytest.mark.parametrize("align_corners", [True, False])
def test_logits_are_those_of_the_published_tflite_graph(shared_data, tmp_path, align_corners):
    model = DeepLabV3Plus(
        "mobilenet_v2",
        width_multiplier=0.5,
        output_stride=8,
        atrous_rates=(),
        decoder=False,
        align_corners=align_corners,
    )
    report = load_checkpoint(model, shared_data / CHECKPOINT / "model.ckpt-30000")
    assert len(report.loaded) == 272
    assert report.missing == ()
    assert report.skipped == ("global_step", "logits/semantic/weights/Momentum")

    reference = shared_data / CHECKPOINT / "reference_257.tflite"
    graph = tf.lite.Interpreter(_with_corners(reference, align_corners, tmp_path))
    graph.allocate_tensors()
    (graph_input,), (graph_output,) = graph.get_input_details(), graph.get_output_details()
    classes = set()
    for image in _pictures(shared_data, 257, count=6):
        graph.set_tensor(graph_input["index"], image)
        graph.invoke()
        expected = graph.get_tensor(graph_output["index"])
        logits = model(image).numpy()
        np.testing.assert_allclose(logits, expected, atol=1e-3)
        np.testing.assert_array_equal(logits.argmax(-1), expected.argmax(-1))
        classes.update(np.unique(expected.argmax(-1)))
    # A background-only match would prove little.
    assert len(classes) >= 4


def test_backbone_features_are_those_of_keras_applications(shared_data):
    weights = shared_data / "checkpoints" / "mobilenet_v2_imagenet_dogs.weights.h5"
    ours = DeepLabV3Plus("mobilenet_v2", output_stride=32, aspp=False, decoder=False)
    load_checkpoint(ours, weights, scope="backbone")
    ours = keras.Model(ours.input, ours.get_layer("logits.semantic").input)
    for size in (64, 65):
        # A fixed size: with none, it pads odd images like even ones.
        theirs = keras.applications.MobileNetV2(
            input_shape=(size, size, 3), include_top=False, weights=None
        )
        theirs.load_weights(weights)
        theirs = keras.Model(theirs.input, theirs.get_layer("block_16_project_BN").output)
        (image,) = _pictures(shared_data, size, count=1)
        np.testing.assert_allclose(ours(image), theirs(image), atol=1e-4)
