"""What an exported model says of itself, and the weights in it, by their official names."""

import hashlib
import json
from collections.abc import Mapping

import numpy as np

from components.errors import ConfigError
from components.storage import paths

SAVED_MODEL = "saved_model.pb"
EXTRA = "assets.extra"
"""Folder in the exported model that TF Serving ignores."""
MODEL_DESCRIPTION = "model.json"
"""In `EXTRA`: class names, configuration, names of the variables, and the model's identity."""


def read_description(folder: str) -> dict:
    """The description of an exported model.

    Args:
        folder: of the SavedModel, here or in a store.

    Returns:
        What was given to `signatures.export`, with `variables`, the official names in the order of
        the SavedModel's variables (None for one that no checkpoint holds), and `identity`.

    Raises:
        ConfigError: there is none, or it is not one that `signatures.export` wrote.
    """
    path = paths.join(folder, EXTRA, MODEL_DESCRIPTION)
    try:
        description = json.loads(paths.read_text(path))
        if not {"classes", "model", "variables", "identity"} <= description.keys():
            raise ValueError("a description without names of variables")
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"expected a model that this pipeline exported in {folder}; got no description of one "
            f"at {path} ({error}); to fix, give the folder of a version that it pushed"
        ) from error
    return description


def read_weights(folder: str, description: Mapping) -> dict[str, np.ndarray]:
    """The weights of an exported model by their official names.

    Args:
        folder: of the SavedModel, here or in a store.
        description: what `read_description` gave.

    Raises:
        ConfigError: they cannot be read.
    """
    # Imported here: whoever asks for the description alone needs no TensorFlow.
    import tensorflow as tf

    prefix = paths.join(folder, "variables", "variables")
    try:
        reader = tf.train.load_checkpoint(prefix)
        return {
            name: reader.get_tensor(f"_variables/{index}/.ATTRIBUTES/VARIABLE_VALUE")
            for index, name in enumerate(description["variables"])
            if name is not None
        }
    except (tf.errors.OpError, ValueError) as error:
        raise ConfigError(
            f"expected readable weights of an exported model at {prefix}; got {error}; to fix, "
            "push the model again, or give another one"
        ) from error


def identity(weights: Mapping[str, np.ndarray], description: Mapping) -> str:
    """SHA-256 of weights and description: the same for two models that answer the same.

    Args:
        weights: values by official name.
        description: what was given to `signatures.export`.
    """
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name, value in sorted(weights.items()):
        digest.update(f"\n{name} {value.dtype} {value.shape}\n".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()
