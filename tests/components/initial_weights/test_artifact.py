"""What the initial weights' step writes, and what the Trainer loads of it, here and in a store."""

import json
import uuid

import keras
import numpy as np
import pytest

from components.errors import ConfigError
from components.initial_weights import artifact, loading
from components.initial_weights.options import InitialWeightsOptions
from components.storage import paths
from models import DeepLabV3Plus
from models.checkpoints import official_variables, read_checkpoint, save_checkpoint

NETWORK = {
    "backbone": "mobilenet_v2",
    "num_classes": 3,
    "width_multiplier": 0.35,
    "atrous_rates": [],
    "aspp_depth": 8,
    "decoder": False,
    "input_shape": [65, 65, 3],
}
NAMES = ["sky", "sea", "land"]


def network(**options):
    """A network whose values are all its own."""
    model = DeepLabV3Plus(**NETWORK | options)
    random = np.random.default_rng(len(model.weights))
    model.set_weights([random.uniform(0.1, 1, weight.shape) for weight in model.weights])
    return model


def values(model):
    return {name: np.array(variable) for name, variable in official_variables(model).items()}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A whole network on disk, its prefix and its values."""
    model = network()
    prefix = tmp_path_factory.mktemp("checkpoint") / "model.ckpt-7"
    save_checkpoint(model, prefix)
    return str(prefix), values(model)


@pytest.fixture(params=["local", "remote"])
def folder(request, tmp_path):
    if request.param == "local":
        return str(tmp_path / "artifact" / "Format-Serving")
    return f"ram://weights-{uuid.uuid4().hex}/artifact/Format-Serving"


@pytest.fixture
def write(tmp_path):
    def write(folder, options, arguments=NETWORK):
        return artifact.write(
            folder,
            InitialWeightsOptions(**options),
            json.loads(json.dumps(arguments)),
            class_names=NAMES,
            tuned_batch_norm="all",
            served=str(tmp_path / "serving"),
            name="deeplab",
            cache=tmp_path / "cache",
        )

    return write


def test_random_weights_are_said_to_be_so_and_load_nothing(folder, write):
    assert write(folder, {}) == "random"
    assert paths.list_folder(folder) == ["weights.json"]
    model = network()
    before = values(model)
    assert loading.load(model, folder) == "random"
    assert all(np.array_equal(value, before[name]) for name, value in values(model).items())


@pytest.mark.parametrize(
    "scope, other_classes, taken",
    [
        ("all", {}, lambda name: True),
        ("backbone", {"num_classes": 5}, lambda name: name.startswith("MobilenetV2/")),
        ("except_logits", {"num_classes": 5}, lambda name: not name.startswith("logits/")),
    ],
)
def test_variables_of_the_scope_reach_the_trainers_network(
    folder, write, checkpoint, scope, other_classes, taken
):
    prefix, saved = checkpoint
    line = write(folder, {"source": prefix, "scope": scope}, NETWORK | other_classes)
    names = [name for name in saved if taken(name)]
    assert f"loaded {len(names)} of the network's {len(saved)} variables from {prefix}" in line
    description = json.loads(paths.read_text(paths.join(folder, "weights.json")))
    assert set(description["variables"]) == set(names)
    assert (description["source"], description["scope"]) == (prefix, scope)
    assert set(description["files"]) == {
        f"model.ckpt-7.{ending}" for ending in ("index", "data-00000-of-00001")
    }
    model = network(**other_classes)
    before = values(model)
    line = loading.load(model, folder)
    assert line == f"{len(names)} variables from {prefix}"
    for name, value in values(model).items():
        np.testing.assert_array_equal(value, saved[name] if taken(name) else before[name])


def test_nothing_but_the_scope_is_written(tmp_path, write, checkpoint):
    write(str(tmp_path / "a"), {"source": checkpoint[0], "scope": "backbone"})
    written = read_checkpoint(tmp_path / "a" / "model.ckpt").values
    assert {name.split("/")[0] for name in written} == {"MobilenetV2"}


def test_checkpoint_in_a_store_is_taken_like_one_on_disk(tmp_path, write, checkpoint):
    prefix, saved = checkpoint
    store = f"ram://store-{uuid.uuid4().hex}/some"
    paths.copy_tree(prefix.rpartition("/")[0], store)
    for number, source in enumerate((store, f"{store}/model.ckpt-7")):
        write(str(tmp_path / str(number)), {"source": source, "scope": "all"})
        written = read_checkpoint(tmp_path / str(number) / "model.ckpt").values
        assert all(np.array_equal(written[name], value) for name, value in saved.items())


@pytest.mark.parametrize(
    "options, message",
    [
        ({"decoder": True}, r"expected decoder/.* in .*model.ckpt-7; got variables of .*to fix"),
        (
            {"backbone": "resnet_v1_50_beta", "width_multiplier": 1.0},
            r"expected resnet_v1_50/.*got",
        ),
        ({"width_multiplier": 0.5}, r"of shape \(3, 3, 3, 16\); got \(3, 3, 3, \d+\) in"),
        ({"head_batch_norm": False}, r"expected .*biases.* in .*; got variables of "),
        ({"num_classes": 5}, r"logits/semantic/.*; got .*to fix"),
    ],
)
def test_checkpoint_of_another_network_is_refused_naming_both(
    tmp_path, write, checkpoint, options, message
):
    with pytest.raises(ConfigError, match=f"initial_weights: .*{message}"):
        write(str(tmp_path / "a"), {"source": checkpoint[0], "scope": "all"}, NETWORK | options)
    assert not (tmp_path / "a").exists()


def test_weights_of_another_network_are_not_loaded(tmp_path, write, checkpoint):
    write(str(tmp_path / "a"), {"source": checkpoint[0], "scope": "all"})
    with pytest.raises(ConfigError, match="initial_weights: expected decoder/"):
        loading.load(network(decoder=True), str(tmp_path / "a"))


def test_loading_is_repeatable_with_random_numbers_around_it(tmp_path, write, checkpoint):
    """A network of the same seed begins the same where the checkpoint says nothing."""
    write(str(tmp_path / "a"), {"source": checkpoint[0], "scope": "backbone"})
    found = []
    for _ in range(2):
        keras.utils.set_random_seed(1)
        model = DeepLabV3Plus(**NETWORK)
        loading.load(model, str(tmp_path / "a"))
        found.append(values(model))
    assert all(np.array_equal(value, found[1][name]) for name, value in found[0].items())
