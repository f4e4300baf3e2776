"""Aligned Xception as modified for DeepLab v3+ (arXiv 1802.02611, Fig. 4)."""

from typing import NamedTuple

from keras import layers, ops

from models.backbones import Features
from models.layers import (
    BOUND,
    ConvStyle,
    activation,
    atrous_schedule,
    conv2d,
    depthwise_conv2d,
    truncated_normal,
)


class _Module(NamedTuple):
    """One module: three separable convolutions, the last with the stride."""

    name: str
    depths: tuple[int, int, int]
    stride: int = 1
    shortcut: str = "conv"
    """`conv` 1x1 with the stride, `sum` with the input, or `none`."""
    activation_within: bool = False
    """Activates after every convolution instead of before the separable ones."""
    rates: tuple[int, int, int] = (1, 1, 1)


# (channels, stride) of the modules of the entry flow.
_ENTRY_FLOW = ((128, 2), (256, 2), (728, 2))
_DEEP_ENTRY_FLOW = ((128, 2), (256, 1), (256, 2), (728, 1), (728, 2))


def xception(
    images,
    *,
    middle_modules: int,
    deep_entry_flow: bool,
    scope: str,
    output_stride: int,
    multi_grid: tuple[int, int, int],
    bounded_activation: bool,
    dtype: str | None,
) -> Features:
    """Adds Xception to the graph.

    Args:
        images: [batch, height, width, 3] in [-1, 1].
        middle_modules: Number of modules of the middle flow.
        deep_entry_flow: Takes the five modules of Xception-71 for the three of the others.
        scope: Official variable scope.
        output_stride: 8, 16 or 32.
        multi_grid: Factors on the rates of the last module.
        bounded_activation: ReLU6 for ReLU, and linear features clipped to [-6, 6].
        dtype: Dtype policy of the layers.

    Returns:
        2048 high-level and 256 low-level channels.
    """
    style = ConvStyle(
        momentum=0.9997,
        epsilon=1e-3,
        initializer=truncated_normal(0.09),
        activation="relu6" if bounded_activation else "relu",
        dtype=dtype,
    )
    entry_flow = _DEEP_ENTRY_FLOW if deep_entry_flow else _ENTRY_FLOW
    modules = [
        *(
            _Module(f"entry_flow.block{index}.unit_1", (channels,) * 3, stride)
            for index, (channels, stride) in enumerate(entry_flow, start=1)
        ),
        *(
            _Module(f"middle_flow.block1.unit_{index}", (728, 728, 728), shortcut="sum")
            for index in range(1, middle_modules + 1)
        ),
        _Module("exit_flow.block1.unit_1", (728, 1024, 1024), stride=2),
        _Module(
            "exit_flow.block2.unit_1",
            (1536, 1536, 2048),
            shortcut="none",
            activation_within=True,
            rates=multi_grid,
        ),
    ]
    # The one that goes from stride 4 to 8, and does so in its last convolution.
    low_level_module = [index for index, module in enumerate(modules) if module.stride == 2][1]
    schedule = atrous_schedule((m.stride for m in modules), output_stride, current_stride=2)

    x = conv2d(images, 32, 3, f"{scope}.entry_flow.conv1_1", style, stride=2, fixed_padding=True)
    x = conv2d(x, 64, 3, f"{scope}.entry_flow.conv1_2", style)
    low_level = None
    for index, (module, (stride, rate)) in enumerate(zip(modules, schedule, strict=True)):
        x, second = _module(x, module, stride, rate, f"{scope}.{module.name}", style)
        if index == low_level_module:
            low_level = second
    return Features(high_level=x, low_level=low_level)


def _module(x, module: _Module, stride: int, rate: int, name: str, style: ConvStyle):
    """Residual module.

    Returns:
        Its output, and the features after its second separable convolution.
    """
    name = f"{name}.xception_module"
    bounded = style.activation == "relu6"
    residual, features = x, []
    for index, (depth, unit_rate) in enumerate(zip(module.depths, module.rates, strict=True), 1):
        residual = _separable_conv(
            residual,
            depth,
            stride=stride if index == 3 else 1,
            rate=rate * unit_rate,
            activation_within=module.activation_within,
            name=f"{name}.separable_conv{index}",
            style=style,
        )
        features.append(residual)
    if module.shortcut == "none":
        return residual, features[1]

    shortcut = x
    if module.shortcut == "conv":
        shortcut = conv2d(
            x, module.depths[-1], 1, f"{name}.shortcut", style, stride=stride, activate=False
        )
    x = layers.Add(dtype=style.dtype, name=f"{name}.add")(
        [_bound(residual, bounded), _bound(shortcut, bounded)]
    )
    if bounded:
        x = activation(x, name, style)
    return x, features[1]


def _separable_conv(x, depth, *, stride, rate, activation_within, name, style):
    """Depthwise and pointwise convolution, activated before or, each of them, after."""
    bounded = style.activation == "relu6"
    if not activation_within:
        x = activation(x, name, style)
    x = depthwise_conv2d(
        x,
        f"{name}_depthwise",
        style,
        stride=stride,
        rate=rate,
        activate=activation_within,
        # The bounded networks were made for devices that have 'SAME' padding only.
        fixed_padding=not bounded,
    )
    x = _bound(x, bounded and not activation_within)
    x = conv2d(x, depth, 1, f"{name}_pointwise", style, activate=activation_within)
    return _bound(x, bounded and not activation_within)


def _bound(x, bounded: bool):
    return ops.clip(x, -BOUND, BOUND) if bounded else x
