"""ResNet-v1 "beta": 3x3 stem, stride in the last unit of a block (official resnet_v1_beta.py)."""

from keras import layers

from models.backbones import Features
from models.layers import ConvStyle, activation, atrous_schedule, conv2d

_STEM = (64, 64, 128)
_BOTTLENECK_CHANNELS = (64, 128, 256, 512)
_EXPANSION = 4
_LAST_BLOCK = 4
_LOW_LEVEL_UNIT = (1, 2)


def resnet_v1_beta(
    images,
    *,
    units: tuple[int, int, int, int],
    scope: str,
    output_stride: int,
    multi_grid: tuple[int, int, int],
    bounded_activation: bool,
    dtype: str | None,
) -> Features:
    """Adds ResNet-v1 beta to the graph.

    Args:
        images: [batch, height, width, 3] in [-1, 1].
        units: Number of bottleneck units of every block.
        scope: Official variable scope.
        output_stride: 8, 16 or 32.
        multi_grid: Factors on the rates of the last block's units.
        bounded_activation: ReLU6 for ReLU. The official code has this for Xception only.
        dtype: Dtype policy of the layers.

    Returns:
        2048 high-level and 256 low-level channels.
    """
    style = ConvStyle(
        momentum=0.95,
        epsilon=1e-5,
        initializer="he_normal",
        activation="relu6" if bounded_activation else "relu",
        dtype=dtype,
    )
    plan = []
    for block, count in enumerate(units, start=1):
        for unit in range(1, count + 1):
            # Unlike in keras.applications, and not at all in the last block.
            strided = unit == count and block < _LAST_BLOCK
            plan.append((block, unit, 2 if strided else 1))
    schedule = atrous_schedule((stride for *_, stride in plan), output_stride, current_stride=4)

    x = images
    for index, channels in enumerate(_STEM, start=1):
        x = conv2d(
            x,
            channels,
            3,
            f"{scope}.conv1_{index}",
            style,
            stride=2 if index == 1 else 1,
            fixed_padding=True,
        )
    x = layers.MaxPooling2D(3, strides=2, padding="same", dtype=dtype, name=f"{scope}.pool1")(x)
    low_level = None
    for (block, unit, _), (stride, rate) in zip(plan, schedule, strict=True):
        if block == _LAST_BLOCK:
            rate *= multi_grid[unit - 1]
        name = f"{scope}.block{block}.unit_{unit}.bottleneck_v1"
        x, residual = _bottleneck(x, _BOTTLENECK_CHANNELS[block - 1], stride, rate, name, style)
        if (block, unit) == _LOW_LEVEL_UNIT:
            low_level = residual
    return Features(high_level=x, low_level=low_level)


def _bottleneck(x, channels: int, stride: int, rate: int, name: str, style: ConvStyle):
    """1x1, 3x3 with stride and rate, 1x1, added to the input.

    Returns:
        The unit's output, and what it added.
    """
    if x.shape[-1] != channels * _EXPANSION:
        shortcut = conv2d(
            x,
            channels * _EXPANSION,
            1,
            f"{name}.shortcut",
            style,
            stride=stride,
            activate=False,
        )
    elif stride > 1:
        # A pool of one pixel is the official way to take every second one.
        shortcut = layers.MaxPooling2D(
            1, strides=stride, dtype=style.dtype, name=f"{name}.shortcut"
        )(x)
    else:
        shortcut = x
    residual = conv2d(x, channels, 1, f"{name}.conv1", style)
    residual = conv2d(
        residual,
        channels,
        3,
        f"{name}.conv2",
        style,
        stride=stride,
        rate=rate,
        fixed_padding=True,
    )
    residual = conv2d(residual, channels * _EXPANSION, 1, f"{name}.conv3", style, activate=False)
    x = layers.Add(dtype=style.dtype, name=f"{name}.add")([shortcut, residual])
    return activation(x, name, style), residual
