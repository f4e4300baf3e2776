"""The initial weights as an artifact, written before the data steps; `loading` reads it.

Plain functions, no TFX. The artifact's folder holds `weights.json`, and beside it, unless the
weights are random, a checkpoint in the official format of the variables that are taken.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import keras
import numpy as np

from components import texts
from components.errors import ConfigError
from components.initial_weights.batch_norm import require_statistics
from components.initial_weights.find import DEFAULT_CACHE, Found, find
from components.initial_weights.loading import DESCRIPTION, PREFIX, RANDOM, reason
from components.initial_weights.options import InitialWeightsOptions
from components.serving import exported
from components.storage import paths
from models import DeepLabV3Plus
from models.checkpoints import (
    Checkpoint,
    LoadReport,
    Scope,
    assign,
    is_of_logits,
    names_in_scope,
    official_variables,
    read_checkpoint,
    save_checkpoint,
)


def write(
    folder: str,
    options: InitialWeightsOptions,
    network: dict,
    *,
    class_names: Sequence[str],
    tuned_batch_norm: Literal["all", "head", "none"],
    served: str,
    name: str,
    cache: Path = DEFAULT_CACHE,
) -> str:
    """Finds the weights, loads them into the network, and writes what it took of them.

    Args:
        folder: of the artifact, here or in a store.
        options: which weights.
        network: keyword arguments of `models.DeepLabV3Plus`, with `num_classes`, `input_shape`.
        class_names: of the run; a served model of others lends all but its last layer.
        tuned_batch_norm: in which part of the network the training tunes it.
        served: see `find.find`, as `name` and `cache`.

    Returns:
        One line for the log.

    Raises:
        ConfigError: there are none, they do not fit the network, or they have no batch
            normalization that could be tuned.
        DownloadFailedError: see `find.find`.
    """
    found = find(options, served=served, name=name, cache=cache)
    if found is None:
        _write_description(folder, {"source": None})
        return RANDOM
    model = DeepLabV3Plus(**network)
    try:
        description, report = _load_found(model, found, options, network, list(class_names))
    except (OSError, ValueError) as error:
        raise ConfigError(f"initial_weights: {error}") from error
    if not options.accept_folded_batch_norm:
        require_statistics(_tuned(model, report, tuned_batch_norm), found.path)
    with tempfile.TemporaryDirectory() as local:
        save_checkpoint(model, os.path.join(local, PREFIX), names=report.loaded)
        paths.copy_tree(local, folder)
    _write_description(folder, description | {"variables": list(report.loaded)})
    return f"{report}{reason(description)}"


def _load_found(
    model: DeepLabV3Plus,
    found: Found,
    options: InitialWeightsOptions,
    network: dict,
    class_names: list[str],
) -> tuple[dict, LoadReport]:
    """Loads what was found; gives what is to be kept of where it came from, and the report.

    Raises:
        ValueError: it does not fit.
        ConfigError: an exported model is of another network, or cannot be read.
    """
    description = {"source": options.source, "scope": options.scope, "path": found.path}
    if found.identity is None:
        checkpoint = read_checkpoint(found.path)
        description["files"] = {os.path.basename(file): _sha256(file) for file in found.files()}
    else:
        about = exported.read_description(found.path)
        checkpoint = Checkpoint(found.path, exported.read_weights(found.path, about))
        scope, reason = _scope_for(options.scope, about["classes"], class_names)
        description |= {
            "scope": scope,
            "reason": reason,
            "version": os.path.basename(found.path.rstrip("/")),
            "identity": found.identity,
        }
        if scope != "backbone":
            _check_same_network(model, checkpoint, network, about["model"])
    return description, assign(model, checkpoint, scope=description["scope"])


def _tuned(model: DeepLabV3Plus, report: LoadReport, part: str) -> dict[str, np.ndarray]:
    """What was loaded into the part of the network whose batch normalization is tuned."""
    backbone = set(names_in_scope(model, "backbone"))
    return {
        name: keras.ops.convert_to_numpy(variable)
        for name, variable in official_variables(model).items()
        if name in report.loaded and (part == "all" or (part == "head" and name not in backbone))
    }


def _scope_for(scope: Scope, classes: list[str], class_names: list[str]) -> tuple[Scope, str]:
    """What an exported model of these classes can give, and why that is less than was asked for."""
    if scope != "all" or classes == class_names:
        return scope, ""
    return "except_logits", (
        f"the last layer starts anew, for the model has other classes ({len(classes)}: "
        f"{', '.join(classes[:3])}, …)"
    )


def _check_same_network(
    model: DeepLabV3Plus, checkpoint: Checkpoint, wanted: dict, got: dict
) -> None:
    """Refuses an exported model of another architecture; the last layer may differ.

    Another way to resize changes no shape, and every answer.

    Raises:
        ConfigError: naming the options of both.
    """
    shapes = {name: tuple(v.shape) for name, v in official_variables(model).items()}
    found = {name: value.shape for name, value in checkpoint.values.items()}
    differing = {name for name, _ in shapes.items() ^ found.items() if not is_of_logits(name)}
    corners = wanted.get("align_corners", True), got["align_corners"]
    if not differing and corners[0] != corners[1]:
        raise ConfigError(
            f"initial_weights.source: expected a model with model.align_corners={corners[0]}; got "
            f"one with {corners[1]} in {checkpoint.source}, whose answers would shift; to fix, "
            f"--set model.align_corners={json.dumps(corners[1])}"
        )
    if not differing:
        return
    # Through JSON, where a tuple is a list.
    wanted, got = json.loads(json.dumps([wanted, got]))
    options = [key for key in got if key in wanted and wanted[key] != got[key]]

    def side(values: dict) -> str:
        return ", ".join(f"{key}={values[key]!r}" for key in options)

    raise ConfigError(
        f"initial_weights.source: expected a model of this network ({side(wanted)}); got one of "
        f"{side(got)} in {checkpoint.source}, of which "
        f"{texts.counted(len(differing), 'variable')} do not fit; "
        "to fix, give model the options of that one, or take other weights"
    )


def _write_description(folder: str, description: dict) -> None:
    paths.make_folder(folder)
    paths.write_text(paths.join(folder, DESCRIPTION), json.dumps(description, indent=2))


def _sha256(file: str) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
