"""Refuses to tune batch normalization that was folded away.

Converters fold moving mean and variance into kernel and offset, and leave 0 and 1 - epsilon behind,
which change nothing. Tuned, a layer normalizes by its batch's own mean and variance instead, which
the kernels before it no longer have: such a network begins nearly from nothing.
"""

from collections.abc import Mapping

import numpy as np

from components.errors import ConfigError

_MEAN, _VARIANCE, _OFFSET = "moving_mean", "moving_variance", "beta"
# One step of training moves a mean farther than this; float32 has seven digits.
_ZERO = 1e-6
# Epsilon is 1e-3 in backbones and 1e-5 in heads; some tools leave exactly 1.
_LARGEST_EPSILON = 1e-3


def folded(values: Mapping[str, np.ndarray]) -> list[str]:
    """The layers whose moving statistics were folded into other variables.

    A layer that was never trained has the same statistics, and offsets of 0: it is not folded.

    Args:
        values: of a network by official names; other variables may be among them.

    Returns:
        Official names of the layers, in the order of `values`.
    """
    return [layer for layer in _layers(values) if _is_folded(values, layer)]


def _is_folded(values: Mapping[str, np.ndarray], layer: str) -> bool:
    mean, variance, offset = (values[f"{layer}/{part}"] for part in (_MEAN, _VARIANCE, _OFFSET))
    below_one = 1.0 - np.asarray(variance, np.float64)
    return bool(
        np.all(np.abs(mean) < _ZERO)
        and np.all((below_one > -_ZERO) & (below_one < _LARGEST_EPSILON + _ZERO))
        and np.any(np.abs(offset) > _ZERO)
    )


def require_statistics(values: Mapping[str, np.ndarray], source: str) -> None:
    """Refuses weights whose batch normalization was folded, where that is to be tuned.

    Args:
        values: those that are taken and tuned, by official names.
        source: where they are from.

    Raises:
        ConfigError: half of the layers, or more, were folded.
    """
    layers, found = _layers(values), folded(values)
    if not found or 2 * len(found) < len(layers):
        return
    raise ConfigError(
        "initial_weights.source: expected weights with the statistics of their batch "
        f"normalization, which training.fine_tune_batch_norm tunes; got {source}, where "
        f"{len(found)} of {len(layers)} layers have a moving mean of 0 and a variance of 1, folded "
        "into their offsets, and tuning would forget what the network knows; to fix, "
        "--set training.fine_tune_batch_norm=false, or, if that is meant, --set "
        "initial_weights.accept_folded_batch_norm=true"
    )


def _layers(values: Mapping[str, np.ndarray]) -> list[str]:
    return [name.removesuffix(f"/{_MEAN}") for name in values if name.endswith(f"/{_MEAN}")]
