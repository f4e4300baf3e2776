"""The network's options, as a configuration has them and the steps get them."""

from typing import Annotated, Any, ClassVar, Literal

import pydantic
from pydantic import Field

from components.options import Options
from models.options import check_options

_Channels = Annotated[int, Field(ge=1)]
_Factor = Annotated[int, Field(ge=1)]


class ModelOptions(Options):
    """Arguments of `models.DeepLabV3Plus`; the data set gives the classes."""

    SECTION: ClassVar[str] = "model"

    backbone: str = "mobilenet_v2"
    """A variant of the backbone registry."""

    width_multiplier: Annotated[float, Field(gt=0)] = 1.0
    """Factor on MobileNetV2's channels."""

    output_stride: Literal[8, 16, 32] = 16
    """Input pixels for one pixel of the deepest features."""

    atrous_rates: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...] | None,
        Field(description="a list of whole numbers of at least 1, or null"),
    ] = None
    """Rates of the ASPP branches; None: the right ones for the stride; (): no such branches."""

    aspp: bool = True
    """Whether there is a head between backbone and decoder at all."""

    image_pooling: bool = True
    """Whether the head sees the average over the whole picture."""

    aspp_depth: _Channels = 256
    """Channels of each ASPP branch and of their sum."""

    decoder: bool = True
    """DeepLab v3+ (True) or v3 (False)."""

    decoder_depth: _Channels = 256
    """Channels of the decoder."""

    separable: bool = True
    """Depthwise separable 3x3 convolutions in head and decoder, or plain ones."""

    multi_grid: Annotated[
        tuple[_Factor, _Factor, _Factor] | None,
        Field(description="a list of three whole numbers of at least 1, or null"),
    ] = None
    """Factors on the rates of the last block; the official ResNets need [1, 2, 4]."""

    bounded_activation: bool = False
    """ReLU6 in place of ReLU, for quantized inference."""

    head_batch_norm: bool = True
    """Batch normalization in head and decoder, or biases."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the head's channels dropped in training."""

    align_corners: bool = True
    """How features and logits are resized: corner on corner, as the official networks; False for
    those published as TFLite that were made without (TensorFlow 1's default)."""

    def arguments(self, num_classes: int, canvas_size: int | None) -> dict[str, Any]:
        """What `models.DeepLabV3Plus` is called with.

        Args:
            num_classes: of the data set.
            canvas_size: side of the square pictures in pixels; None for pictures of any size.
        """
        return {
            **self.model_dump(),
            "num_classes": num_classes,
            "input_shape": (canvas_size, canvas_size, 3),
        }

    @pydantic.model_validator(mode="after")
    def _can_be_built(self):
        """Refuses a network that cannot be, without building it."""
        # Any number of classes and any size of pictures: the data set and the canvas have theirs.
        check_options(**self.arguments(num_classes=2, canvas_size=None))
        return self
