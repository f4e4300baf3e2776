"""Published weights into the network, and the network's weights into the published format.

Everything here reads and writes files of this machine; nothing is fetched.

Layers are named after the scopes of the official checkpoints, so names map mechanically: the
kernel of layer `decoder.feature_projection0` is `decoder/feature_projection0/weights`. Official
layouts (HWIO, and HWCM for depthwise) are those of Keras; nothing is transposed.

TensorFlow is imported inside the functions that need its checkpoint format, on any Keras backend.
"""

import os
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal, get_args

import h5py
import keras
import numpy as np

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
class Checkpoint:
    """The content of a checkpoint."""

    source: str
    """What it was read from, for messages."""
    values: dict[str, np.ndarray] = field(default_factory=dict)
    """Variables of a network by their official names."""
    others: list[str] = field(default_factory=list)
    """Names of all else: momentum, steps, what a moving average stands for."""


def load_checkpoint(
    model: DeepLabV3Plus, path: str | os.PathLike, *, scope: Scope = "all"
) -> LoadReport:
    """Replaces the network's weights, batch normalization statistics included.

    Args:
        model: The network.
        path: See `read_checkpoint`.
        scope: `all`; `backbone`, for ImageNet weights; `except_logits`, for other classes.

    Returns:
        What was loaded, left and skipped.

    Raises:
        OSError: There is nothing at `path`.
        ValueError: The layout is unknown, a variable within the scope is missing or has another
            shape, or the checkpoint has a head that the network has not. The network is as it was.
    """
    _check_scope(scope)
    return assign(model, read_checkpoint(path), scope=scope)


def read_checkpoint(path: str | os.PathLike) -> Checkpoint:
    """Reads the weights of a network.

    Args:
        path: The prefix of an official TensorFlow checkpoint (`…/model.ckpt-30000`). Or the
            `.weights.h5` of a `keras.applications.MobileNetV2`, for the backbone: it saw [-1, 1]
            images and has the same epsilon; its strided convolutions pad as ours do, except in a
            network of undefined input size, which pads odd images like even ones.

    Raises:
        OSError: There is nothing at `path`.
        ValueError: It cannot be read, or its layout is unknown.
    """
    path = os.fspath(path)
    is_keras = path.endswith(_KERAS_SUFFIX)
    if not os.path.exists(path if is_keras else f"{path}.index"):
        raise FileNotFoundError(
            f"expected a checkpoint at {path}; got no such file; to fix, give the prefix of one, "
            f"as in model.ckpt-30000, or a {_KERAS_SUFFIX}"
        )
    return _read_keras_mobilenet(path) if is_keras else _read_official(path)


def assign(model: DeepLabV3Plus, checkpoint: Checkpoint, *, scope: Scope = "all") -> LoadReport:
    """Gives the network the values of a checkpoint that was read; see `load_checkpoint`.

    Raises:
        ValueError: A variable within the scope is missing or has another shape, or the checkpoint
            has a head that the network has not. The network is as it was.
    """
    variables = official_variables(model)
    wanted = {name: variables[name] for name in names_in_scope(model, scope)}
    unused = [name for name in checkpoint.values if name not in wanted]
    _check_fits(wanted, checkpoint)
    if scope == "all":
        # The backbone of an ImageNet checkpoint has a classifier that no network here has.
        backbone = BACKBONES[model.backbone].scope + "/"
        _check_no_other_head([name for name in unused if not name.startswith(backbone)], checkpoint)
    for name, variable in wanted.items():
        variable.assign(checkpoint.values[name])
    return LoadReport(
        source=checkpoint.source,
        loaded=tuple(wanted),
        missing=tuple(name for name in variables if name not in wanted),
        skipped=(*unused, *checkpoint.others),
    )


def names_in_scope(model: DeepLabV3Plus, scope: Scope) -> list[str]:
    """The official names of the variables that a scope takes from a checkpoint.

    Raises:
        ValueError: There is no such scope.
    """
    _check_scope(scope)
    backbone = BACKBONES[model.backbone].scope + "/"
    return [
        name
        for name in official_variables(model)
        if scope == "all"
        or (scope == "backbone" and name.startswith(backbone))
        or (scope == "except_logits" and not is_of_logits(name))
    ]


def is_of_logits(name: str) -> bool:
    """Whether an official name is of the last layer, whose shape depends on the classes."""
    return name.startswith(LOGITS.replace(".", "/") + "/")


def save_checkpoint(
    model: DeepLabV3Plus, prefix: str | os.PathLike, *, names: Collection[str] | None = None
) -> None:
    """Writes the network in the official format, to `prefix`.index and `prefix`.data-*.

    Args:
        model: The network.
        prefix: Folder and beginning of the file names, as in `…/model.ckpt-30000`.
        names: Official names of the variables to write; None writes all.
    """
    import tensorflow as tf

    variables = official_variables(model)
    if names is not None:
        variables = {name: variables[name] for name in names}
    os.makedirs(os.path.dirname(os.path.abspath(prefix)), exist_ok=True)
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


def _check_scope(scope: str) -> None:
    if scope not in get_args(Scope):
        raise ValueError(
            f"expected scope all, backbone or except_logits; got {scope!r}; to fix, choose one"
        )


def _check_fits(wanted: dict[str, keras.Variable], checkpoint: Checkpoint) -> None:
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


def _check_no_other_head(unused: list[str], checkpoint: Checkpoint) -> None:
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


def _read_official(prefix: str) -> Checkpoint:
    """Reads a TensorFlow checkpoint, with moving averages in place of what they average."""
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(prefix)
        names = sorted(reader.get_variable_to_shape_map())
        checkpoint = Checkpoint(prefix)
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


def _read_keras_mobilenet(path: str) -> Checkpoint:
    """Reads a `keras.applications.MobileNetV2` under the official names."""
    checkpoint, layers = Checkpoint(path), []
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
