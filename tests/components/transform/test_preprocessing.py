"""The Transform graph: geometry, values, masks, tolerance; eager, as the graph runs."""

import io

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from PIL import Image
from tensorflow_transform.tf_metadata import schema_utils

from components.dataset import records
from components.dataset.decoding.image import DAMAGED, UNKNOWN, decode_image
from components.dataset.limits import DEFAULT
from components.transform import preprocessing
from components.transform.writing import write_graph

CROP = 65
CONFIG = {"canvas_size": CROP, "ignore_label": 255}
RAW = {key: tf.io.FixedLenFeature([1], tf.string) for key in (records.IMAGE, records.LABEL)}


def encode(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def picture(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    image = random.integers(0, 256, (height, width, 3), np.uint8)
    label = random.choice(np.array([0, 1, 2, 3, 255], np.uint8), (height, width))
    return image, label


@pytest.fixture(scope="module")
def pictures():
    return [picture(40, 50, 1), picture(65, 65, 2), picture(130, 90, 3)]


@pytest.fixture(scope="module")
def transformed(tmp_path_factory):
    """The graph, written and loaded again as the Trainer does."""
    folder = tmp_path_factory.mktemp("transform")
    write_graph(str(folder), schema_utils.schema_from_feature_spec(RAW), CONFIG)
    return tft.TFTransformOutput(str(folder)).transform_features_layer()


def run(layer, images: list[bytes], labels: list[bytes]) -> dict[str, np.ndarray]:
    features = layer(
        {records.IMAGE: tf.constant(images)[:, None], records.LABEL: tf.constant(labels)[:, None]}
    )
    return {name: value.numpy() for name, value in features.items()}


def test_small_picture_keeps_its_pixels_and_is_padded(transformed, pictures):
    image, label = pictures[0]
    out = run(transformed, [encode(image)], [encode(label)])
    np.testing.assert_allclose(
        out["image"][0, :40, :50], image.astype(float) * 2 / 255 - 1, atol=1e-6
    )
    np.testing.assert_array_equal(out["image"][0, 40:], 0)
    np.testing.assert_array_equal(out["image"][0, :, 50:], 0)
    np.testing.assert_array_equal(out["label"][0, :40, :50], label)
    assert (out["label"][0, 40:] == 255).all() and (out["label"][0, :, 50:] == 255).all()
    assert out["size"].tolist() == [[40, 50]] and out["original_size"].tolist() == [[40, 50]]


def test_large_picture_is_shrunk_with_its_aspect_kept(transformed, pictures):
    image, label = pictures[2]
    out = run(transformed, [encode(image)], [encode(label)])
    assert out["size"].tolist() == [[65, 45]] and out["original_size"].tolist() == [[130, 90]]
    halved = image.reshape(65, 2, 45, 2, 3).mean(axis=(1, 3)) * 2 / 255 - 1
    # Antialiased bilinear at half size is a small tent over the 2x2 mean.
    assert np.abs(out["image"][0, 1:64, 1:44] - halved[1:64, 1:44]).mean() < 0.2
    shrunk = out["label"][0, :65, :45]
    assert set(np.unique(shrunk)) <= {0, 1, 2, 3, 255}
    np.testing.assert_array_equal(shrunk, label[1::2, 1::2])


def test_a_bad_file_is_flagged_and_fails_no_other(transformed, pictures):
    good = encode(pictures[0][0])
    label = encode(pictures[0][1])
    truncated = encode(pictures[2][0], "JPEG")[:500]
    out = run(transformed, [b"no picture", good, truncated, b"", good], [label] * 5)
    problems = [problem.decode() for problem in out["problem"]]
    assert problems == [UNKNOWN, "", DAMAGED, UNKNOWN, ""]
    alone = run(transformed, [good], [label])
    for row in (1, 4):
        np.testing.assert_array_equal(out["image"][row], alone["image"][0])
        assert out["original_size"][row].tolist() == [40, 50]


def test_order_of_a_batch_is_kept(transformed, pictures):
    files = [
        encode(image, kind)
        for (image, _), kind in zip(pictures, ["PNG", "BMP", "PNG"], strict=True)
    ]
    out = run(transformed, files, [encode(label) for _, label in pictures])
    assert out["original_size"].tolist() == [[40, 50], [65, 65], [130, 90]]


def test_serving_needs_no_mask(transformed, pictures):
    out = transformed({records.IMAGE: tf.constant([[encode(pictures[0][0])]])})
    assert out["size"].numpy().tolist() == [[40, 50]]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((500, 375), (500, 375)),
        ((513, 513), (513, 513)),
        ((1026, 513), (513, 256)),
        ((3000, 2), (513, 1)),
    ],
)
def test_fit_size(size, expected):
    fitted = preprocessing.fit_size(tf.constant(size[0]), tf.constant(size[1]), 513)
    assert tuple(fitted.numpy()) == expected


@pytest.mark.parametrize("quality", [60, 95])
def test_a_jpeg_has_the_very_pixels_that_other_libraries_see(quality):
    image, _ = picture(40, 56)
    smooth = Image.fromarray(image).resize((56, 40), box=(0, 0, 8, 6))
    file = io.BytesIO()
    smooth.save(file, "JPEG", quality=quality)
    seen = np.asarray(Image.open(io.BytesIO(file.getvalue())))
    np.testing.assert_array_equal(decode_image(file.getvalue(), DEFAULT).pixels.numpy(), seen)
    hasty = tf.io.decode_jpeg(file.getvalue()).numpy()
    assert (hasty != seen).any()
