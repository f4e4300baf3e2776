"""A small network with a layer of every kind that the optimizer has a rule for."""

import keras
import numpy as np

from components.trainer.optimization import LAST_LAYER, build_optimizer
from components.trainer.options import TrainingOptions

layers = keras.layers


def options(**changes):
    defaults = {"steps": 10, "steps_per_epoch": 10, "schedule": "constant", "learning_rate": 0.1}
    return TrainingOptions(**{**defaults, **changes})


class SmallNet(keras.Model):
    """A backbone with a depthwise layer, a nested head, and logits."""

    def __init__(self):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((4, 4, 3))
        x = layers.Conv2D(4, 1, use_bias=False, name="backbone.conv")(inputs)
        x = layers.BatchNormalization(name="backbone.norm")(x)
        x = layers.DepthwiseConv2D(3, padding="same", name="backbone.depthwise")(x)
        inside = keras.Input((4, 4, 4))
        separable = layers.SeparableConv2D(4, 3, padding="same", name="separable")(inside)
        x = keras.Model(inside, separable, name="head")(x)
        super().__init__(inputs, layers.Conv2D(2, 1, name=LAST_LAYER)(x))

    @property
    def backbone_layers(self):
        return [layer for layer in self.layers if layer.name.startswith("backbone.")]


def data(size=2):
    random = np.random.default_rng(0)
    return random.standard_normal((size, 4, 4, 3)).astype(np.float32), random.integers(
        0, 2, (size, 4, 4)
    )


def values(model):
    return {variable.path: variable.numpy() for variable in model.variables}


def mean_square(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_pred), axis=(1, 2, 3))


def no_gradient(y_true, y_pred):
    return 0.0 * mean_square(y_true, y_pred)


def train(model, chosen, loss=mean_square, steps=3, **compile_options):
    # Tracing takes longer than so few steps; what is compiled says so.
    compile_options = compile_options or {"run_eagerly": True}
    model.compile(build_optimizer(chosen, model), loss, **compile_options)
    model.fit(*data(), batch_size=2, epochs=steps, verbose=0)
    return values(model)
