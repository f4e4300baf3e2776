"""The serving check with models that are exported, one of them as people usually do it."""

import io
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from components.dataset.records import IMAGE
from components.errors import ServingError
from components.serving import interface, signatures
from components.serving.check import checks, load
from components.serving.check.options import ServingOptions
from components.transform import preprocessing
from tests.components.serving.conftest import CLASSES, IGNORE

pytestmark = pytest.mark.slow

OPTIONS = ServingOptions(requests=4, timeout_seconds=120)


@pytest.fixture(scope="module")
def serialized(examples) -> list[bytes]:
    return [example.serialize() for example in examples]


def check(model: str, serialized: list[bytes], **options) -> checks.Measured:
    return checks.check_serving(model, serialized, CLASSES, IGNORE, OPTIONS.replace(**options))


# === What serves ===


def expected_masks(model, transform_output, examples) -> list[np.ndarray]:
    """The Keras model after the same Transform, put back to each picture's size by hand."""
    images = tf.constant([[e.image] for e in examples])
    features = transform_output.transform_features_layer()({IMAGE: images})
    scores = model.predict(features[preprocessing.IMAGE], verbose=0)
    masks = []
    for whole, size, example in zip(scores, features["size"].numpy(), examples, strict=True):
        inside = tf.image.resize(whole[: size[0], : size[1]], [example.height, example.width])
        masks.append(np.argmax(inside, -1))
    return masks


def test_one_batch_of_three_sizes_equals_the_keras_model(
    exported_model, model, transform_output, examples, serialized
):
    pictures = [example.image for example in examples]
    with checks._server(exported_model, None) as server:
        server.wait_until_available(120)
        client = checks.Client(server.grpc_address, server.model)
        answers = load.ask_all(client, checks._signatures(server), pictures, serialized)
    masks = answers[interface.SERVING][interface.MASK_BYTES]
    for mask, expected in zip(
        masks, expected_masks(model, transform_output, examples), strict=True
    ):
        found = np.asarray(Image.open(io.BytesIO(mask)))
        assert found.shape == expected.shape
        assert len(np.unique(expected)) > 1
        assert (found == expected).mean() > 0.999


def test_the_check_passes_a_good_model(exported_model, serialized):
    measured = check(exported_model, serialized)
    assert measured.pictures == 3 and measured.sizes == [(33, 65), (50, 40), (130, 90)]
    assert measured.signatures == [
        *("evaluate", "serving_default", "serving_examples", "serving_logits"),
        *("serving_masks_and_confidence", "serving_tensors", "slices"),
    ]
    assert 0 < measured.load.latency_seconds < OPTIONS.max_latency_seconds
    assert 100 < measured.load.memory_mb < OPTIONS.max_memory_mb


def test_saved_model_cli_runs_it(exported_model, examples, tmp_path):
    np.save(tmp_path / "images.npy", np.array([e.image for e in examples]))
    done = subprocess.run(
        [f"{sys.exec_prefix}/bin/saved_model_cli", "run", "--dir", exported_model,
         "--tag_set", "serve", "--signature_def", interface.SERVING, "--outdir", str(tmp_path),
         "--inputs", f"{interface.IMAGE_BYTES}={tmp_path}/images.npy"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    masks = np.load(tmp_path / f"{interface.MASK_BYTES}.npy", allow_pickle=True)
    sizes = [Image.open(io.BytesIO(mask)).size for mask in masks]
    assert sizes == [(e.width, e.height) for e in examples]


# === What does not ===


def test_the_usual_keras_export_is_refused(model, transform_output, serialized, tmp_path):
    """It loads with `tf.saved_model.load` and would have been pushed by every Python check."""

    class Usual(signatures.ServedModel):
        def __init__(self):
            super().__init__(model, transform_output, num_classes=CLASSES, ignore_label=IGNORE)
            del self._variables
            self.tracked = self._network()

    signatures.export(Usual(), str(tmp_path / "usual"), {})
    tf.saved_model.load(str(tmp_path / "usual"))
    with pytest.raises(ServingError, match=r"expected .*usual to answer in a server's process; "):
        check(str(tmp_path / "usual"), serialized)
