"""Published weights into the network, and the network's weights into the published format.

Layers are named after the scopes of the official checkpoints, so names map mechanically: the
kernel of layer `decoder.feature_projection0` is `decoder/feature_projection0/weights`. Official
layouts (HWIO, and HWCM for depthwise) are those of Keras; nothing is transposed.

TensorFlow is imported inside the functions that need its checkpoint format, on any Keras backend.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import h5py
import keras
import numpy as np

from components.initial_weights.checkpoint_files import find_prefix, nothing_at
from models.deeplab import DeepLabV3Plus
from models.head import LOGITS
from models.variants import BACKBONES

Scope = Literal["all", "backbone", "except_logits"]

# Names of variables in Keras and, as the last part of the name, in official checkpoints. Whatever
# ends otherwise there belongs to the optimizer: momentum, the step, counters of averages.
_OFFICIAL_NAMES = {
    "kernel": "weights",
    "bias": "biases",
    "gamma": "gamma",
    "beta": "beta",
    "moving_mean": "moving_mean",
    "moving_variance": "moving_variance",
}
_DEPTHWISE_KERNEL = "depthwise_weights"
_AVERAGE = "/ExponentialMovingAverage"
_KERAS_SUFFIX = ".weights.h5"
_LISTED = 5


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """Where every variable of a network and of a checkpoint went, by official names."""

    source: str
    """Prefix or file that was read."""
    loaded: tuple[str, ...]
    """Variables of the network that took the checkpoint's values."""
    missing: tuple[str, ...]
    """Variables of the network that the scope left as they were."""
    skipped: tuple[str, ...]
    """Variables of the checkpoint that were not used: the optimizer's, or out of scope."""

    def __str__(self) -> str:
        """One line for the log."""
        total = len(self.loaded) + len(self.missing)
        return (
            f"loaded {len(self.loaded)} of the network's {total} variables from {self.source}; "
            f"left as they were: {_some(self.missing)}; not used: {_some(self.skipped)}"
        )


@dataclass(frozen=True)
class _Checkpoint:
    """The content of a file: the network's variables by official name, and the other names."""

    source: str
    values: dict[str, np.ndarray] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)


def load_checkpoint(
    model: DeepLabV3Plus,
    path: str | os.PathLike,
    *,
    scope: Scope = "all",
    cache_dir: str | os.PathLike = "~/.cache/deeplab",
) -> LoadReport:
    """Replaces the network's weights, batch normalization statistics included.

    Args:
        model: The network.
        path: An official TensorFlow checkpoint: its prefix (`…/model.ckpt-30000`), the folder it
            is in, the published .tar.gz, the http(s) address of one, or a name in
            `models.variants.OFFICIAL_CHECKPOINTS`. Or the `.weights.h5` of a
            `keras.applications.MobileNetV2`, for the backbone: it saw [-1, 1] images and has the
            same epsilon; its strided convolutions pad as ours do, except in a network of
            undefined input size, which pads odd images like even ones.
        scope: `all`; `backbone`, for ImageNet weights; `except_logits`, for other classes.
        cache_dir: Where downloads and unpacked archives stay.

    Returns:
        What was loaded, left and skipped.

    Raises:
        OSError: There is nothing at `path`, or it could not be downloaded.
        ValueError: The layout is unknown, a variable within the scope is missing or has another
            shape, or the checkpoint has a head that the network has not. The network is as it was.
    """
    if scope not in ("all", "backbone", "except_logits"):
        raise ValueError(
            f"expected scope all, backbone or except_logits; got {scope!r}; to fix, choose one"
        )
    place = locate(path, cache_dir)
    read = _read_keras_mobilenet if place.endswith(_KERAS_SUFFIX) else _read_official
    checkpoint = read(place)

    variables = official_variables(model)
    backbone = BACKBONES[model.backbone].scope + "/"
    logits = LOGITS.replace(".", "/") + "/"
    wanted = {
        name: variable
        for name, variable in variables.items()
        if scope == "all"
        or (scope == "backbone" and name.startswith(backbone))
        or (scope == "except_logits" and not name.startswith(logits))
    }
    unused = [name for name in checkpoint.values if name not in wanted]
    _check_fits(wanted, checkpoint)
    if scope == "all":
        # The backbone of an ImageNet checkpoint has a classifier that no network here has.
        _check_no_other_head([name for name in unused if not name.startswith(backbone)], checkpoint)
    for name, variable in wanted.items():
        variable.assign(checkpoint.values[name])
    return LoadReport(
        source=checkpoint.source,
        loaded=tuple(wanted),
        missing=tuple(name for name in variables if name not in wanted),
        skipped=(*unused, *checkpoint.others),
    )


def locate(path: str | os.PathLike, cache_dir: str | os.PathLike = "~/.cache/deeplab") -> str:
    """The prefix or `.weights.h5` file that `load_checkpoint` would read, downloaded if need be.

    Args:
        path: As in `load_checkpoint`.
        cache_dir: Where downloads and unpacked archives stay.

    Raises:
        OSError: There is nothing at `path`, or it could not be downloaded.
        ValueError: The archive is damaged or unsafe, or not exactly one checkpoint is there.
    """
    path = os.fspath(path)
    if not path.endswith(_KERAS_SUFFIX):
        return find_prefix(path, Path(cache_dir).expanduser())
    if not os.path.exists(path):
        raise nothing_at(path)
    return path


