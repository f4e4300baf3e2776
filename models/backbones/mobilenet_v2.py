"""MobileNetV2 (arXiv 1801.04381) as in the official slim code, up to its last bottleneck."""

from keras import layers

from models.backbones import Features
from models.layers import ConvStyle, atrous_schedule, conv2d, depthwise_conv2d, truncated_normal

# (expansion, channels at width 1, number of units, stride of the first unit): Table 2.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_LOW_LEVEL_UNIT = 2


def mobilenet_v2(
    images,
    *,
    scope: str,
    output_stride: int,
    width_multiplier: float,
    dtype: str | None,
) -> Features:
    """Adds MobileNetV2 to the graph.

    Args:
        images: [batch, height, width, 3] in [-1, 1].
        scope: Official variable scope.
        output_stride: 8, 16 or 32.
        width_multiplier: Factor on all channels.
        dtype: Dtype policy of the layers.

    Returns:
        320 high-level channels after the last bottleneck, 144 low-level ones within unit 2 (both
        at width 1).
    """
    style = ConvStyle(
        momentum=0.997,
        epsilon=1e-3,
        initializer=truncated_normal(0.09),
        activation="relu6",
        dtype=dtype,
    )
    # The official code rounds channels to multiples of 8 at width 1 only.
    divisor = 8 if width_multiplier == 1 else 1
    units = [
        (expansion, _round(channels * width_multiplier, divisor), stride if first else 1)
        for expansion, channels, count, stride in _STAGES
        for first in [True] + [False] * (count - 1)
    ]
    schedule = atrous_schedule((unit[2] for unit in units), output_stride, current_stride=2)

    x = conv2d(images, _round(32 * width_multiplier, divisor), 3, f"{scope}.Conv", style, stride=2)
    low_level = None
    for index, ((expansion, channels, _), (stride, rate)) in enumerate(
        zip(units, schedule, strict=True)
    ):
        name = f"{scope}.expanded_conv" + (f"_{index}" if index else "")
        x, expanded = _bottleneck(x, expansion, channels, stride, rate, name, style)
        if index == _LOW_LEVEL_UNIT:
            low_level = expanded
    return Features(high_level=x, low_level=low_level)


def _bottleneck(x, expansion, channels, stride, rate, name, style):
    """Expand, filter depthwise, project without activation; add the input where shapes agree.

    Returns:
        The unit's output and its depthwise features.
    """
    block_input, expanded = x, x
    if expansion > 1:
        expanded = conv2d(x, _round(x.shape[-1] * expansion, 8), 1, f"{name}.expand", style)
    expanded = depthwise_conv2d(expanded, f"{name}.depthwise", style, stride=stride, rate=rate)
    x = conv2d(expanded, channels, 1, f"{name}.project", style, activate=False)
    if stride == 1 and block_input.shape[-1] == channels:
        x = layers.Add(dtype=style.dtype, name=f"{name}.add")([block_input, x])
    return x, expanded


def _round(channels: float, divisor: int) -> int:
    """The nearest multiple of `divisor` that is not more than 10 % smaller."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
