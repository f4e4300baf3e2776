"""What an exported model says of itself, its weights read back, and networks that begin with it."""

import json
import uuid

import numpy as np
import pytest
import tensorflow as tf

from components.errors import ConfigError
from components.initial_weights import artifact, loading
from components.initial_weights.options import InitialWeightsOptions
from components.serving import exported, interface, signatures
from components.serving.versions import EXTRA, WEIGHTS
from components.storage import paths
from models import DeepLabV3Plus
from models.checkpoints import official_variables, read_checkpoint
from tests.components.graphs import operations
from tests.components.serving.conftest import CLASSES, CROP, DESCRIPTION, IGNORE, NETWORK

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served_model(model, transform_output) -> signatures.ServedModel:
    return signatures.ServedModel(model, transform_output, num_classes=CLASSES, ignore_label=IGNORE)


@pytest.fixture(scope="module")
def serving(served_model, tmp_path_factory):
    """A folder of served models with one version of one."""
    folder = tmp_path_factory.mktemp("serving")
    signatures.export(served_model, str(folder / "deeplab" / "17"), DESCRIPTION)
    return folder


def values(model):
    return {name: np.array(variable) for name, variable in official_variables(model).items()}


def test_weights_come_back_under_their_official_names(exported_model, model):
    weights = exported.read_weights(exported_model, exported.read_description(exported_model))
    expected = values(model)
    assert weights.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(weights[name], value, err_msg=name)


def test_description_is_what_was_given_with_the_identity(exported_model):
    description = exported.read_description(exported_model)
    # It was pushed without a word on corners, as models were before there was a choice.
    network = {**DESCRIPTION["model"], "align_corners": True}
    assert (DESCRIPTION | {"model": network}).items() <= description.items()
    weights = exported.read_weights(exported_model, description)
    assert description["identity"] == exported.identity(weights, DESCRIPTION)


def test_what_is_served_has_no_batch_normalization(exported_model):
    served = tf.saved_model.load(exported_model)
    shapes = {tuple(variable.shape) for variable in served._variables}
    assert all(len(shape) in (1, 4) for shape in shapes)  # Biases and kernels.
    kinds = operations(served.signatures[interface.SERVING].graph)
    assert "Conv2D" in kinds
    assert not {kind for kind in kinds if "BatchNorm" in kind or kind == "Rsqrt"}


def test_the_weights_are_a_checkpoint_in_the_official_format(exported_model, model):
    read = read_checkpoint(f"{exported_model}/{EXTRA}/{WEIGHTS}").values
    expected = values(model)
    assert read.keys() == expected.keys()
    assert all(np.array_equal(read[name], value) for name, value in expected.items())


def test_weights_of_a_model_that_was_pushed_with_batch_normalization(model, tmp_path):
    """Such a model has the trained weights in its graph, and says which is which."""
    older = tf.Module()
    older._variables = [variable.value for variable in model.variables]
    names = {id(variable): name for name, variable in official_variables(model).items()}
    older.serve = tf.function(lambda: tf.constant(0), input_signature=[])
    tf.saved_model.save(older, str(tmp_path), signatures={interface.SERVING: older.serve})
    weights = exported.read_weights(
        str(tmp_path), {"variables": [names.get(id(variable)) for variable in model.variables]}
    )
    expected = values(model)
    assert weights.keys() == expected.keys()
    assert all(np.array_equal(weights[name], value) for name, value in expected.items())


def test_identity_tells_weights_names_and_descriptions_apart():
    weights = {"a": np.zeros((2, 3), "float32"), "b": np.ones(1, "float32")}
    changed = [
        (weights, {"classes": ["x"]}),
        (weights | {"a": np.zeros((3, 2), "float32")}, {}),
        (weights | {"b": np.nextafter(weights["b"], 2)}, {}),
        ({"a": weights["a"], "c": weights["b"]}, {}),
        ({"a": weights["a"]}, {}),
    ]
    found = {exported.identity(*each) for each in [(weights, {}), *changed]}
    assert len(found) == len(changed) + 1
    again = dict(reversed(weights.items()))
    assert exported.identity(again, {"k": 1, "l": 2}) == exported.identity(
        weights, {"l": 2, "k": 1}
    )


def test_export_to_a_store_is_whole_and_nothing_lies_beside_it(
    served_model, exported_model, examples, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    folder = f"ram://export-{uuid.uuid4().hex}/model"
    signatures.export(served_model, folder, DESCRIPTION)
    assert exported.read_description(folder) == exported.read_description(exported_model)
    serve = tf.saved_model.load(folder).signatures[interface.SERVING]
    reply = serve(image_bytes=tf.constant([example.image for example in examples]))
    assert not any(reply[interface.ERROR].numpy())
    assert list(tmp_path.iterdir()) == []


def begin(folder, serving, class_names, **network):
    """The initial weights' step with `served`, and the network that the Trainer makes of it."""
    arguments = NETWORK | {"num_classes": len(class_names), "input_shape": [CROP, CROP, 3]}
    line = artifact.write(
        str(folder),
        InitialWeightsOptions(source="served", scope="all"),
        arguments | network,
        class_names=class_names,
        tuned_batch_norm="all",
        served=str(serving),
        name="deeplab",
    )
    description = json.loads((folder / artifact.DESCRIPTION).read_text())
    trained = DeepLabV3Plus(**arguments | network)
    loading.load(trained, str(folder))
    return line, description, values(trained)


def test_training_begins_with_the_served_model(serving, model, tmp_path):
    line, description, found = begin(tmp_path, serving, DESCRIPTION["classes"])
    assert all(np.array_equal(value, found[name]) for name, value in values(model).items())
    assert (description["version"], description["scope"]) == ("17", "all")
    about = exported.read_description(str(serving / "deeplab" / "17"))
    assert description["identity"] == about["identity"]
    assert "anew" not in line


@pytest.mark.parametrize("classes", [[*"abcdefg"], ["a", "b"]])
def test_last_layer_starts_anew_for_other_classes(serving, model, tmp_path, classes):
    line, description, found = begin(tmp_path, serving, classes)
    assert description["scope"] == "except_logits"
    assert "the last layer starts anew, for the model has other classes (7: " in line
    for name, value in values(model).items():
        if not name.startswith("logits/"):
            np.testing.assert_array_equal(found[name], value)
    kernel = "logits/semantic/weights"
    assert not np.array_equal(found[kernel], values(model)[kernel])
    assert not any("logits" in n for n in read_checkpoint(tmp_path / artifact.PREFIX).values)


@pytest.mark.parametrize(
    "network, message",
    [
        (
            {"decoder": False},
            r"network \(decoder=False\); got one of decoder=True in .*/17",
        ),
        ({"align_corners": False}, r"align_corners=False; got one with True.*align_corners=true"),
        ({"aspp_depth": 32}, r"network \(aspp_depth=32\); got one of aspp_depth=16 in"),
    ],
)
@pytest.mark.parametrize("classes", [DESCRIPTION["classes"], ["a", "b"]])
def test_served_model_of_another_network_is_refused(serving, tmp_path, network, message, classes):
    with pytest.raises(ConfigError, match=message):
        begin(tmp_path, serving, classes, **network)


def test_damaged_weights_are_an_error(serving, tmp_path):
    paths.copy_tree(str(serving), str(tmp_path / "copy"))
    (index,) = (tmp_path / "copy").rglob("weights.index")
    index.write_bytes(b"nonsense")
    with pytest.raises(ConfigError, match=r"expected readable weights of an exported .*to fix"):
        begin(tmp_path / "out", tmp_path / "copy", DESCRIPTION["classes"])
