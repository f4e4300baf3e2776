"""The registry of backbones. Keras is imported when one is built, so that names cost nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from models.backbones import Features


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A feature extractor that `models.DeepLabV3Plus` can be built on."""

    scope: str
    """Its variable scope in the official checkpoints."""
    build: Callable[..., Features]
    """Adds it to the graph; see the function itself."""
    options: frozenset[str]
    """Which of `width_multiplier`, `multi_grid` and `bounded_activation` it takes."""


def _xception(*inputs, **options) -> Features:
    from models.backbones.xception import xception

    return xception(*inputs, **options)


def _resnet_v1_beta(*inputs, **options) -> Features:
    from models.backbones.resnet_v1_beta import resnet_v1_beta

    return resnet_v1_beta(*inputs, **options)


def _mobilenet_v2(*inputs, **options) -> Features:
    from models.backbones.mobilenet_v2 import mobilenet_v2

    return mobilenet_v2(*inputs, **options)


_WITH_MULTI_GRID = frozenset({"multi_grid", "bounded_activation"})

BACKBONES: dict[str, Backbone] = {
    "xception_41": Backbone(
        scope="xception_41",
        build=partial(_xception, middle_modules=8, deep_entry_flow=False),
        options=_WITH_MULTI_GRID,
    ),
    "xception_65": Backbone(
        scope="xception_65",
        build=partial(_xception, middle_modules=16, deep_entry_flow=False),
        options=_WITH_MULTI_GRID,
    ),
    "xception_71": Backbone(
        scope="xception_71",
        build=partial(_xception, middle_modules=16, deep_entry_flow=True),
        options=_WITH_MULTI_GRID,
    ),
    "resnet_v1_50_beta": Backbone(
        scope="resnet_v1_50",
        build=partial(_resnet_v1_beta, units=(3, 4, 6, 3)),
        options=_WITH_MULTI_GRID,
    ),
    "resnet_v1_101_beta": Backbone(
        scope="resnet_v1_101",
        build=partial(_resnet_v1_beta, units=(3, 4, 23, 3)),
        options=_WITH_MULTI_GRID,
    ),
    "mobilenet_v2": Backbone(
        scope="MobilenetV2",
        build=_mobilenet_v2,
        options=frozenset({"width_multiplier"}),
    ),
}
