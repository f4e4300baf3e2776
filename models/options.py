"""What a network can be built with; without Keras, for whoever only wants to know."""

from collections.abc import Sequence

from models.variants import BACKBONES

# The rates of the paper for output stride 16, scaled so that they span the same part of the image.
ATROUS_RATES = {8: (12, 24, 36), 16: (6, 12, 18), 32: (3, 6, 9)}


def check_options(
    *,
    backbone: str,
    num_classes: int,
    output_stride: int,
    width_multiplier: float,
    atrous_rates: Sequence[int] | None,
    aspp_depth: int,
    decoder_depth: int,
    multi_grid: Sequence[int] | None,
    dropout: float,
    input_shape: Sequence[int | None],
    **_,
) -> None:
    """Checks the arguments of `DeepLabV3Plus` without building it; any others are fine.

    Raises:
        ValueError: no network can have these; a line for each fault.
    """
    depths = {"aspp_depth": aspp_depth, "decoder_depth": decoder_depth}
    faults = []

    def check(valid: bool, expected: str, got, fix: str) -> None:
        if not valid:
            faults.append(f"expected {expected}; got {got}; to fix, {fix}")

    names = ", ".join(BACKBONES)
    check(backbone in BACKBONES, f"a backbone among {names}", repr(backbone), "choose one of them")
    check(
        num_classes >= 1,
        "at least one class",
        f"num_classes={num_classes}",
        "count the dataset's classes",
    )
    check(
        output_stride in ATROUS_RATES,
        "an output stride of 8, 16 or 32",
        output_stride,
        "train with 16 and evaluate with 16 or 8",
    )
    if backbone in BACKBONES:
        takes = BACKBONES[backbone].options
        check(
            width_multiplier == 1 or (width_multiplier > 0 and "width_multiplier" in takes),
            f"width_multiplier=1 for {backbone}, or a positive one for mobilenet_v2",
            width_multiplier,
            "leave it out",
        )
        check(
            not multi_grid or (len(multi_grid) == 3 and "multi_grid" in takes),
            "no multi_grid, or three factors for an Xception or ResNet",
            f"{multi_grid} for {backbone}",
            "leave it out",
        )
    check(
        all(rate >= 1 for rate in atrous_rates or ()),
        "positive atrous rates",
        atrous_rates,
        "leave them out, or give () for no atrous branches",
    )
    check(
        all(depth >= 1 for depth in depths.values()),
        "at least one channel",
        ", ".join(f"{name}={depth}" for name, depth in depths.items()),
        "leave them out",
    )
    check(0 <= dropout < 1, "a dropout in [0, 1)", dropout, "leave it out for 0.1")
    check(
        len(input_shape) == 3 and input_shape[2] == 3,
        "an input shape of (height, width, 3)",
        input_shape,
        "give None for sizes that vary, and no batch size",
    )
    if faults:
        raise ValueError("\n".join(faults))
