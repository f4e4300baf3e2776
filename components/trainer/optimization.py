"""How weights are updated: optimizer, weight decay, multipliers, frozen layers.

L2 and the multipliers work on one variable at a time in `update_step`, the hook that Keras gives
subclasses. There the gradients of all replicas have been added up, so the result is the same for
any number of them, compiled or not, and the loss needs no sum over all kernels.
"""

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from components.private_names import variable_index
from components.trainer.options import TrainingOptions
from components.trainer.schedule import build_schedule

LAST_LAYER = "logits.semantic"


# === Optimizer ===


class _RulesByVariable:
    """Mixed into an optimizer: L2, decoupled weight decay and gradient multipliers by variable.

    Args:
        l2: dict. Factor by `variable.path` of the variable in its gradient. It is the gradient of
            factor / 2 * |w|^2, as in slim; `keras.regularizers.L2` leaves out the half.
        decoupled_decay: dict. Factor by `variable.path` that, times the learning rate, is the share
            of the variable taken off it in each step, before the update. Keras' own `weight_decay`
            does the same at the learning rate of the optimizer, whatever the multiplier of a
            variable: a backbone at a tenth of the rate would decay ten times as fast as it learns.
        gradient_multipliers: dict. Factor by `variable.path` on the gradient and its L2 part.
        learning_rate_multipliers: dict. Factor by `variable.path` on the learning rate.
        **kwargs: of the optimizer.
    """

    def __init__(
        self,
        *,
        l2: dict[str, float] | None = None,
        decoupled_decay: dict[str, float] | None = None,
        gradient_multipliers: dict[str, float] | None = None,
        learning_rate_multipliers: dict[str, float] | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        # As tuples of pairs, since dictionaries would be tracked as state of a checkpoint.
        self._l2 = tuple((l2 or {}).items())
        self._decoupled_decay = tuple((decoupled_decay or {}).items())
        self._gradient_multipliers = tuple((gradient_multipliers or {}).items())
        self._learning_rate_multipliers = tuple((learning_rate_multipliers or {}).items())

    def build(self, variables):
        """Looks the rules up once, for the variables are known by nothing but index later."""
        tables = (
            dict(self._l2),
            dict(self._decoupled_decay),
            dict(self._gradient_multipliers),
            dict(self._learning_rate_multipliers),
        )
        l2, decoupled, multipliers, rates = tables
        unknown = set().union(*tables) - {variable.path for variable in variables}
        if unknown:
            raise ValueError(
                f"expected rules for trainable variables only; got {sorted(unknown)}; to fix, "
                "freeze layers before the optimizer is built, and train the model it was built for"
            )
        self._rules = tuple(
            (
                l2.get(v.path, 0.0),
                decoupled.get(v.path, 0.0),
                multipliers.get(v.path, 1.0),
                rates.get(v.path, 1.0),
            )
            for v in variables
        )
        super().build(variables)

    def update_step(self, gradient, variable, learning_rate):
        """Applies the rules of the variable and then the optimizer's own update."""
        l2, decoupled, multiplier, rate = self._rules[variable_index(self, variable)]
        if l2:
            gradient = gradient + l2 * variable
        if multiplier != 1:
            gradient = gradient * multiplier
        if rate != 1:
            learning_rate = learning_rate * rate
        if decoupled:
            share = ops.cast(learning_rate, variable.dtype) * decoupled
            self.assign_sub(variable, variable * share)
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        """The arguments that build the same optimizer again."""
        return {
            **super().get_config(),
            "l2": dict(self._l2),
            "decoupled_decay": dict(self._decoupled_decay),
            "gradient_multipliers": dict(self._gradient_multipliers),
            "learning_rate_multipliers": dict(self._learning_rate_multipliers),
        }


@keras.saving.register_keras_serializable(package="deeplab")
class SGD(_RulesByVariable, keras.optimizers.SGD):
    """Gradient descent, with or without momentum, with rules by variable."""


@keras.saving.register_keras_serializable(package="deeplab")
class Adam(_RulesByVariable, keras.optimizers.Adam):
    """Adam with rules by variable; with decoupled weight decay it is AdamW."""


def build_optimizer(options: TrainingOptions, model: keras.Model) -> keras.optimizers.Optimizer:
    """The optimizer of the options for what is trainable in the model; call `freeze` before.

    Under a distribution strategy Keras clips before it adds up the gradients of the replicas. A
    replica's gradient is that of its own mean loss over the number of replicas, and so is the norm
    that it is clipped to: what is averaged are the clipped gradients of the replicas.

    Raises:
        ValueError: a multiplier is given for the last layer, and the model has none.
    """
    clip_norm = options.gradient_clip_norm
    if clip_norm is not None:
        clip_norm /= tf.distribute.get_strategy().num_replicas_in_sync
    decay = dict.fromkeys(decayed_paths(model), options.weight_decay)
    factor = options.backbone_learning_rate_multiplier
    slow = [] if factor == 1 else [v for layer in model.backbone_layers for v in layer.weights]
    trainable = {variable.path for variable in model.trainable_variables}
    arguments = {
        "learning_rate": build_schedule(options),
        "global_clipnorm": clip_norm,
        "l2" if options.weight_decay_mode == "l2" else "decoupled_decay": decay,
        "gradient_multipliers": gradient_multipliers(
            model, options.last_layer_gradient_multiplier, options.bias_gradient_multiplier
        ),
        "learning_rate_multipliers": {v.path: factor for v in slow if v.path in trainable},
    }
    if options.optimizer in ("adam", "adamw"):
        return Adam(**arguments)
    return SGD(momentum=options.momentum if options.optimizer == "momentum" else 0.0, **arguments)


def decayed_paths(model: keras.Model) -> list[str]:
    """Paths of the trainable kernels that weight decay is for.

    Those are all variables with at least two dimensions, in backbone and head alike, except the
    depthwise kernels. Biases and batch normalization have one dimension.
    """
    depthwise = set()
    for layer in _all_layers(model):
        if isinstance(layer, keras.layers.DepthwiseConv1D | keras.layers.DepthwiseConv2D):
            depthwise.add(layer.kernel.path)
        elif isinstance(layer, keras.layers.SeparableConv1D | keras.layers.SeparableConv2D):
            depthwise.add(layer.depthwise_kernel.path)
    return [
        variable.path
        for variable in model.trainable_variables
        if len(variable.shape) >= 2 and variable.path not in depthwise
    ]


def gradient_multipliers(
    model: keras.Model, last_layer: float = 1.0, bias: float = 1.0
) -> dict[str, float]:
    """Factors on gradients by path, where they are not 1 (official `train_utils.py`).

    Args:
        model: the network.
        last_layer: for the kernel and bias of the layer named `LAST_LAYER`.
        bias: for the biases of convolutions, the last layer's as well.

    Raises:
        ValueError: `last_layer` is not 1, and no trainable variable is in that layer.
    """
    factors, found = {}, False
    for variable in model.trainable_variables:
        factor = bias if variable.name == "bias" else 1.0
        if LAST_LAYER in variable.path.split("/"):
            factor *= last_layer
            found = True
        if factor != 1:
            factors[variable.path] = factor
    if last_layer != 1 and not found:
        raise ValueError(
            f"expected a trainable layer named {LAST_LAYER} for a gradient multiplier of "
            f"{last_layer}; got none; to fix, give the layer that name, or the multiplier 1"
        )
    return factors


# === Frozen layers ===


def freeze(model: keras.Model, options: TrainingOptions) -> None:
    """Freezes the backbone or batch normalization, as the options say; call before `compile`.

    Frozen batch normalization uses its moving statistics in training too, and keeps them, its
    scale and its offset. (The official code goes on training scale and offset.)

    Args:
        model: the network; needs `backbone_layers`, a list of layers, for a frozen backbone.
        options: `freeze_backbone` and `fine_tune_batch_norm`.
    """
    if options.freeze_backbone:
        for layer in model.backbone_layers:
            layer.trainable = False
    if not options.fine_tune_batch_norm:
        for layer in _all_layers(model):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False


def _all_layers(model: keras.Model) -> Iterator[keras.Layer]:
    """All layers, also those of the models within."""
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _all_layers(layer)
