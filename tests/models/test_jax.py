"""The network needs Keras only: on the JAX backend it computes and trains the same."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = """
import json, sys
import keras, numpy as np
from functools import partial
from models import DeepLabV3Plus
from models.backbones import resnet_v1_beta
from models.variants import BACKBONES, Backbone

folder, config = sys.argv[1], json.loads(sys.argv[2])
resnet_v1_beta._BOTTLENECK_CHANNELS = (4, 8, 16, 32)
BACKBONES["tiny"] = Backbone(
    scope="resnet_v1_50",
    build=partial(resnet_v1_beta.resnet_v1_beta, units=(2, 1, 1, 1)),
    options=frozenset({"multi_grid", "bounded_activation"}),
)
model = DeepLabV3Plus.from_config(config)
model.load_weights(f"{folder}/model.weights.h5")
images = np.load(f"{folder}/images.npy")
logits = model.predict_on_batch(images)
before = model.get_weights()
model.compile(
    keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
loss = model.train_on_batch(images, np.ones(images.shape[:3], "int32"))
changed = [bool(np.any(a != b)) for a, b in zip(before, model.get_weights())]
np.save(f"{folder}/logits.npy", logits)
json.dump(
    {
        "backend": keras.backend.backend(),
        "loss": float(loss),
        "changed": [w.path for w, c in zip(model.weights, changed) if c],
        "tensorflow": "tensorflow" in sys.modules,
    },
    open(f"{folder}/result.json", "w"),
)
"""


@pytest.mark.slow
def test_network_computes_and_trains_on_jax_without_tensorflow(tiny, tmp_path):
    model = tiny()
    model.save_weights(tmp_path / "model.weights.h5")
    images = np.random.default_rng(0).uniform(-1, 1, (2, 34, 21, 3)).astype("float32")
    np.save(tmp_path / "images.npy", images)

    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        # How well XLA compiles is of no interest here, and takes most of the time.
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
    }
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), json.dumps(model.get_config())],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["backend"] == "jax"
    assert not result["tensorflow"]
    assert np.isfinite(result["loss"])
    assert {
        "resnet_v1_50.conv1_1/kernel",
        "resnet_v1_50.conv1_1.BatchNorm/moving_variance",
        "aspp1_depthwise/kernel",
        "logits.semantic/bias",
    } <= set(result["changed"])
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), model(images), atol=1e-5)
