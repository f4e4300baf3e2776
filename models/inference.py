"""The network as it is served: no batch normalization, no dropout, no enlarged class scores."""

import keras
import numpy as np
from keras import layers

from models.deeplab import DeepLabV3Plus

_BATCH_NORM = ".BatchNorm"


def fold(model: DeepLabV3Plus) -> keras.Model:
    """A network that answers as the trained one does, with batch normalization in its kernels.

    A convolution and the normalization behind it are both linear, so that one convolution with a
    bias does what the two do. The weights are copies.

    Args:
        model: The network, on any Keras backend.

    Returns:
        Images `[batch, height, width, 3]` to class scores `[batch, h, w, num_classes]`, float32, of
        the size that the network's last resize gets to enlarge.
    """
    norms = {layer.name.removesuffix(_BATCH_NORM): layer for layer in model.batch_norm_layers}

    def without(layer):
        if isinstance(layer, layers.BatchNormalization | layers.Dropout):
            return lambda features, **_: features
        config = layer.get_config()
        return type(layer).from_config(
            config | {"use_bias": True} if layer.name in norms else config
        )

    scores = keras.Model(model.input, model.logits_layer.output, name=model.name)
    folded = keras.models.clone_model(scores, clone_function=without)
    for layer in folded.layers:
        if layer.weights:
            weights = model.get_layer(layer.name).get_weights()
            norm = norms.get(layer.name)
            layer.set_weights(weights if norm is None else _folded(weights, layer, norm))
    return folded


def _folded(weights: list[np.ndarray], layer: layers.Layer, norm: layers.BatchNormalization):
    """Kernel and bias of a convolution that normalizes, too."""
    kernel = weights[0].astype(np.float64)
    bias = weights[1] if len(weights) > 1 else 0.0
    gamma, beta, mean, variance = (value.astype(np.float64) for value in norm.get_weights())
    scale = gamma / np.sqrt(variance + norm.epsilon)
    # The kernels of a depthwise convolution end in input channels and copies of each.
    is_depthwise = isinstance(layer, layers.DepthwiseConv2D)
    kernel *= scale.reshape(kernel.shape[2:]) if is_depthwise else scale
    return [kernel, beta + (bias - mean) * scale]
