"""Parameters and multiply-adds against published figures, and against sums derived by hand.

The sums below follow the papers' tables and know nothing of the network's code. A convolution with
batch normalization from i to o channels has k·k·i·o + 2·o trainable weights and 2·o statistics.
"""

import numpy as np
import pytest

from models.complexity import multiply_adds, parameters

# Builds every network at full size.
pytestmark = pytest.mark.slow

CLASSES, DEPTH, LOW_DEPTH = 21, 256, 48
PUBLISHED_MOBILENET = {"atrous_rates": (), "decoder": False}


def _conv(i, o, k=1):
    return np.array([k * k * i * o + 2 * o, 2 * o])


def _separable(i, o):
    depthwise = np.array([9 * i + 2 * i, 2 * i])
    return depthwise + _conv(i, o)


def _head(high, low, branches=3):
    aspp = _conv(high, DEPTH) + _conv(high, DEPTH)
    aspp += branches * _separable(high, DEPTH)
    aspp += _conv((2 + branches) * DEPTH, DEPTH)
    decoder = np.array([0, 0])
    if low:
        decoder = _conv(low, LOW_DEPTH) + _separable(DEPTH + LOW_DEPTH, DEPTH)
        decoder += _separable(DEPTH, DEPTH)
    return aspp + decoder + np.array([DEPTH * CLASSES + CLASSES, 0])


def _xception(middle_modules, entry=(128, 256, 728)):
    total = _conv(3, 32, 3) + _conv(32, 64, 3)
    channels = 64
    for depth in entry:
        total += _separable(channels, depth) + 2 * _separable(depth, depth) + _conv(channels, depth)
        channels = depth
    total += middle_modules * 3 * _separable(728, 728)
    total += _separable(728, 728) + _separable(728, 1024) + _separable(1024, 1024)
    total += _conv(728, 1024)
    total += _separable(1024, 1536) + _separable(1536, 1536) + _separable(1536, 2048)
    return total + _head(2048, 256)


def _resnet(units):
    total = _conv(3, 64, 3) + _conv(64, 64, 3) + _conv(64, 128, 3)
    channels = 128
    for inner, count in zip((64, 128, 256, 512), units, strict=True):
        total += _conv(channels, 4 * inner)
        for _ in range(count):
            total += _conv(channels, inner) + _conv(inner, inner, 3) + _conv(inner, 4 * inner)
            channels = 4 * inner
    return total + _head(2048, 256)


def _mobilenet(width, **head):
    total, channels = _conv(3, int(32 * width), 3), int(32 * width)
    for expansion, depth, count in [
        (1, 16, 1),
        (6, 24, 2),
        (6, 32, 3),
        (6, 64, 4),
        (6, 96, 3),
        (6, 160, 3),
        (6, 320, 1),
    ]:
        for _ in range(count):
            inner, depth_at_width = expansion * channels, int(depth * width)
            if expansion > 1:
                total += _conv(channels, inner)
            total += np.array([11 * inner, 2 * inner]) + _conv(inner, depth_at_width)
            channels = depth_at_width
    return total + _head(channels, **head)


# Trainable weights and statistics, at 21 classes; where a total is published, it is their sum.
TABLE = [
    ("xception_41", {}, 28_108_661, 132_912, _xception(8)),
    ("xception_65", {}, 41_055_413, 202_800, _xception(16)),
    ("xception_71", {}, 43_477_837, 216_576, _xception(16, (128, 256, 256, 728, 728))),
    ("resnet_v1_50_beta", {}, 26_819_909, 71_104, _resnet((3, 4, 6, 3))),
    ("resnet_v1_101_beta", {}, 45_812_037, 123_328, _resnet((3, 4, 23, 3))),
    (
        "mobilenet_v2",
        PUBLISHED_MOBILENET,
        2_113_557,
        33_088,
        _mobilenet(1, low=None, branches=0),
    ),
    (
        "mobilenet_v2",
        {**PUBLISHED_MOBILENET, "width_multiplier": 0.5},
        697_013,
        17_312,
        _mobilenet(0.5, low=None, branches=0),
    ),
    ("mobilenet_v2", {}, 2_725_573, 38_784, _mobilenet(1, low=6 * 24)),
]


@pytest.mark.parametrize("backbone, options, trainable, statistics, derived", TABLE)
def test_parameters(network, backbone, options, trainable, statistics, derived):
    assert tuple(derived) == (trainable, statistics)
    assert parameters(network(backbone, **options)) == (trainable, statistics)


@pytest.mark.parametrize(
    "backbone, options, total",
    [("xception_65", {}, 41_258_213), ("mobilenet_v2", PUBLISHED_MOBILENET, 2_146_645)],
)
def test_totals_are_the_published_ones(network, backbone, options, total):
    assert network(backbone, **options).count_params() == total


@pytest.mark.parametrize(
    "backbone, options, published",
    [
        ("xception_65", {}, 54.17e9),
        ("xception_65", {"output_stride": 8}, 177.10e9),
        ("mobilenet_v2", PUBLISHED_MOBILENET, 2.75e9),
    ],
)
def test_multiply_adds_are_within_half_a_percent_of_the_published(
    network, backbone, options, published
):
    assert multiply_adds(network(backbone, **options), 513, 513) == pytest.approx(
        published, rel=0.005
    )


@pytest.mark.parametrize(
    "backbone, options, billions",
    [
        ("xception_41", {}, 40.01),
        ("xception_65", {}, 54.04),
        ("xception_65", {"output_stride": 8}, 176.85),
        ("xception_71", {}, 66.07),
        ("resnet_v1_50_beta", {}, 44.54),
        ("resnet_v1_101_beta", {}, 65.17),
        ("mobilenet_v2", PUBLISHED_MOBILENET, 2.74),
        ("mobilenet_v2", {**PUBLISHED_MOBILENET, "output_stride": 8}, 8.83),
        ("mobilenet_v2", {**PUBLISHED_MOBILENET, "output_stride": 32}, 1.61),
        ("mobilenet_v2", {**PUBLISHED_MOBILENET, "width_multiplier": 0.5}, 0.87),
        ("mobilenet_v2", {}, 5.90),
    ],
)
def test_multiply_adds(network, backbone, options, billions):
    assert multiply_adds(network(backbone, **options), 513, 513) / 1e9 == pytest.approx(
        billions, abs=0.005
    )


def test_multiply_adds_grow_with_the_image(network):
    model = network("mobilenet_v2", **PUBLISHED_MOBILENET)
    # Doubling the sides of an image multiplies all but the image-level branch by four.
    small, large = multiply_adds(model, 512, 512), multiply_adds(model, 1024, 1024)
    assert large - 4 * small == -3 * 320 * 256
