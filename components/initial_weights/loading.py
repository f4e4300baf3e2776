"""Reads the artifact of the initial weights; apart from what finds and downloads weights.

What the Trainer imports is part of its cache key: rewording a download must not retrain a model.
"""

import json
import os
import tempfile

from components import texts
from components.errors import ConfigError
from components.storage import paths
from models import DeepLabV3Plus
from models.checkpoints import load_checkpoint

DESCRIPTION = "weights.json"
PREFIX = "model.ckpt"
RANDOM = "random"


def load(model: DeepLabV3Plus, folder: str) -> str:
    """Gives the network the weights of the artifact; the other variables stay as they were.

    Args:
        model: a network of the options that the artifact was written for.
        folder: of the artifact, here or in a store: `fn_args.base_model` in TFX's Trainer.

    Returns:
        One line for the log.

    Raises:
        ConfigError: the network is another one.
    """
    description = json.loads(paths.read_text(paths.join(folder, DESCRIPTION)))
    source = description["source"]
    if source is None:
        return RANDOM
    with tempfile.TemporaryDirectory() as local:
        paths.copy_tree(folder, local)
        try:
            report = load_checkpoint(model, os.path.join(local, PREFIX), scope=description["scope"])
        except ValueError as error:
            raise ConfigError(f"initial_weights: {error}") from error
    return f"{texts.counted(len(report.loaded), 'variable')} from {source}{reason(description)}"


def reason(description: dict) -> str:
    """Why less was taken than was asked for, behind a semicolon; empty where it was not."""
    return f"; {description['reason']}" if description.get("reason") else ""
