"""Layers that every part of the network is made of.

A layer is named after the variable scope it has in the official checkpoints, with '.' for '/',
which Keras forbids in names. So `models.checkpoints` needs no table of layers.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import keras
from keras import layers, ops

from models import native

# Clips the linear features of bounded networks as ReLU6 clips the others.
BOUND = 6.0


@dataclass(frozen=True, kw_only=True)
class ConvStyle:
    """What the convolutions of one part of the network have in common."""

    momentum: float
    """Decay of the moving mean and variance of batch normalization."""
    epsilon: float
    """Added to the variance in batch normalization."""
    initializer: str | keras.initializers.Initializer
    """Of the convolution kernels."""
    activation: str = "relu"
    """`relu` or `relu6`."""
    batch_norm: bool = True
    """Without batch normalization, the convolutions have a bias."""
    dtype: str | None = None
    """Name of a Keras dtype policy; None is the global one."""

    def initialized(self, stddev: float) -> "ConvStyle":
        """The same style with kernels from a truncated normal of this standard deviation."""
        return replace(self, initializer=truncated_normal(stddev))


def truncated_normal(stddev: float) -> keras.initializers.Initializer:
    """The initializer of nearly all official kernels: truncated at two standard deviations."""
    return keras.initializers.TruncatedNormal(stddev=stddev)


def atrous_schedule(
    strides: Iterable[int], output_stride: int, current_stride: int
) -> list[tuple[int, int]]:
    """Trades stride for atrous rate once the output stride is reached (arXiv 1706.05587, 3.1).

    A unit that would stride past `output_stride` runs at stride 1 with the rate so far; the units
    after it multiply their rate by the stride that it gave up.

    Args:
        strides: The nominal stride of every unit, in order.
        output_stride: Input size over output size that the last unit must have.
        current_stride: The stride before the first unit.

    Returns:
        (stride, rate) of every unit.
    """
    schedule, rate = [], 1
    for stride in strides:
        if current_stride < output_stride:
            schedule.append((stride, 1))
            current_stride *= stride
        else:
            schedule.append((1, rate))
            rate *= stride
    return schedule


def conv2d(
    x,
    filters: int,
    kernel_size: int,
    name: str,
    style: ConvStyle,
    *,
    stride: int = 1,
    rate: int = 1,
    activate: bool = True,
    fixed_padding: bool = False,
):
    """Convolution, batch normalization, activation.

    Args:
        x: [batch, height, width, channels].
        filters: Output channels.
        kernel_size: Side of the square kernel.
        name: Official scope, with dots.
        style: Normalization, initializer and activation.
        stride: Of the convolution.
        rate: Atrous rate.
        activate: False leaves the features linear.
        fixed_padding: See `pad_for_stride`.

    Returns:
        [batch, ceil(height / stride), ceil(width / stride), filters].
    """
    x, padding = pad_for_stride(x, kernel_size, stride, name, style, fixed_padding)
    x = native.Conv2D(
        filters,
        kernel_size,
        strides=stride,
        dilation_rate=rate,
        padding=padding,
        use_bias=not style.batch_norm,
        kernel_initializer=style.initializer,
        dtype=style.dtype,
        name=name,
    )(x)
    return _normalize_and_activate(x, name, style, activate)


def depthwise_conv2d(
    x,
    name: str,
    style: ConvStyle,
    *,
    stride: int = 1,
    rate: int = 1,
    activate: bool = True,
    fixed_padding: bool = False,
):
    """3x3 convolution of every channel by itself, batch normalization, activation.

    Args and result are those of `conv2d`; the channels stay.
    """
    x, padding = pad_for_stride(x, 3, stride, name, style, fixed_padding)
    x = layers.DepthwiseConv2D(
        3,
        strides=stride,
        dilation_rate=rate,
        padding=padding,
        use_bias=not style.batch_norm,
        depthwise_initializer=style.initializer,
        dtype=style.dtype,
        name=name,
    )(x)
    return _normalize_and_activate(x, name, style, activate)


def pad_for_stride(x, kernel_size: int, stride: int, name: str, style: ConvStyle, fixed: bool):
    """Pads a strided convolution by the same amount on every side where `fixed` asks for it.

    'SAME' padding of an even-sized image is one pixel more at the bottom and right, so that a
    strided convolution samples other pixels than for an odd size. The official Xception and
    ResNet pad explicitly instead, which keeps features aligned for every size; MobileNetV2 does
    not. At stride 1 the two are equal.

    Returns:
        The features and the padding that is left for the convolution to do.
    """
    if not fixed or stride == 1 or kernel_size == 1:
        return x, "same"
    pad = layers.ZeroPadding2D((kernel_size - 1) // 2, dtype=style.dtype, name=f"{name}.pad")
    return pad(x), "valid"


def activation(x, name: str, style: ConvStyle):
    """The activation of `style`, as a layer of its own."""
    return layers.Activation(style.activation, dtype=style.dtype, name=f"{name}.activation")(x)


def _normalize_and_activate(x, name: str, style: ConvStyle, activate: bool):
    if style.batch_norm:
        x = native.BatchNormalization(
            momentum=style.momentum,
            epsilon=style.epsilon,
            dtype=style.dtype,
            name=f"{name}.BatchNorm",
        )(x)
    return activation(x, name, style) if activate else x


@keras.saving.register_keras_serializable(package="deeplab")
class ResizeBilinear(layers.Layer):
    """Bilinear resize to the size of another tensor.

    Aligned corners map the first and last pixel onto the first and last one, as the official
    weights were trained with. Without, new pixel i lies at i * size / new_size, as TensorFlow 1 and
    TFLite have it unless told otherwise; `keras.ops.image.resize` has half-pixel centers only. A
    product with one interpolation matrix per axis takes sizes that are known only when it runs, and
    its gradient is such a product again, where that of a gather would be a scatter, which
    accelerators do slowly and in no fixed order. On CPU the two are equally fast.

    Args:
        align_corners: bool. Whether the corners are aligned.
        **kwargs: those of every layer.
    """

    def __init__(self, align_corners: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.align_corners = align_corners

    def call(self, inputs):
        """Resizes the first of two tensors to the size of the second.

        Args:
            inputs: [batch, height, width, channels] and [batch, new_height, new_width, any].

        Returns:
            [batch, new_height, new_width, channels].
        """
        x, like = inputs
        _, height, width, channels = ops.shape(x)
        _, new_height, new_width, _ = ops.shape(like)
        # Width first leaves most of the work to one large matrix product.
        x = ops.matmul(self.interpolation(width, new_width, x.dtype), x)
        x = ops.reshape(x, (-1, height, new_width * channels))
        x = ops.matmul(self.interpolation(height, new_height, x.dtype), x)
        return ops.reshape(x, (-1, new_height, new_width, channels))

    def compute_output_shape(self, input_shape):
        """The shape of the result from the shapes of the two inputs."""
        x, like = input_shape
        return (x[0], *like[1:3], x[3])

    def get_config(self):
        """The arguments that build the same layer again."""
        return {**super().get_config(), "align_corners": self.align_corners}

    def interpolation(self, size, new_size, dtype):
        """The share of every old pixel in every new one, along one axis.

        Args:
            size: Old pixels, an int or a tensor.
            new_size: New pixels, likewise.
            dtype: Of the result.

        Returns:
            [new_size, size].
        """
        pixels = ops.cast(ops.arange(new_size), "float32")
        return shares(self.positions(pixels, size, new_size), size, dtype)

    def positions(self, pixels, size, new_size):
        """Where new pixels lie among the old ones, along one axis.

        Args:
            pixels: float32 [n], new pixels, or places between them.
            size: Old pixels, an int or a tensor.
            new_size: New pixels, likewise.

        Returns:
            float32 [n], from 0 to size - 1.
        """
        # In float32 whatever the dtype: positions of large images do not fit bfloat16.
        old, new = ops.cast(size, "float32"), ops.cast(new_size, "float32")
        if self.align_corners:
            scale = (old - 1.0) / ops.maximum(new - 1.0, 1.0)
        else:
            scale = old / new
        # Without aligned corners the last pixels lie beyond the last old one, and repeat it.
        return ops.minimum(pixels * scale, old - 1.0)


def shares(positions, size, dtype):
    """The share of every pixel of a row in what is interpolated at `positions`.

    Args:
        positions: float32 [n], in pixels.
        size: Pixels of the row, an int or a tensor.
        dtype: Of the result.

    Returns:
        [n, size], linear in the distance, no more than two of a row not zero.
    """
    distance = ops.abs(positions[:, None] - ops.cast(ops.arange(size), "float32")[None, :])
    return ops.cast(ops.relu(1.0 - distance), dtype)
