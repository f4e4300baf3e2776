"""DeepLab v3+ (arXiv 1802.02611), and with `decoder=False` DeepLab v3 (arXiv 1706.05587)."""

from collections.abc import Sequence

import keras

from models import head
from models.layers import ResizeBilinear
from models.options import ATROUS_RATES, check_options
from models.variants import BACKBONES


@keras.saving.register_keras_serializable(package="deeplab")
class DeepLabV3Plus(keras.Model):
    """Maps images to the class scores of every pixel.

    Takes [batch, height, width, 3] floats in [-1, 1] of any size and gives
    [batch, height, width, num_classes] float32 logits.

    Args:
        backbone: string. A name in `models.variants.BACKBONES`.
        num_classes: int. Scores of every pixel.
        output_stride: int. Image size over size of the backbone's features: 8, 16 or 32.
        width_multiplier: float. Factor on the backbone's channels; MobileNetV2 only.
        atrous_rates: sequence of ints. Rates of the 3x3 branches of ASPP; None takes those of
            the paper for the output stride, `()` leaves the branches out, as in the published
            MobileNetV2 models.
        aspp: bool. Without, the backbone's features go straight to decoder or logits, and
            `atrous_rates`, `aspp_depth`, `image_pooling` and `dropout` have no effect.
        aspp_depth: int. Channels of every branch of ASPP and of its result.
        image_pooling: bool. Adds the branch of ASPP that sees the whole image.
        decoder: bool. Refines the result at stride 4; without, this is DeepLab v3.
        decoder_depth: int. Channels of the decoder.
        separable: bool. Depthwise separable 3x3 convolutions in ASPP and decoder.
        multi_grid: sequence of 3 ints. Factors on the rates of the last block; the published
            ResNets need (1, 2, 4). Xception and ResNet only.
        bounded_activation: bool. ReLU6 for ReLU, for quantized inference.
        head_batch_norm: bool. Batch normalization in ASPP and decoder; without, biases.
        dropout: float. Share of ASPP's result that is dropped in training.
        align_corners: bool. How the three resizes interpolate, see `ResizeBilinear`; some networks
            published as TFLite were made without.
        input_shape: tuple. (height, width, 3), each size may be None.
        dtype: string. Name of a Keras dtype policy; None is the global one.
        name: string. Name of the model.

    Example:

        model = DeepLabV3Plus("mobilenet_v2", num_classes=21, atrous_rates=(), decoder=False)
        logits = model(keras.ops.zeros((1, 500, 375, 3)))  # [1, 500, 375, 21]
    """

    def __init__(
        self,
        backbone: str = "xception_65",
        num_classes: int = 21,
        *,
        output_stride: int = 16,
        width_multiplier: float = 1.0,
        atrous_rates: Sequence[int] | None = None,
        aspp: bool = True,
        aspp_depth: int = 256,
        image_pooling: bool = True,
        decoder: bool = True,
        decoder_depth: int = 256,
        separable: bool = True,
        multi_grid: Sequence[int] | None = None,
        bounded_activation: bool = False,
        head_batch_norm: bool = True,
        dropout: float = 0.1,
        align_corners: bool = True,
        input_shape: tuple[int | None, int | None, int] = (None, None, 3),
        dtype: str | None = None,
        name: str = "deeplab_v3_plus",
    ):
        check_options(
            backbone=backbone,
            num_classes=num_classes,
            output_stride=output_stride,
            width_multiplier=width_multiplier,
            atrous_rates=atrous_rates,
            aspp_depth=aspp_depth,
            decoder_depth=decoder_depth,
            multi_grid=multi_grid,
            dropout=dropout,
            input_shape=input_shape,
        )
        if atrous_rates is None:
            atrous_rates = ATROUS_RATES[output_stride]
        dtype = keras.dtype_policies.get(dtype or keras.config.dtype_policy()).name

        # === Layers ===
        images = keras.Input(input_shape, dtype="float32", name="images")
        spec = BACKBONES[backbone]
        options = {
            "width_multiplier": width_multiplier,
            "multi_grid": tuple(multi_grid or (1, 1, 1)),
            "bounded_activation": bounded_activation,
        }
        features = spec.build(
            images,
            scope=spec.scope,
            output_stride=output_stride,
            dtype=dtype,
            **{option: value for option, value in options.items() if option in spec.options},
        )

        style = head.head_style(
            batch_norm=head_batch_norm, bounded_activation=bounded_activation, dtype=dtype
        )
        x = features.high_level
        if aspp:
            x = head.aspp(
                x,
                depth=aspp_depth,
                atrous_rates=atrous_rates,
                image_pooling=image_pooling,
                separable=separable,
                dropout=dropout,
                align_corners=align_corners,
                style=style,
            )
        if decoder:
            x = head.decoder(
                x,
                features.low_level,
                depth=decoder_depth,
                separable=separable,
                align_corners=align_corners,
                style=style,
            )
        logits = head.logits(x, images, num_classes=num_classes, align_corners=align_corners)

        # === Functional Model ===
        super().__init__(inputs=images, outputs=logits, name=name)

        # === Config ===
        self.backbone = backbone
        self.num_classes = num_classes
        self.output_stride = output_stride
        self.atrous_rates = tuple(atrous_rates)
        self._options = {
            "width_multiplier": width_multiplier,
            "aspp": aspp,
            "aspp_depth": aspp_depth,
            "image_pooling": image_pooling,
            "decoder": decoder,
            "decoder_depth": decoder_depth,
            "separable": separable,
            "multi_grid": multi_grid and tuple(multi_grid),
            "bounded_activation": bounded_activation,
            "head_batch_norm": head_batch_norm,
            "dropout": dropout,
            "align_corners": align_corners,
            "input_shape": tuple(input_shape),
            "dtype": dtype,
        }

    @property
    def backbone_layers(self) -> list[keras.Layer]:
        """The layers with weights that an ImageNet checkpoint initializes."""
        return [layer for layer in self.layers if layer.weights and self._in_backbone(layer)]

    @property
    def head_layers(self) -> list[keras.Layer]:
        """The layers with weights of ASPP, decoder and logits, logits last."""
        return [layer for layer in self.layers if layer.weights and not self._in_backbone(layer)]

    @property
    def batch_norm_layers(self) -> list[keras.layers.BatchNormalization]:
        """Those to set `trainable = False` on when batches are too small to tune statistics."""
        return [
            layer for layer in self.layers if isinstance(layer, keras.layers.BatchNormalization)
        ]

    @property
    def logits_layer(self) -> keras.layers.Conv2D:
        """The only layer whose shape depends on the number of classes."""
        return self.get_layer(head.LOGITS)

    @property
    def logits_resize(self) -> ResizeBilinear:
        """The last layer, which enlarges the scores to the size of the images."""
        return self.get_layer(f"{head.LOGITS}.resize")

    def _in_backbone(self, layer: keras.Layer) -> bool:
        return layer.name.startswith(BACKBONES[self.backbone].scope + ".")

    def get_config(self) -> dict:
        """The arguments that build the same network again."""
        return {
            "backbone": self.backbone,
            "num_classes": self.num_classes,
            "output_stride": self.output_stride,
            "atrous_rates": self.atrous_rates,
            "name": self.name,
            **self._options,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects=None) -> "DeepLabV3Plus":
        """The network that `get_config` described."""
        return cls(**config)
