"""Everything of DeepLab v3+ behind the backbone: ASPP, decoder, logits (arXiv 1802.02611, Fig. 2).

Batch normalization has epsilon 1e-5 here whatever the backbone uses, as the official weights do.
"""

from collections.abc import Sequence

import keras
from keras import layers

from models.layers import ConvStyle, ResizeBilinear, conv2d, depthwise_conv2d, truncated_normal

IMAGE_POOLING = "image_pooling"
ASPP = "aspp"
CONCAT_PROJECTION = "concat_projection"
DECODER = "decoder"
LOGITS = "logits.semantic"

# Channels of the low-level features in the decoder: few, not to outweigh the encoder's (4.1).
_LOW_LEVEL_DEPTH = 48


def head_style(*, batch_norm: bool, bounded_activation: bool, dtype: str | None) -> ConvStyle:
    """The style of every convolution in ASPP and decoder."""
    return ConvStyle(
        momentum=0.9997,
        epsilon=1e-5,
        initializer="glorot_uniform",
        activation="relu6" if bounded_activation else "relu",
        batch_norm=batch_norm,
        dtype=dtype,
    )


def aspp(
    features,
    *,
    depth: int,
    atrous_rates: Sequence[int],
    image_pooling: bool,
    separable: bool,
    dropout: float,
    align_corners: bool,
    style: ConvStyle,
):
    """Atrous spatial pyramid pooling with image-level features (arXiv 1706.05587, Fig. 5).

    Args:
        features: [batch, height, width, channels].
        depth: Channels of every branch and of the result.
        atrous_rates: One 3x3 branch for each.
        image_pooling: Adds the branch that sees the whole image.
        separable: Makes the 3x3 branches depthwise separable.
        dropout: Share of the result that is dropped in training.
        align_corners: See `ResizeBilinear`.
        style: Of the convolutions.

    Returns:
        [batch, height, width, depth].
    """
    branches = []
    if image_pooling:
        pooled = layers.GlobalAveragePooling2D(
            keepdims=True, dtype=style.dtype, name=f"{IMAGE_POOLING}.mean"
        )(features)
        pooled = conv2d(pooled, depth, 1, IMAGE_POOLING, style)
        resize = ResizeBilinear(align_corners, dtype=style.dtype, name=f"{IMAGE_POOLING}.resize")
        branches.append(resize([pooled, features]))
    branches.append(conv2d(features, depth, 1, f"{ASPP}0", style))
    for index, rate in enumerate(atrous_rates, start=1):
        branches.append(_conv3x3(features, depth, f"{ASPP}{index}", style, separable, rate=rate))

    x = _concatenate(branches, f"{CONCAT_PROJECTION}.concat", style)
    x = conv2d(x, depth, 1, CONCAT_PROJECTION, style)
    return layers.Dropout(dropout, dtype=style.dtype, name=f"{CONCAT_PROJECTION}.dropout")(x)


def decoder(
    features, low_level, *, depth: int, separable: bool, align_corners: bool, style: ConvStyle
):
    """Sharpens the features with early ones of four times their resolution (Sec. 3.1).

    Args:
        features: [batch, height, width, channels].
        low_level: [batch, 4 * height, 4 * width, channels], from within the backbone.
        depth: Channels of the result.
        separable: Makes the 3x3 convolutions depthwise separable.
        align_corners: See `ResizeBilinear`.
        style: Of the convolutions.

    Returns:
        [batch, 4 * height, 4 * width, depth].
    """
    projected = conv2d(low_level, _LOW_LEVEL_DEPTH, 1, f"{DECODER}.feature_projection0", style)
    resize = ResizeBilinear(align_corners, dtype=style.dtype, name=f"{DECODER}.resize")
    features = resize([features, low_level])
    x = _concatenate([features, projected], f"{DECODER}.concat", style)
    for index in range(2):
        # Plain convolutions were a repeated layer in the official code, hence the longer name.
        name = f"decoder_conv{index}" if separable else f"decoder_conv0.decoder_conv0_{index + 1}"
        x = _conv3x3(x, depth, f"{DECODER}.{name}", style, separable)
    return x


def logits(features, images, *, num_classes: int, align_corners: bool):
    """Class scores of every pixel, in float32 whatever the dtype policy.

    Args:
        features: [batch, height, width, channels].
        images: [batch, image_height, image_width, 3], of which only the size is read.
        num_classes: Scores of every pixel.
        align_corners: See `ResizeBilinear`.

    Returns:
        [batch, image_height, image_width, num_classes] float32.
    """
    x = layers.Conv2D(
        num_classes, 1, kernel_initializer=truncated_normal(0.01), dtype="float32", name=LOGITS
    )(features)
    resize = ResizeBilinear(align_corners, dtype="float32", name=f"{LOGITS}.resize")
    return resize([x, images])


def _conv3x3(x, depth: int, name: str, style: ConvStyle, separable: bool, rate: int = 1):
    if not separable:
        return conv2d(x, depth, 3, name, style, rate=rate)
    x = depthwise_conv2d(x, f"{name}_depthwise", style.initialized(0.33), rate=rate)
    return conv2d(x, depth, 1, f"{name}_pointwise", style.initialized(0.06))


def _concatenate(tensors: list[keras.KerasTensor], name: str, style: ConvStyle):
    if len(tensors) == 1:
        return tensors[0]
    return layers.Concatenate(dtype=style.dtype, name=name)(tensors)
