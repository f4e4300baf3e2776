"""Networks that several tests look at; building a large one takes seconds."""

from functools import cache, partial

import pytest

from models import DeepLabV3Plus
from models.backbones import resnet_v1_beta
from models.variants import BACKBONES, Backbone


@pytest.fixture(scope="session")
def network():
    """Builds a network, or takes the one built before; tests must leave its weights as they are."""
    build = cache(DeepLabV3Plus)
    return lambda backbone, output_stride=16, **options: build(
        backbone, output_stride=output_stride, **options
    )


@pytest.fixture(scope="session")
def mobilenet(network):
    """`network` for a thin MobileNetV2, which is fast enough to run on large images."""
    return partial(network, "mobilenet_v2", width_multiplier=0.25, aspp_depth=16, decoder_depth=16)


@pytest.fixture
def tiny(monkeypatch):
    """Builds networks on a ResNet of five thin units: real ones in everything but size."""
    monkeypatch.setattr(resnet_v1_beta, "_BOTTLENECK_CHANNELS", (4, 8, 16, 32))
    backbone = Backbone(
        scope="resnet_v1_50",
        build=partial(resnet_v1_beta.resnet_v1_beta, units=(2, 1, 1, 1)),
        options=BACKBONES["resnet_v1_50_beta"].options,
    )
    monkeypatch.setitem(BACKBONES, "tiny", backbone)
    return partial(
        DeepLabV3Plus, "tiny", num_classes=5, atrous_rates=(2,), aspp_depth=16, decoder_depth=16
    )
