"""What we use below the public interface of libraries is there, and is what they call."""

import ast
import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.private_names import BuiltBeforeFit, tflite_operators, variable_index
from tests.conftest import REPOSITORY


def parameters(function) -> list[str]:
    return list(inspect.signature(function).parameters)


def data() -> tuple[np.ndarray, np.ndarray]:
    return np.ones((4, 3), np.float32), np.zeros((4, 1), np.float32)


# === Keras ===


class CountingBuilds(BuiltBeforeFit, keras.Model):
    calls = 0

    def _maybe_symbolic_build(self, *args, **kwargs):
        CountingBuilds.calls += 1
        return super()._maybe_symbolic_build(*args, **kwargs)


def test_keras_asks_before_it_builds_a_model_in_fit_and_evaluate():
    name = "_maybe_symbolic_build"
    assert parameters(getattr(keras.Model, name)) == parameters(getattr(BuiltBeforeFit, name))
    inputs = keras.Input((3,))
    model = CountingBuilds(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd", "mse")
    model.fit(*data(), verbose=0)
    assert CountingBuilds.calls == 1
    model.evaluate(*data(), verbose=0)
    assert CountingBuilds.calls == 2


@pytest.mark.parametrize(
    "strategy", [tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0"])]
)
def test_an_optimizer_knows_the_index_of_what_update_step_gets(strategy):
    found = []

    class Recording(keras.optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            found.append(variable_index(self, variable))
            super().update_step(gradient, variable, learning_rate)

    with strategy.scope():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(1)])
        model.compile(Recording(), "mse")
    model.fit(*data(), verbose=0)
    assert found == [0, 1, 2, 3]


# === TensorFlow Lite ===


def test_operators_of_a_file_are_named_in_order_with_the_type_of_their_result():
    @tf.function(input_signature=[tf.TensorSpec([1, 4])])
    def both(values):
        doubled = values * 2.0
        return tf.concat([doubled, values], 1), tf.argmax(doubled, 1, output_type=tf.int32)

    converter = tf.lite.TFLiteConverter.from_concrete_functions([both.get_concrete_function()])
    found = tflite_operators(converter.convert())
    assert found[0] == ("MUL", "float32")
    assert sorted(found[1:]) == [("ARG_MAX", "int32"), ("CONCATENATION", "float32")]


# === Nowhere else ===


def private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and name != "_"


def test_no_other_file_uses_or_overrides_a_private_name_of_a_library():
    defined, functions, used = {}, {}, {}
    for package in ("benchmarks", "components", "models", "pipeline", "schemas"):
        for path in (REPOSITORY / package).rglob("*.py"):
            if path.name == "private_names.py":
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                place = f"{path.relative_to(REPOSITORY)}:{getattr(node, 'lineno', 0)}"
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    defined[node.name] = place
                    # A decorator, such as that of a validator, hands the function on itself.
                    if not node.decorator_list:
                        functions[node.name] = place
                elif isinstance(node, ast.Attribute | ast.Name):
                    name = node.attr if isinstance(node, ast.Attribute) else node.id
                    (used if isinstance(node.ctx, ast.Load) else defined)[name] = place
                elif isinstance(node, ast.ImportFrom):
                    used |= {part: place for part in node.module.split(".")}
                    used |= {alias.name: place for alias in node.names}
                    assert "tensorflow.python" not in node.module and ".src" not in node.module
    theirs = {name: used[name] for name in used.keys() - defined.keys() if private(name)}
    hooks = {name: functions[name] for name in functions.keys() - used.keys() if private(name)}
    assert (theirs, hooks) == ({}, {})
