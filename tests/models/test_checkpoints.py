"""Weights in the official format and in that of keras.applications."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import DeepLabV3Plus, variants
from models.checkpoints import (
    load_checkpoint,
    names_in_scope,
    official_variables,
    read_checkpoint,
    save_checkpoint,
)

MOBILENET = "checkpoints/deeplabv3_mnv2_dm05_pascal/model.ckpt-30000"
KERAS_MOBILENET = "checkpoints/mobilenet_v2_imagenet_dogs.weights.h5"
HEAD_SCOPES = {
    "image_pooling",
    "aspp0",
    *(f"aspp{i}_{part}" for i in (1, 2, 3) for part in ("depthwise", "pointwise")),
    "concat_projection",
    "decoder/feature_projection0",
    *(f"decoder/decoder_conv{i}_{part}" for i in (0, 1) for part in ("depthwise", "pointwise")),
    "logits/semantic",
}


def _write(prefix, tensors):
    """A TensorFlow checkpoint of any content."""
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=[tf.constant(tensor) for tensor in tensors.values()],
    )


def _values(model):
    return {name: np.array(variable) for name, variable in official_variables(model).items()}


def _scramble(model, seed=1):
    """Gives every weight a value of its own, so that a mix-up shows."""
    random = np.random.default_rng(seed)
    model.set_weights([random.uniform(0.1, 1, weight.shape) for weight in model.weights])


def _assert_equal(actual, expected):
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


@pytest.fixture
def untouched(mobilenet):
    """A network for loads that must fail, and a check that none of its weights changed."""
    model = mobilenet()
    before = _values(model)
    yield model
    _assert_equal(_values(model), before)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", variants.BACKBONES)
def test_official_format_gives_every_weight_of_every_variant_back(network, backbone, tmp_path):
    model = network(backbone)
    vectors = [weight for weight in model.weights if len(weight.shape) == 1]
    for number, vector in enumerate(vectors):
        # Batch normalization starts the same everywhere, and a mix-up would not show.
        vector.assign(number + np.arange(vector.shape[0]) / vector.shape[0])
    saved = _values(model)
    assert len(saved) == len(model.weights)
    save_checkpoint(model, tmp_path / "model.ckpt-0")
    model.set_weights([np.full(weight.shape, 7.0) for weight in model.weights])
    report = load_checkpoint(model, tmp_path / "model.ckpt-0")
    _assert_equal(_values(model), saved)
    assert (set(report.loaded), report.missing, report.skipped) == (set(saved), (), ())
    for vector in vectors:
        vector.assign(np.full(vector.shape, vector.name in ("gamma", "moving_variance")))


@pytest.mark.parametrize(
    "options",
    [
        {"separable": False, "head_batch_norm": False},
        {"aspp": False},
        {"image_pooling": False, "decoder": False, "atrous_rates": ()},
        {"bounded_activation": True, "dtype": "mixed_bfloat16", "num_classes": 151},
    ],
)
def test_official_format_gives_every_option_back(tiny, options, tmp_path):
    model = tiny(**options)
    _scramble(model)
    saved = _values(model)
    save_checkpoint(model, tmp_path / "new" / "model.ckpt-0")
    _scramble(model, seed=2)
    load_checkpoint(model, tmp_path / "new" / "model.ckpt-0")
    _assert_equal(_values(model), saved)


def test_scopes_are_the_official_ones(network):
    def scopes(backbone):
        variables = official_variables(network(backbone))
        return {re.sub(r"(/BatchNorm)?/\w+$", "", name) for name in variables}

    convolutions = [f"separable_conv{i}_{p}" for i in (1, 2, 3) for p in ("depthwise", "pointwise")]
    entry = {f"entry_flow/block{i}/unit_1/xception_module": True for i in (1, 2, 3)}
    middle = {f"middle_flow/block1/unit_{i}/xception_module": False for i in range(1, 17)}
    last = {f"exit_flow/block{i}/unit_1/xception_module": i == 1 for i in (1, 2)}
    assert scopes("xception_65") == HEAD_SCOPES | {
        "xception_65/entry_flow/conv1_1",
        "xception_65/entry_flow/conv1_2",
        *(
            f"xception_65/{module}/{convolution}"
            for module, shortcut in {**entry, **middle, **last}.items()
            for convolution in convolutions + ["shortcut"] * shortcut
        ),
    }
    assert scopes("resnet_v1_101_beta") == HEAD_SCOPES | {
        *(f"resnet_v1_101/conv1_{i}" for i in (1, 2, 3)),
        *(
            f"resnet_v1_101/block{block}/unit_{unit}/bottleneck_v1/{convolution}"
            for block, units in [(1, 3), (2, 4), (3, 23), (4, 3)]
            for unit in range(1, units + 1)
            for convolution in ["conv1", "conv2", "conv3"] + ["shortcut"] * (unit == 1)
        ),
    }
    assert scopes("mobilenet_v2") == HEAD_SCOPES | {
        "MobilenetV2/Conv",
        "MobilenetV2/expanded_conv/depthwise",
        "MobilenetV2/expanded_conv/project",
        *(
            f"MobilenetV2/expanded_conv_{unit}/{convolution}"
            for unit in range(1, 17)
            for convolution in ("expand", "depthwise", "project")
        ),
    }


def test_plain_and_biased_convolutions_have_the_official_names(tiny):
    names = set(official_variables(tiny(separable=False, head_batch_norm=False)))
    assert {
        "aspp1/weights",
        "aspp1/biases",
        "decoder/decoder_conv0/decoder_conv0_1/weights",
        "decoder/decoder_conv0/decoder_conv0_2/biases",
    } <= names
    assert {"aspp1_depthwise/biases", "aspp1_depthwise/depthwise_weights"} <= set(
        official_variables(tiny(head_batch_norm=False))
    )


def test_moving_averages_are_preferred_and_training_state_is_skipped(tiny, tmp_path):
    model = tiny()
    _scramble(model)
    averaged = _values(model)
    state = {
        "global_step": np.int64(30000),
        "beta1_power": np.float32(0.9),
        "aspp0/weights/Momentum": averaged["aspp0/weights"] + 1,
        "aspp0/weights/RMSProp_1": averaged["aspp0/weights"] + 1,
        "aspp0/BatchNorm/moving_mean/biased": averaged["aspp0/BatchNorm/moving_mean"] + 1,
    }
    trained = {name: value + 5 for name, value in averaged.items() if "moving" not in name}
    tensors = {
        **averaged,
        **trained,
        **{f"{name}/ExponentialMovingAverage": averaged[name] for name in trained},
        **state,
    }
    # Some variables are there as an average alone.
    del tensors["aspp0/weights"], trained["aspp0/weights"]
    _write(tmp_path / "model.ckpt-1", tensors)
    model.set_weights([np.zeros(weight.shape) for weight in model.weights])
    report = load_checkpoint(model, tmp_path / "model.ckpt-1")
    _assert_equal(_values(model), averaged)
    assert set(report.loaded) == set(averaged)
    assert set(report.skipped) == {
        *state,
        *(f"{name} (its moving average was)" for name in trained),
    }


@pytest.mark.parametrize(
    "scope, kept",
    [
        ("backbone", lambda name: not name.startswith("resnet_v1_50/")),
        ("except_logits", lambda name: name.startswith("logits/")),
    ],
)
def test_scope_leaves_the_rest_of_the_network_as_it_was(tiny, tmp_path, scope, kept):
    source, model = tiny(num_classes=21), tiny(num_classes=5)
    _scramble(source)
    save_checkpoint(source, tmp_path / "model.ckpt-0")
    before = _values(model)
    report = load_checkpoint(model, tmp_path / "model.ckpt-0", scope=scope)
    source = _values(source)
    for name, value in _values(model).items():
        np.testing.assert_array_equal(value, (before if kept(name) else source)[name])
    assert set(report.missing) == set(report.skipped) == set(filter(kept, before))
    assert len(report.loaded) + len(report.missing) == len(before)
    assert f"loaded {len(report.loaded)} of the network's {len(before)} variables" in str(report)
    assert f"left as they were: {report.missing[0]}, {report.missing[1]}" in str(report)


def test_variables_of_a_scope_are_a_checkpoint_of_their_own(tiny, tmp_path):
    model = tiny()
    _scramble(model)
    saved = _values(model)
    names = names_in_scope(model, "backbone")
    save_checkpoint(model, tmp_path / "model.ckpt", names=names)
    assert set(read_checkpoint(tmp_path / "model.ckpt").values) == set(names)
    _scramble(model, seed=2)
    others = {name: value for name, value in _values(model).items() if name not in names}
    load_checkpoint(model, tmp_path / "model.ckpt", scope="backbone")
    _assert_equal(_values(model), {name: saved[name] for name in saved if name in names} | others)


def test_checkpoint_with_biases_in_place_of_batch_norm_is_an_error_naming_both(tiny, tmp_path):
    save_checkpoint(tiny(head_batch_norm=False), tmp_path / "model.ckpt")
    with pytest.raises(ValueError, match=r"expected .*BatchNorm/gamma.* in .*model.ckpt; got var"):
        load_checkpoint(tiny(), tmp_path / "model.ckpt")


def test_wrong_shape_is_an_error_and_changes_nothing(tiny, tmp_path):
    save_checkpoint(tiny(num_classes=21, aspp=False), tmp_path / "model.ckpt-0")
    model = tiny(num_classes=5, aspp=False)
    before = _values(model)
    with pytest.raises(ValueError, match=r"\(1, 1, 16, 5\); got \(1, 1, 16, 21\)") as error:
        load_checkpoint(model, tmp_path / "model.ckpt-0")
    assert "expected logits/semantic/weights" in str(error.value)
    assert "to fix" in str(error.value)
    _assert_equal(_values(model), before)


def test_missing_variable_is_an_error(tiny, tmp_path):
    model = tiny(aspp=False, decoder=False)
    values = _values(model)
    del values["resnet_v1_50/conv1_1/BatchNorm/moving_mean"]
    _write(tmp_path / "model.ckpt-0", values)
    with pytest.raises(ValueError, match="expected resnet_v1_50/conv1_1/BatchNorm/moving_mean in"):
        load_checkpoint(model, tmp_path / "model.ckpt-0", scope="backbone")


def test_checkpoint_of_another_backbone_is_an_error_naming_both(network, shared_data):
    with pytest.raises(
        ValueError, match=r"expected resnet_v1_50/conv1_1.*got.*MobilenetV2.*to fix"
    ):
        load_checkpoint(network("resnet_v1_50_beta"), shared_data / MOBILENET, scope="backbone")


def test_head_that_the_network_has_not_is_an_error(tiny, tmp_path):
    save_checkpoint(tiny(), tmp_path / "model.ckpt-0")
    with pytest.raises(ValueError, match=r"got decoder/.* without one; to fix, build the network"):
        load_checkpoint(tiny(decoder=False), tmp_path / "model.ckpt-0")


def test_classifier_of_an_imagenet_checkpoint_is_skipped(tiny, tmp_path):
    model = tiny(aspp=False, decoder=False)
    classifier = {"resnet_v1_50/logits/weights": np.zeros((1, 1, 128, 1001), "float32")}
    _write(tmp_path / "model.ckpt", {**_values(model), **classifier})
    report = load_checkpoint(model, tmp_path / "model.ckpt", scope="backbone")
    assert set(classifier) < set(report.skipped)


def test_unknown_scope_is_an_error(untouched):
    with pytest.raises(ValueError, match="expected scope all, backbone or except_logits; got 'asp"):
        load_checkpoint(untouched, "anywhere", scope="aspp")


def test_keras_mobilenet_fills_the_backbone(shared_data):
    model = DeepLabV3Plus("mobilenet_v2", aspp_depth=8, decoder_depth=8)
    before = _values(model)
    report = load_checkpoint(model, shared_data / KERAS_MOBILENET, scope="backbone")
    backbone = {name for name in before if name.startswith("MobilenetV2/")}
    assert set(report.loaded) == backbone
    assert {name.split("/")[1] for name in report.skipped} == {"Conv_1"}
    after = _values(model)
    changed = {name for name in before if np.any(before[name] != after[name])}
    assert changed == backbone


def test_keras_mobilenet_has_no_head_and_one_width(shared_data):
    weights = shared_data / KERAS_MOBILENET
    whole = DeepLabV3Plus("mobilenet_v2", atrous_rates=(), aspp_depth=8, decoder=False)
    with pytest.raises(ValueError, match=r"expected image_pooling/.*scope='backbone'"):
        load_checkpoint(whole, weights)
    thin = DeepLabV3Plus("mobilenet_v2", width_multiplier=0.5, aspp=False, decoder=False)
    with pytest.raises(ValueError, match=r"\(3, 3, 3, 16\); got \(3, 3, 3, 32\)"):
        load_checkpoint(thin, weights, scope="backbone")


def test_other_keras_weights_are_an_unknown_layout(untouched, tmp_path):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="some_layer")]).save_weights(
        tmp_path / "dense.weights.h5"
    )
    with pytest.raises(ValueError, match=r"expected the layers of a keras.app.*got some_layer"):
        load_checkpoint(untouched, tmp_path / "dense.weights.h5", scope="backbone")
    (tmp_path / "broken.weights.h5").write_bytes(b"no HDF5")
    with pytest.raises(ValueError, match=r"expected a readable HDF5 file.*to fix"):
        load_checkpoint(untouched, tmp_path / "broken.weights.h5", scope="backbone")


def test_nothing_there_is_an_error(untouched, tmp_path):
    for path in ("model.ckpt-1", "some.weights.h5"):
        with pytest.raises(FileNotFoundError, match=f"expected a checkpoint at .*{path}"):
            load_checkpoint(untouched, tmp_path / path)


def test_damaged_checkpoint_is_an_error(untouched, tmp_path):
    (tmp_path / "model.ckpt-0.index").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"expected a readable TensorFlow checkpoint.*to fix"):
        load_checkpoint(untouched, tmp_path / "model.ckpt-0")
