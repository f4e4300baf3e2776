"""Every choice of a training run, with the official DeepLab defaults."""

import json
import typing
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import pydantic
from pydantic import BeforeValidator, Field

import schemas
from components.model_options import ModelOptions
from components.options import Options, fault

LossTerm = Literal["cross_entropy", "focal", "dice", "lovasz"]
LOSS_TERMS: tuple[str, ...] = typing.get_args(LossTerm)
ClassWeightMethod = Literal["inverse_frequency", "median_frequency"]
CLASS_WEIGHT_METHODS: tuple[str, ...] = typing.get_args(ClassWeightMethod)

_FromZero = Annotated[int, Field(ge=0)]
_FromOne = Annotated[int, Field(ge=1)]
_NotNegative = Annotated[float, Field(ge=0)]
_Positive = Annotated[float, Field(gt=0)]
_Share = Annotated[float, Field(ge=0, lt=1)]


class TrainingOptions(Options):
    """What to train with; the defaults are those of the official `train.py` for PASCAL VOC."""

    SECTION: ClassVar[str] = "training"

    # === Length ===

    steps: _FromZero = 30_000
    """Updates of the weights in the whole run; 0 exports the initial weights as they are."""

    steps_per_epoch: _FromOne = 1_000
    """Steps between two validations, of which the best is exported; `steps` is a multiple."""

    save_every_steps: _FromOne | None = None
    """Steps between two saved states, so many are lost in a crash; None saves every epoch."""

    batch_size: _FromOne = 16
    """Pictures of one step, over all replicas; at least 12 to tune batch normalization."""

    distribution: Literal["one_device", "mirrored", "multi_worker"] = "one_device"
    """`one_device`, `mirrored` (all GPUs of the machine) or `multi_worker` (those in TF_CONFIG)."""

    seed: _FromZero = 0
    """Of weights, dropout, shuffling and augmentation."""

    # === Optimizer ===

    optimizer: Literal["momentum", "sgd", "adam", "adamw"] = "momentum"
    """`momentum`, `sgd` (without), `adam` or `adamw` (Adam with decoupled weight decay)."""

    momentum: _Share = 0.9
    """Of the `momentum` optimizer, in [0, 1)."""

    weight_decay: _NotNegative = 4e-5
    """Of kernels, except depthwise ones; the ResNets were trained with 1e-4."""

    weight_decay_mode: Literal["l2", "decoupled"] = "l2"
    """`l2`: part of the gradient, as official; `decoupled`: beside it (arXiv 1711.05101)."""

    gradient_clip_norm: _Positive | None = None
    """Largest norm of the loss' gradient over all weights, before multipliers and L2; or None."""

    last_layer_gradient_multiplier: _NotNegative = 1.0
    """Factor on the gradients of the layer that gives the logits, 10 where it starts anew."""

    bias_gradient_multiplier: _NotNegative = 2.0
    """Factor on the gradients of the biases of convolutions, on top of the last layer's."""

    mixed_precision: Literal["mixed_float16", "mixed_bfloat16"] | None = None
    """Keras policy of the network, `mixed_float16` or `mixed_bfloat16`; None is float32."""

    # === Learning rate ===

    learning_rate: _Positive = 0.007
    """The first one; 0.007 suits VOC's train_aug at batch 16, 0.0001 its trainval."""

    backbone_learning_rate_multiplier: _NotNegative = 1.0
    """Factor on the learning rate of the backbone, below 1 where only it is pretrained."""

    schedule: Literal["poly", "step", "constant"] = "poly"
    """`poly`, `step` (a staircase) or `constant`."""

    end_learning_rate: _NotNegative = 0.0
    """What `poly` ends at."""

    power: _Positive = 0.9
    """Exponent of `poly`."""

    decay_every_steps: _FromOne = 2_000
    """Steps between two stairs of `step`."""

    decay_factor: _Positive = 0.1
    """Factor of one stair of `step`."""

    warmup_steps: _FromZero = 0
    """Steps of slow start before the schedule, which then has the remaining steps."""

    warmup_learning_rate: _NotNegative = 1e-4
    """Learning rate of the slow start."""

    warmup_mode: Literal["constant", "linear"] = "constant"
    """`constant`, or `linear` from the slow start's to the first learning rate."""

    # === Network ===

    fine_tune_batch_norm: bool = True
    """Tune batch normalization; False keeps its statistics, scales and offsets as they are."""

    batch_norm_decay: _Share | None = None
    """Decay of the moving statistics in [0, 1); None keeps the network's own, up to 0.9997, which
    takes ten thousand steps to forget its start: a shorter run needs a lower one."""

    freeze_backbone: bool = False
    """Train nothing but ASPP, decoder and logits."""

    # === Loss ===

    loss: Annotated[
        tuple[LossTerm, ...],
        Field(min_length=1, description=f"at least one of {', '.join(LOSS_TERMS)}"),
        BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    ] = ("cross_entropy",)
    """Terms to add up: `cross_entropy`, `focal`, `dice`, `lovasz`; one string becomes a tuple."""

    class_weights: Annotated[
        ClassWeightMethod | tuple[_NotNegative, ...] | None,
        Field(
            description=f"null, {' or '.join(CLASS_WEIGHT_METHODS)}, or a number of at least 0 for "
            "each class"
        ),
    ] = None
    """`inverse_frequency` or `median_frequency` of the training labels, or one for every class."""

    hard_mining_step: _FromZero = 0
    """Step at which hard pixel mining is down to `top_k_fraction`, 0 for at once."""

    top_k_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Fraction of pixels, those of the largest losses, that mining keeps; 1 turns it off."""

    # === Augmentation ===

    crop_size: Annotated[int, Field(ge=33)] | None = None
    """Side of the random crops in pixels; None takes `data.canvas_size`, the size that
    whole pictures are validated, judged and served on."""

    min_resize: _FromOne | None = None
    """Pixels that the shorter side is resized to before all else; None keeps the size."""

    max_resize: _FromOne | None = None
    """Most pixels that the longer side may have after that; None is no limit."""

    resize_factor: _FromOne | None = None
    """Makes both sides a multiple of it plus one after that, usually the output stride."""

    scale_min: _Positive = 0.5
    """Smallest factor of random scaling."""

    scale_max: _Positive = 2.0
    """Largest factor of random scaling."""

    scale_step: _NotNegative = 0.25
    """Distance of the possible factors; 0 for any factor between the two."""

    flip: bool = True
    """Mirror left to right, with a probability of a half."""

    color_jitter: _Share = 0.0
    """Largest relative change of brightness, contrast and saturation, in [0, 1)."""

    shuffle_buffer: _FromOne = 1_000
    """Pictures among which the next one is drawn; 1 keeps the order of the files."""

    @property
    def tuned_batch_norm(self) -> Literal["all", "head", "none"]:
        """In which part of the network batch normalization is tuned."""
        if self.steps == 0 or not self.fine_tune_batch_norm:
            return "none"
        return "head" if self.freeze_backbone else "all"

    @pydantic.model_validator(mode="after")
    def _combinations(self):
        """Refuses what cannot go together, all of it at once."""
        every = self.save_every_steps or self.steps_per_epoch
        rules = (
            (
                "steps_per_epoch",
                self.steps % self.steps_per_epoch == 0,
                f"a divisor of training.steps={self.steps}",
            ),
            (
                "warmup_steps",
                self.steps == 0 or self.warmup_steps < self.steps,
                f"fewer than steps={self.steps}",
            ),
            (
                "save_every_steps",
                self.steps_per_epoch % every == 0,
                f"null or a divisor of steps_per_epoch={self.steps_per_epoch}",
            ),
            (
                "scale_max",
                self.scale_max >= self.scale_min,
                f"at least scale_min={self.scale_min}",
            ),
            (
                "weight_decay_mode",
                self.optimizer != "adamw" or self.weight_decay_mode == "decoupled",
                "decoupled with the optimizer adamw",
            ),
            (
                "hard_mining_step",
                self.hard_mining_step == 0 or self.top_k_fraction < 1,
                "0 while top_k_fraction is 1, to which the ramp leads",
            ),
            (
                "min_resize",
                self.min_resize is not None or not (self.max_resize or self.resize_factor),
                "a size where max_resize or resize_factor is given",
            ),
            (
                "max_resize",
                None in (self.min_resize, self.max_resize) or self.max_resize >= self.min_resize,
                f"at least min_resize={self.min_resize}",
            ),
        )
        faults = [
            fault(self.SECTION, name, wanted, getattr(self, name), "give that")
            for name, is_right, wanted in rules
            if not is_right
        ]
        if faults:
            raise ValueError("\n".join(faults))
        return self


class TrainerConfig(Options):
    """All that the Trainer's function gets, see `components.trainer.run`."""

    SECTION: ClassVar[str] = "trainer"

    dataset: Annotated[
        schemas.Dataset,
        BeforeValidator(lambda v: schemas.from_json(json.dumps(v)) if isinstance(v, dict) else v),
    ]
    """Classes and ignore label."""

    canvas_size: Annotated[int, Field(ge=33)]
    """Side of the square canvas that whole pictures are judged and served on, in pixels."""

    model: ModelOptions
    training: TrainingOptions

    def value(self, path: str) -> Any:
        """The value at `training.…` or `model.…`."""
        section, _, name = path.partition(".")
        return getattr(getattr(self, section), name)

    def with_values(self, values: Mapping[str, Any]) -> Self:
        """The same with other values, by paths as `value` takes them, and checked again.

        Raises:
            ValueError: a line for each fault.
        """
        changes: dict[str, dict[str, Any]] = {"training": {}, "model": {}}
        for path, value in values.items():
            section, _, name = path.partition(".")
            changes[section][name] = value
        sections = {name: getattr(self, name).replace(**new) for name, new in changes.items()}
        return self.replace(**sections)
