"""What an exported model says of itself, and the weights in it, by their official names."""

import hashlib
import json
from collections.abc import Mapping

import numpy as np

from components.errors import ConfigError
from components.serving import versions
from components.storage import paths


def is_exported(folder: str) -> bool:
    """Whether a folder, here or in a store, holds a SavedModel."""
    return paths.exists(paths.join(folder, "saved_model.pb"))


def read_description(folder: str) -> dict:
    """The description of an exported model.

    Args:
        folder: of the SavedModel, here or in a store.

    Returns:
        What was given to `signatures.export`, with its `identity`.

    Raises:
        ConfigError: there is none, or it is not one that `signatures.export` wrote.
    """
    description = versions.read_extra(folder, versions.MODEL_DESCRIPTION) or {}
    missing = {"classes", "model", "identity"} - description.keys()
    if missing:
        raise ConfigError(
            f"expected a model that this pipeline exported in {folder}; got "
            f"{versions.MODEL_DESCRIPTION} without {', '.join(sorted(missing))} or none; to fix, "
            "give the folder of a version that it pushed"
        )
    # Models that were pushed before this was an option.
    return {**description, "model": {"align_corners": True, **description["model"]}}


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

    # Models that were pushed with batch normalization have no other weights than those they serve
    # with, and their official names, in this order, in the description.
    names = description.get("variables")
    where = ("variables", "variables") if names is not None else (versions.EXTRA, versions.WEIGHTS)
    prefix = paths.join(folder, *where)
    try:
        # Not `tf.train.load_checkpoint`, for which a prefix is a folder in some stores.
        reader = tf.compat.v1.train.NewCheckpointReader(prefix)
        if names is None:
            return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
        return {
            name: reader.get_tensor(f"_variables/{index}/.ATTRIBUTES/VARIABLE_VALUE")
            for index, name in enumerate(names)
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