def save_checkpoint(model: DeepLabV3Plus, prefix: str | os.PathLike) -> None:
    """Writes the network in the official format, to `prefix`.index and `prefix`.data-*.

    Args:
        model: The network.
        prefix: Folder and beginning of the file names, as in `…/model.ckpt-30000`.
    """
    import tensorflow as tf

    variables = official_variables(model)
    Path(prefix).parent.mkdir(parents=True, exist_ok=True)
    tf.raw_ops.SaveV2(
        prefix=os.fspath(prefix),
        tensor_names=list(variables),
        shape_and_slices=[""] * len(variables),
        tensors=[tf.constant(keras.ops.convert_to_numpy(v)) for v in variables.values()],
    )


def official_variables(model: DeepLabV3Plus) -> dict[str, keras.Variable]:
    """Every variable of the network by its name in official checkpoints."""
    return {
        f"{layer.name.replace('.', '/')}/{_official_name(layer, variable)}": variable
        for layer in model.layers
        for variable in layer.weights
    }


def _official_name(layer: keras.Layer, variable: keras.Variable) -> str:
    if variable.name == "kernel" and isinstance(layer, keras.layers.DepthwiseConv2D):
        return _DEPTHWISE_KERNEL
    return _OFFICIAL_NAMES[variable.name]


def _check_fits(wanted: dict[str, keras.Variable], checkpoint: _Checkpoint) -> None:
    """Raises a ValueError unless the checkpoint has all wanted variables in their shapes."""
    missing = [name for name in wanted if name not in checkpoint.values]
    if missing:
        scopes = {name.split("/")[0] for name in checkpoint.values}
        raise ValueError(
            f"expected {_some(missing)} in {checkpoint.source}; got variables of "
            f"{_some(sorted(scopes))} only; to fix, build the network with the checkpoint's "
            "backbone and options, or load less with scope='backbone' or 'except_logits'"
        )
    for name, variable in wanted.items():
        got = checkpoint.values[name].shape
        if got != tuple(variable.shape):
            raise ValueError(
                f"expected {name} of shape {tuple(variable.shape)}; got {got} in "
                f"{checkpoint.source}; to fix, build the network with the checkpoint's width, "
                "depths and number of classes, or load less with scope='backbone' or "
                "'except_logits'"
            )


def _check_no_other_head(unused: list[str], checkpoint: _Checkpoint) -> None:
    """Raises a ValueError for parts of the head that would silently be left out."""
    if unused:
        raise ValueError(
            f"expected a place in the network for all of {checkpoint.source}; got "
            f"{_some(unused)} without one; to fix, build the network with the checkpoint's "
            "options (decoder, atrous_rates, image_pooling), or load less with scope='backbone'"
        )


def _some(names: list[str] | tuple[str, ...]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return (", ".join(names[:_LISTED]) or "none") + more


def _read_official(prefix: str) -> _Checkpoint:
    """Reads a TensorFlow checkpoint, with moving averages in place of what they average."""
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(prefix)
        names = sorted(reader.get_variable_to_shape_map())
        checkpoint = _Checkpoint(prefix)
        for name in names:
            variable = name.removesuffix(_AVERAGE)
            if variable.split("/")[-1] not in (_DEPTHWISE_KERNEL, *_OFFICIAL_NAMES.values()):
                checkpoint.others.append(name)
            elif name + _AVERAGE in names:
                checkpoint.others.append(f"{name} (its moving average was)")
            else:
                checkpoint.values[variable] = reader.get_tensor(name)
    except tf.errors.OpError as error:
        raise ValueError(
            f"expected a readable TensorFlow checkpoint at {prefix}; got {error.message}; to fix, "
            "download or copy it again"
        ) from error
    return checkpoint


def _read_keras_mobilenet(path: str) -> _Checkpoint:
    """Reads a `keras.applications.MobileNetV2` under the official names."""
    checkpoint, layers = _Checkpoint(path), []
    for layer, arrays in _keras_layers(path):
        layers.append(layer)
        scope = _official_mobilenet_scope(layer)
        if scope.endswith("BatchNorm"):
            names = ["gamma", "beta", "moving_mean", "moving_variance"]
        else:
            names = [_DEPTHWISE_KERNEL if scope.endswith("/depthwise") else "weights"]
        # A classifier, which is out of scope, may have a bias besides.
        checkpoint.values.update(
            (f"{scope}/{name}", array) for name, array in zip(names, arrays, strict=False)
        )
    if "MobilenetV2/expanded_conv/project/weights" not in checkpoint.values:
        raise ValueError(
            f"expected the layers of a keras.applications.MobileNetV2 in {path}; got "
            f"{_some(layers)}; to fix, give an official checkpoint, or use model.load_weights for "
            "weights that this network saved itself"
        )
    return checkpoint


def _keras_layers(path: str) -> list[tuple[str, list[np.ndarray]]]:
    """The name of every layer with weights in a `.weights.h5`, and the weights."""
    try:
        with h5py.File(path) as file:
            return [
                (group["vars"].attrs.get("name", "?"), [array[()] for array in arrays])
                for group in file.get("layers", {}).values()
                if (arrays := group.get("vars", {}).values())
            ]
    except OSError as error:
        raise ValueError(
            f"expected a readable HDF5 file at {path}; got {error}; to fix, save or copy it again"
        ) from error


def _official_mobilenet_scope(layer: str) -> str:
    """`block_3_expand_BN` is `MobilenetV2/expanded_conv_3/expand/BatchNorm`."""
    layer = {"Conv1": "Conv", "bn_Conv1": "Conv_BN"}.get(layer, layer)
    layer = re.sub(r"^block_(\d+)_", r"expanded_conv_\1/", layer)
    layer = re.sub(r"^expanded_conv_(depthwise|project)", r"expanded_conv/\1", layer)
    return "MobilenetV2/" + re.sub(r"_(BN|bn)$", "/BatchNorm", layer)
