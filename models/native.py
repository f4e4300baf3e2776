"""The layers of Keras that its TensorFlow backend computes slowly, on TensorFlow's own operations.

Keras' backend sends every dilated convolution through space-to-batch: it cuts the features into
rate² small pictures and sews them together again, in the gradient, too. One 3x3 ASPP branch (rate
12, 2048 to 256 channels, 33² positions) took 235 ms on two cores and takes 45 with the dilated
operation. Batch normalization in training is a chain of reductions and products there, and one
operation here. Together they train DeepLab v3 on ResNet-50 at output stride 8 about three times as
fast; `benchmarks/README.md` has it beside PyTorch.

Names, weights, configurations and results are those of the layers they derive from. Whatever has
no faster way takes Keras' own: other backends, other layouts, undilated convolutions (native
already), and batch normalization with fixed statistics (a product and a sum, for which the fused
operation is no faster, and slower in Xception).

Dilated depthwise convolutions stay Keras' own as well. TensorFlow's operation for them computes
the gradient on a CPU as if there were no dilation, has no kernel on GPUs and without oneDNN, and
is slower at the rates of ASPP.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import keras
import numpy as np
from keras import layers, ops

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
else:
    tf = None


@keras.saving.register_keras_serializable(package="deeplab")
class Conv2D(layers.Conv2D):
    """Keras' `Conv2D`, with atrous rates computed directly."""

    def build(self, input_shape):
        """Makes the weights, and finds out whether the device has the operation."""
        super().build(input_shape)
        self._native = (
            tf is not None
            and max(self.dilation_rate) > 1
            and self.data_format == "channels_last"
            and self.groups == 1
            and _works(self.padding, self.compute_dtype)
        )

    def convolution_op(self, inputs, kernel):
        """Convolves, without bias and activation."""
        if not self._native:
            return super().convolution_op(inputs, kernel)
        return _conv2d(inputs, ops.convert_to_tensor(kernel), self.padding, self.dilation_rate)


@keras.saving.register_keras_serializable(package="deeplab")
class BatchNormalization(layers.BatchNormalization):
    """Keras' `BatchNormalization`, with one operation where it is tuned.

    Unlike there, an empty batch leaves the moving statistics as they are, not as no numbers.
    """

    def call(self, inputs, training=None, mask=None):
        """[batch, height, width, channels] to the same; any other rank as in Keras."""
        if not (training and self.trainable and mask is None and self._can_be_fused(inputs)):
            return super().call(inputs, training=training, mask=mask)
        channels = inputs.shape[-1]
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=ops.cast(self.gamma, "float32") if self.scale else tf.ones(channels),
            offset=ops.cast(self.beta, "float32") if self.center else tf.zeros(channels),
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        # The operation estimates the variance of what the batch is drawn from, by a factor of
        # n / (n - 1); Keras keeps that of the batch.
        count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:-1]), "float32")
        variance = tf.where(count > 1, variance * (count - 1) / count, 0.0)
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            old = ops.cast(moving, "float32")
            new = old * self.momentum + batch * (1.0 - self.momentum)
            moving.assign(tf.where(count > 0, new, old))
        return outputs

    def _can_be_fused(self, inputs) -> bool:
        return (
            tf is not None
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and keras.backend.standardize_dtype(inputs.dtype) in ("float32", "bfloat16", "float16")
            and not (self.renorm or self.synchronized)
        )


def _conv2d(x, kernel, padding: str, dilation_rate: tuple[int, int]):
    return tf.nn.conv2d(x, kernel, 1, padding.upper(), dilations=dilation_rate)


@cache
def _works(padding: str, dtype: str) -> bool:
    """Whether a dilated convolution and its gradient are right where operations go by default.

    That depends on device, processor, TensorFlow's build and its environment, and is written down
    nowhere: on a CPU without oneDNN, as on some ARM, there is no gradient. So a small one is tried,
    once, on numbers that every dtype adds exactly.
    """
    shapes = (1, 8, 8, 16), (3, 3, 16, 16)
    arrays = [np.arange(np.prod(shape)).reshape(shape) % 7 % 2 for shape in shapes]

    @tf.function
    def run(convolve, x, kernel):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = convolve(x, kernel, padding=padding, dilation_rate=(2, 2))
        return y, *tape.gradient(y, [x, kernel])

    def compute(convolve) -> list[np.ndarray]:
        return [result.numpy() for result in run(convolve, *(tf.cast(a, dtype) for a in arrays))]

    # A thread of its own is outside of every graph, device scope and replica of the caller's.
    with ThreadPoolExecutor(1) as thread:
        try:
            found = thread.submit(compute, _conv2d).result()
        except tf.errors.OpError:
            # The answer, not a fault: Keras' own way runs everywhere.
            return False
        expected = thread.submit(compute, ops.conv).result()
    return all(map(np.array_equal, found, expected))
