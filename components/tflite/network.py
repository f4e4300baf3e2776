"""The network as a phone gets it, and its conversion to TensorFlow Lite.

**The contract** of every file. Input `image`, `[1, S, S, 3]`: red, green and blue of a picture, 0
to 255, at the top left of a square canvas of side S, shrunk to fit if it is larger, and 127.5
everywhere else; float32, or uint8 (then 128) where the kind is int8. Output `scores`,
`[1, h, w, C]`: small class scores of the whole canvas; float32, or int8 to be taken as
`scale * (scores - zero_point)`. Whoever wants a mask enlarges the scores, not the classes, to the
size of the picture, and takes the class of the highest one: `docs/serving.md` has the lines.

So the last resize, of the most numbers, stays outside and in float: in integers it is where
networks are known to collapse. Batch normalization is folded away, all shapes are static, as
phones' accelerators want them, and normalisation is inside. Dilated convolutions, which Keras
sends through space-to-batch, become TensorFlow Lite's own: with static shapes its converter sees
what they are.
"""

from collections.abc import Callable, Iterable
from itertools import chain

import keras
import numpy as np
import tensorflow as tf

from components.tflite.options import INT8, Kind
from components.transform.preprocessing import normalise
from models import DeepLabV3Plus
from models.inference import fold
from models.layers import ResizeBilinear

IMAGE, SCORES = "image", "scores"


class _Resize(ResizeBilinear):
    """The same by the operation that phones have, in place of products of matrices.

    Never with half-pixel centers, which TensorFlow Lite refuses together with aligned corners.
    """

    def call(self, inputs):
        """See `ResizeBilinear.call`; sizes are static."""
        x, like = inputs
        return tf.compat.v1.image.resize_bilinear(
            x, like.shape[1:3], align_corners=self.align_corners
        )


def phone_network(model: DeepLabV3Plus) -> keras.Model:
    """The folded network, with the resizes inside it as one operation each.

    Args:
        model: the network, float32, of a fixed size.

    Returns:
        Images `[1, S, S, 3]` in [-1, 1] to class scores `[1, h, w, C]`, float32. The weights are
        copies.
    """

    def native(layer):
        kind = _Resize if isinstance(layer, ResizeBilinear) else type(layer)
        return kind.from_config(layer.get_config())

    folded = fold(model)
    network = keras.models.clone_model(folded, clone_function=native)
    network.set_weights(folded.get_weights())
    return network


class _Module(tf.Module):
    """Holds the variables, without which a converter makes no signature."""

    def __init__(self, network: keras.Model):
        super().__init__(name="deeplab")
        self._variables = [variable.value for variable in network.variables]
        spec = tf.TensorSpec([1, *network.input_shape[1:]], tf.float32, name=IMAGE)

        @tf.function(input_signature=[spec])
        def call(image):
            return {SCORES: network(normalise(image), training=False)}

        self.call = call


def convert(network: keras.Model, kind: Kind, canvases: Callable[[], Iterable[np.ndarray]]):
    """The bytes of a TensorFlow Lite file, see the contract above.

    Args:
        network: of `phone_network`.
        kind: of its numbers.
        canvases: gives pixels, float32 `[1, S, S, 3]`, to calibrate int8 on; anew at every call.

    Raises:
        Exception: what the converter raises; it has no class of its own for what it cannot.
    """
    module = _Module(network)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.call.get_concrete_function()], module
    )
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if kind == INT8:
        # No operator may stay in float: then the converter fails, and says which.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: ([each] for each in _whole_range(canvases()))
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.int8
    return converter.convert()


def _whole_range(canvases: Iterable[np.ndarray]) -> Iterable[np.ndarray]:
    """The canvases, of which the first has a black and a white pixel in its last corner.

    Then the input's integers are the pixels themselves, also where all pictures are dark.
    """
    canvases = iter(canvases)
    first = next(canvases).copy()
    first[0, -1, -2:] = [[0.0], [255.0]]
    return chain([first], canvases)
