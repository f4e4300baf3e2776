"""Weights whose batch normalization was folded are told from those that were not."""

import numpy as np
import pytest

from components.errors import ConfigError
from components.initial_weights import artifact
from components.initial_weights.batch_norm import folded, require_statistics
from components.initial_weights.options import InitialWeightsOptions
from components.trainer.options import TrainingOptions

EPSILONS = (1e-3, 1e-5, 0.0)


def layer(name: str, kind: str, seed: int) -> dict[str, np.ndarray]:
    """A convolution and its batch normalization, whose state `kind` says."""
    random = np.random.default_rng(seed)
    channels = random.integers(1, 40)
    mean, variance = np.zeros(channels), np.ones(channels)
    offset, scale = np.zeros(channels), np.ones(channels)
    if kind == "trained":
        mean, variance = random.normal(size=channels), random.uniform(0.1, 9, channels)
    if kind != "untrained":
        offset = random.normal(size=channels)
        scale = random.uniform(0.2, 3, channels) if seed % 2 else scale
    if kind == "folded":
        variance -= EPSILONS[seed % 3]
    if kind == "begun":
        # One step at the largest decay that a network here has.
        mean, variance = 3e-4 * random.normal(size=channels), variance + 3e-4
    statistics = {"moving_mean": mean, "moving_variance": variance, "beta": offset, "gamma": scale}
    found = {f"{name}/BatchNorm/{part}": np.float32(value) for part, value in statistics.items()}
    return {f"{name}/weights": np.float32(random.normal(size=(1, 1, 3, channels))), **found}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", ["folded", "trained", "untrained", "begun"])
def test_only_folded_layers_are_found(kind, seed):
    assert folded(layer("a", kind, seed)) == ["a/BatchNorm"] * (kind == "folded")


@pytest.mark.parametrize(
    ("kinds", "is_refused"),
    [
        (["folded"] * 3, True),
        (["folded", "trained"], True),
        (["folded", "trained", "trained"], False),
        (["untrained", "untrained"], False),
        ([], False),
    ],
)
def test_weights_are_refused_where_half_of_the_layers_were_folded(kinds, is_refused):
    values = {}
    for index, kind in enumerate(kinds):
        values |= layer(f"layer{index}", kind, index)
    if not is_refused:
        require_statistics(values, "a file")
        return
    with pytest.raises(ConfigError, match=r"got a file, where .*fine_tune_batch_norm=false"):
        require_statistics(values, "a file")


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({}, "all"),
        ({"freeze_backbone": True}, "head"),
        ({"fine_tune_batch_norm": False}, "none"),
        ({"steps": 0}, "none"),
    ],
)
def test_what_is_tuned_follows_from_the_training(options, part):
    assert TrainingOptions(**options).tuned_batch_norm == part


NETWORK = {
    "backbone": "mobilenet_v2",
    "num_classes": 21,
    "width_multiplier": 0.5,
    "atrous_rates": [],
    "decoder": False,
    "input_shape": [65, 65, 3],
}


@pytest.mark.parametrize(
    ("tuned", "scope", "accept", "layers"),
    [
        ("all", "all", False, "54 of 54"),
        ("all", "backbone", False, "51 of 51"),
        ("head", "all", False, "3 of 3"),
        ("head", "backbone", False, None),
        ("none", "all", False, None),
        ("all", "all", True, None),
    ],
)
def test_a_network_that_was_tflite_is_not_tuned_unawares(
    shared_data, tmp_path, tuned, scope, accept, layers
):
    source = str(shared_data / "checkpoints/deeplabv3_mnv2_dm05_pascal/model.ckpt-30000")
    options = InitialWeightsOptions(source=source, scope=scope, accept_folded_batch_norm=accept)

    def write() -> str:
        return artifact.write(
            str(tmp_path / "weights"),
            options,
            NETWORK,
            class_names=[str(index) for index in range(21)],
            tuned_batch_norm=tuned,
            served="",
            name="deeplab",
        )

    if layers is None:
        assert "loaded" in write()
        return
    with pytest.raises(ConfigError, match=f"got {source}, where {layers} layers have a moving"):
        write()
    assert not (tmp_path / "weights").exists()
