"""The exported model in TensorFlow's own loader, in a process that knows nothing of the project."""

import io
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from PIL import Image

import schemas
from components.dataset.records import IMAGE, Record
from components.errors import ServingError
from components.serving import signatures
from components.serving.check import checks
from components.transform import preprocessing
from models import DeepLabV3Plus
from tests.components.graphs import transform_graph

pytestmark = pytest.mark.slow

CROP, CLASSES, IGNORE = 65, 7, 255
CONFIG = {"canvas_size": CROP, "num_classes": CLASSES, "ignore_label": IGNORE}


def encode(pixels: np.ndarray, kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="module")
def examples() -> list[Record]:
    """JPEG and PNG pictures of three sizes, one of them larger than the crop."""
    random = np.random.default_rng(1)
    return [
        Record(
            filename=f"{height}.{kind.lower()}",
            image=encode(random.integers(0, 256, (height, width, 3), np.uint8), kind),
            image_format=kind.lower(),
            label=encode(random.integers(0, CLASSES, (height, width), np.uint8), "PNG"),
            height=height,
            width=width,
        )
        for height, width, kind in ((40, 50, "JPEG"), (65, 33, "PNG"), (90, 130, "JPEG"))
    ]


@pytest.fixture(scope="module")
def transform_output(examples, tmp_path_factory) -> tft.TFTransformOutput:
    return transform_graph(examples, CONFIG, tmp_path_factory.mktemp("transform"))


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A network whose logits differ enough that no rounding changes a class."""
    keras.utils.set_random_seed(3)
    model = DeepLabV3Plus(
        "mobilenet_v2", CLASSES, width_multiplier=0.35, aspp_depth=16, decoder_depth=16,
        input_shape=(CROP, CROP, 3),
    )  # fmt: skip
    kernel, bias = model.logits_layer.weights
    kernel.assign(np.random.default_rng(0).normal(size=kernel.shape))
    bias.assign(np.zeros(bias.shape))
    return model


@pytest.fixture(scope="module")
def exported(model, transform_output, tmp_path_factory) -> str:
    folder = str(tmp_path_factory.mktemp("export") / "model")
    served = signatures.ServedModel(
        model, transform_output, num_classes=CLASSES, ignore_label=IGNORE
    )
    signatures.export(served, folder, {"classes": list(schemas.load("sample").class_names)})
    return folder


def expected_masks(model, transform_output, examples) -> list[np.ndarray]:
    """The Keras model after the same Transform, put back to each picture's size by hand."""
    images = tf.constant([[e.image] for e in examples])
    features = transform_output.transform_features_layer()({IMAGE: images})
    classes = np.argmax(model.predict(features[preprocessing.IMAGE], verbose=0), -1)
    masks = []
    for mask, size, example in zip(classes, features["size"].numpy(), examples, strict=True):
        inside = mask[: size[0], : size[1]]
        rows = (np.arange(example.height) * size[0]) // example.height
        columns = (np.arange(example.width) * size[1]) // example.width
        masks.append(inside[rows][:, columns])
    return masks


def test_one_batch_of_three_sizes_equals_the_keras_model(
    exported, model, transform_output, examples
):
    (reply,) = checks._ask(
        exported,
        [(signatures.SERVING, signatures.IMAGE_BYTES, [e.image for e in examples])],
        timeout=120,
    )
    masks = [checks.base64.b64decode(m) for m in reply[signatures.MASK_BYTES]["values"]]
    for mask, expected in zip(
        masks, expected_masks(model, transform_output, examples), strict=True
    ):
        found = np.asarray(Image.open(io.BytesIO(mask)))
        assert found.shape == expected.shape
        assert len(np.unique(expected)) > 1
        assert (found == expected).mean() > 0.999


def test_the_check_passes_a_good_model(exported, examples):
    serialized = [example.serialize() for example in examples]
    measured = checks.check_serving(exported, serialized, CLASSES, timeout_seconds=120)
    assert measured == {"pictures": 3, "sizes": [(33, 65), (50, 40), (130, 90)]}


def test_saved_model_cli_runs_it(exported, examples, tmp_path):
    np.save(tmp_path / "images.npy", np.array([e.image for e in examples]))
    done = subprocess.run(
        [f"{sys.exec_prefix}/bin/saved_model_cli", "run", "--dir", exported, "--tag_set", "serve",
         "--signature_def", signatures.SERVING, "--outdir", str(tmp_path),
         "--inputs", f"{signatures.IMAGE_BYTES}={tmp_path}/images.npy"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    masks = np.load(tmp_path / f"{signatures.MASK_BYTES}.npy", allow_pickle=True)
    sizes = [Image.open(io.BytesIO(mask)).size for mask in masks]
    assert sizes == [(e.width, e.height) for e in examples]


def test_the_usual_keras_export_is_refused(model, transform_output, examples, tmp_path):
    """It loads with `tf.saved_model.load` and would have been pushed by every Python check."""

    class Usual(signatures.ServedModel):
        def __init__(self):
            super().__init__(model, transform_output, num_classes=CLASSES, ignore_label=IGNORE)
            del self._variables
            self.tracked = model

    signatures.export(Usual(), str(tmp_path / "usual"), {})
    tf.saved_model.load(str(tmp_path / "usual"))
    with pytest.raises(
        ServingError, match=r"expected .*usual to load and answer in a fresh process"
    ):
        serialized = [example.serialize() for example in examples]
        checks.check_serving(str(tmp_path / "usual"), serialized, CLASSES, timeout_seconds=120)


def test_a_folder_without_a_model_is_refused(examples, tmp_path):
    with pytest.raises(ServingError, match="SavedModel"):
        checks.check_serving(str(tmp_path), [examples[0].serialize()], CLASSES, timeout_seconds=120)
