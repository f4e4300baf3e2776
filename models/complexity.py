"""Counts what a network costs, to compare with published figures before anything is trained."""

import math

import keras

from models.deeplab import DeepLabV3Plus


def parameters(model: keras.Model) -> tuple[int, int]:
    """Numbers of trainable and of other weights; the others are batch normalization statistics."""
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return trainable, model.count_params() - trainable


def multiply_adds(model: DeepLabV3Plus, height: int, width: int) -> int:
    """Multiply-adds of all convolutions for one image, the way the model zoo counts them.

    Not in the count, as in the zoo's: batch normalization (it folds into the convolutions),
    activations, pooling and resizing.

    Args:
        model: A network of any input size.
        height: Of the image.
        width: Of the image.
    """
    shapes = layer_shapes(model, height, width)
    # Every weight of a kernel is used once for each pixel that comes out.
    return sum(
        math.prod(layer.kernel.shape) * math.prod(shapes[layer.name][1:3])
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D)
    )


def layer_shapes(model: DeepLabV3Plus, height: int, width: int) -> dict[str, tuple[int, ...]]:
    """The shape of every operation's output for one image, without running the network.

    Args:
        model: A network of any input size.
        height: Of the image.
        width: Of the image.

    Returns:
        (1, height, width, channels) by the name of layer or operation.
    """
    tensors = {id(model.input): keras.KerasTensor((1, height, width, 3))}
    shapes = {}
    # Operations are in the order in which they run, so the inputs of each are known.
    for operation in model.operations:
        if isinstance(operation, keras.layers.InputLayer):
            continue
        inputs = keras.tree.map_structure(lambda tensor: tensors[id(tensor)], operation.input)
        output = operation.compute_output_spec(inputs)
        tensors[id(operation.output)] = output
        shapes[operation.name] = output.shape
    return shapes
