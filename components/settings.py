"""Fixes the settings of the machine that results depend on, before Keras is imported.

Keras reads `~/.keras/keras.json` and several variables of the environment on import: another
backend, channels first, float16. Whoever set them did so for other projects. Importing anything of
`components` calls `fix()`, so every way in has the same settings: the commands, the steps on a
cluster, Beam's workers and the serving check's process, which inherit the environment. `models`
alone knows nothing of this and runs on any backend.

The standard library only, and nothing that Python 3.8 cannot read, see `components.installed`.
"""

import json
import os
import sys
from pathlib import Path

_KERAS_HOME = Path(__file__).resolve().parent / "keras_home"
"""A folder with a `keras.json` of our own; Keras reads that of `KERAS_HOME` and no other."""

FIXED = {"KERAS_BACKEND": "tensorflow", "KERAS_HOME": str(_KERAS_HOME)}
"""Variables that get a value."""

DROPPED = (
    "KERAS_MAX_EPOCHS",  # would end a training early
    "KERAS_MAX_STEPS_PER_EPOCH",
    "KERAS_NNX_ENABLED",
    "TF_USE_LEGACY_KERAS",  # Keras 2 in place of 3 wherever a library says tf.keras
)
"""Variables that are taken away."""


PREFERRED = {
    # TensorFlow turns oneDNN on by itself for some processors only. Without it a dilated
    # convolution has no gradient on a CPU, see `models.native`: on an AMD EPYC without AVX-512 the
    # sample's network trained 1.5 times as fast with it.
    "TF_ENABLE_ONEDNN_OPTS": "1",
}
"""Variables that get a value where they have none."""


def fix():
    """Sets what this process and its children have to agree on.

    Raises:
        RuntimeError: Keras is imported already, on another backend.
    """
    os.environ.update(FIXED)
    for name, value in PREFERRED.items():
        os.environ.setdefault(name, value)
    for name in DROPPED:
        os.environ.pop(name, None)
    keras = sys.modules.get("keras")
    if keras is None or not hasattr(keras, "config"):
        return
    # Too late for the variables: a step on a cluster, where TFX is imported first.
    wanted = json.loads((_KERAS_HOME / "keras.json").read_text())
    if keras.config.backend() != wanted["backend"]:
        raise RuntimeError(
            f"expected Keras on TensorFlow; got {keras.config.backend()}, imported before; to fix, "
            f"set KERAS_BACKEND={wanted['backend']} in the environment"
        )
    keras.config.set_floatx(wanted["floatx"])
    keras.config.set_epsilon(wanted["epsilon"])
    keras.config.set_image_data_format(wanted["image_data_format"])
