"""The part of the Transform graph that is asked for is that graph's, and no more."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from components.dataset.records import IMAGE, LABEL, Record
from components.transform import preprocessing
from components.transform.graph import TransformGraph
from tests.components.graphs import operations, transform_graph

pytestmark = pytest.mark.slow

OUTPUTS = (
    *(preprocessing.IMAGE, preprocessing.LABEL, preprocessing.SIZE),
    *(preprocessing.ORIGINAL_SIZE, preprocessing.PROBLEM),
)


def encode(pixels: np.ndarray, kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="module")
def records() -> list[Record]:
    random = np.random.default_rng(0)
    return [
        Record(
            filename="a",
            image=encode(random.integers(0, 256, (height, width, 3), np.uint8), kind),
            image_format=kind.lower(),
            label=encode(random.integers(0, 4, (height, width), np.uint8), "PNG"),
            height=height,
            width=width,
        )
        for height, width, kind in ((20, 30, "JPEG"), (50, 40, "PNG"), (33, 33, "BMP"))
    ]


@pytest.fixture(scope="module")
def transform_output(records, tmp_path_factory):
    config = {"canvas_size": 33, "num_classes": 4, "ignore_label": 255}
    return transform_graph(records, config, tmp_path_factory.mktemp("transform"))


@pytest.fixture(scope="module")
def inputs(records):
    images = [*(record.image for record in records), b"no picture"]
    labels = [*(record.label for record in records), b""]
    return {IMAGE: tf.constant(images)[:, None], LABEL: tf.constant(labels)[:, None]}


def cut(transform_output, inputs, outputs):
    """A function of some inputs to some outputs."""
    graph = TransformGraph(transform_output)
    specs = {name: tf.TensorSpec([None, 1], tf.string) for name in inputs}
    return tf.function(lambda given: graph(given, outputs)).get_concrete_function(specs)


@pytest.mark.parametrize("outputs", [OUTPUTS, [preprocessing.SIZE, preprocessing.LABEL]])
def test_outputs_are_those_of_the_whole_graph(transform_output, inputs, outputs):
    expected = transform_output.transform_features_layer()(inputs)
    found = cut(transform_output, inputs, outputs)(inputs)
    assert list(found) == list(outputs)
    for name in outputs:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
        assert found[name].shape[1:] == expected[name].shape[1:]


def test_a_picture_needs_no_mask(transform_output, inputs):
    wanted = [preprocessing.IMAGE, preprocessing.SIZE, preprocessing.PROBLEM]
    function = cut(transform_output, [IMAGE], wanted)
    expected = transform_output.transform_features_layer()(inputs)
    found = function({IMAGE: inputs[IMAGE]})
    for name in wanted:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    kinds = operations(function.graph)
    assert "DecodeJpeg" in kinds


def test_an_output_without_its_input_is_an_error(transform_output):
    with pytest.raises(ValueError, match=r"expected the inputs image/encoded .*to fix"):
        cut(transform_output, [LABEL], [preprocessing.IMAGE])
