"""Every choice of a training run, with the official DeepLab defaults.

`dataclasses.asdict` of the options is JSON, and `TrainingOptions(**json)` gives them back.
"""

import dataclasses
from collections.abc import Collection

DISTRIBUTIONS = ("one_device", "mirrored", "multi_worker")
LOSS_TERMS = ("cross_entropy", "focal", "dice", "lovasz")
CLASS_WEIGHT_METHODS = ("inverse_frequency", "median_frequency")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrainingOptions:
    """What to train with; the defaults are those of the official `train.py` for PASCAL VOC."""

    # === Length ===

    steps: int = 30_000
    """Updates of the weights in the whole run; 0 exports the initial weights as they are."""

    steps_per_epoch: int = 1_000
    """Steps between two validations, of which the best is exported; `steps` is a multiple."""

    save_every_steps: int | None = None
    """Steps between two saved states, so many are lost in a crash; None saves every epoch."""

    batch_size: int = 16
    """Pictures of one step, over all replicas; at least 12 to tune batch normalization."""

    distribution: str = "one_device"
    """`one_device`, `mirrored` (all GPUs of the machine) or `multi_worker` (those in TF_CONFIG)."""

    seed: int = 0
    """Of weights, dropout, shuffling and augmentation."""

    # === Optimizer ===

    optimizer: str = "momentum"
    """`momentum`, `sgd` (without), `adam` or `adamw` (Adam with decoupled weight decay)."""

    momentum: float = 0.9
    """Of the `momentum` optimizer, in [0, 1)."""

    weight_decay: float = 4e-5
    """Of kernels, except depthwise ones; the ResNets were trained with 1e-4."""

    weight_decay_mode: str = "l2"
    """`l2`: part of the gradient, as official; `decoupled`: beside it (arXiv 1711.05101)."""

    gradient_clip_norm: float | None = None
    """Largest norm of the loss' gradient over all weights, before multipliers and L2; or None."""

    last_layer_gradient_multiplier: float = 1.0
    """Factor on the gradients of the layer that gives the logits, 10 where it starts anew."""

    bias_gradient_multiplier: float = 2.0
    """Factor on the gradients of the biases of convolutions, on top of the last layer's."""

    mixed_precision: str | None = None
    """Keras policy of the network, `mixed_float16` or `mixed_bfloat16`; None is float32."""

    # === Learning rate ===

    learning_rate: float = 0.007
    """The first one; 0.007 suits VOC's train_aug at batch 16, 0.0001 its trainval."""

    backbone_learning_rate_multiplier: float = 1.0
    """Factor on the learning rate of the backbone, below 1 where only it is pretrained."""

    schedule: str = "poly"
    """`poly`, `step` (a staircase) or `constant`."""

    end_learning_rate: float = 0.0
    """What `poly` ends at."""

    power: float = 0.9
    """Exponent of `poly`."""

    decay_every_steps: int = 2_000
    """Steps between two stairs of `step`."""

    decay_factor: float = 0.1
    """Factor of one stair of `step`."""

    warmup_steps: int = 0
    """Steps of slow start before the schedule, which then has the remaining steps."""

    warmup_learning_rate: float = 1e-4
    """Learning rate of the slow start."""

    warmup_mode: str = "constant"
    """`constant`, or `linear` from the slow start's to the first learning rate."""

    # === Network ===

    fine_tune_batch_norm: bool = True
    """Tune batch normalization; False keeps its statistics, scales and offsets as they are."""

    batch_norm_decay: float | None = None
    """Decay of the moving statistics in [0, 1); None keeps the network's own, up to 0.9997, which
    takes ten thousand steps to forget its start: a shorter run needs a lower one."""

    freeze_backbone: bool = False
    """Train nothing but ASPP, decoder and logits."""

    initial_weights: str | None = None
    """The checkpoint to start from: a path on this machine, an http(s) address, or a name in
    `models/variants.py`; None starts from random weights."""

    initial_weights_scope: str = "backbone"
    """What to take from it: `backbone`, `except_logits` or `all`."""

    # === Loss ===

    loss: str | tuple[str, ...] = ("cross_entropy",)
    """Terms to add up: `cross_entropy`, `focal`, `dice`, `lovasz`; one string becomes a tuple."""

    class_weights: str | tuple[float, ...] | None = None
    """`inverse_frequency` or `median_frequency` of the training labels, or one for every class."""

    hard_mining_step: int = 0
    """Step at which hard pixel mining is down to `top_k_fraction`, 0 for at once."""

    top_k_fraction: float = 1.0
    """Fraction of pixels, those of the largest losses, that mining keeps; 1 turns it off."""

    # === Augmentation ===

    crop_size: int | None = None
    """Side of the random crops in pixels; None takes `data.canvas_size`, the size that
    whole pictures are validated, judged and served on."""

    min_resize: int | None = None
    """Pixels that the shorter side is resized to before all else; None keeps the size."""

    max_resize: int | None = None
    """Most pixels that the longer side may have after that; None is no limit."""

    resize_factor: int | None = None
    """Makes both sides a multiple of it plus one after that, usually the output stride."""

    scale_min: float = 0.5
    """Smallest factor of random scaling."""

    scale_max: float = 2.0
    """Largest factor of random scaling."""

    scale_step: float = 0.25
    """Distance of the possible factors; 0 for any factor between the two."""

    flip: bool = True
    """Mirror left to right, with a probability of a half."""

    color_jitter: float = 0.0
    """Largest relative change of brightness, contrast and saturation, in [0, 1)."""

    shuffle_buffer: int = 1_000
    """Pictures among which the next one is drawn; 1 keeps the order of the files."""

    def __post_init__(self):
        """Refuses what cannot be trained with; JSON's lists become tuples."""
        self._normalize()
        for name in ("steps_per_epoch", "batch_size", "shuffle_buffer"):
            self._at_least(name, 1)
        self._at_least("save_every_steps", 1, optional=True)
        self._at_least("decay_every_steps", 1)
        for name in ("steps", "seed", "warmup_steps", "hard_mining_step"):
            self._at_least(name, 0)
        for name in ("min_resize", "max_resize", "resize_factor"):
            self._at_least(name, 1, optional=True)
        self._at_least("crop_size", 33, optional=True)
        for name in ("learning_rate", "power", "decay_factor", "scale_min"):
            self._above_zero(name)
        self._above_zero("gradient_clip_norm", optional=True)
        for name in (
            "weight_decay",
            "end_learning_rate",
            "warmup_learning_rate",
            "scale_step",
            "last_layer_gradient_multiplier",
            "bias_gradient_multiplier",
            "backbone_learning_rate_multiplier",
        ):
            self._number(name, lambda value: value >= 0, "a number of at least 0")
        for name in ("momentum", "color_jitter"):
            self._number(name, lambda value: 0 <= value < 1, "a number in [0, 1)")
        if self.batch_norm_decay is not None:
            self._number("batch_norm_decay", lambda value: 0 <= value < 1, "null or in [0, 1)")
        self._number("top_k_fraction", lambda value: 0 < value <= 1, "a fraction in (0, 1]")
        for name in ("fine_tune_batch_norm", "freeze_backbone", "flip"):
            self._check(name, isinstance(getattr(self, name), bool), "true or false")
        self._check(
            "initial_weights",
            self.initial_weights is None or isinstance(self.initial_weights, str),
            "a path or null",
        )
        self._one_of("distribution", DISTRIBUTIONS)
        self._one_of("optimizer", ("momentum", "sgd", "adam", "adamw"))
        self._one_of("weight_decay_mode", ("l2", "decoupled"))
        self._one_of("schedule", ("poly", "step", "constant"))
        self._one_of("warmup_mode", ("constant", "linear"))
        self._one_of("mixed_precision", (None, "mixed_float16", "mixed_bfloat16"))
        self._one_of("initial_weights_scope", ("backbone", "except_logits", "all"))
        self._check_losses()
        self._check_combinations()

    def _normalize(self):
        """Tuples where JSON has lists, floats where it has whole numbers."""
        if isinstance(self.loss, str):
            object.__setattr__(self, "loss", (self.loss,))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, list):
                value = tuple(value)
            elif isinstance(field.default, float) and _is_number(value):
                value = float(value)
            object.__setattr__(self, field.name, value)

    def _check_losses(self):
        self._check(
            "loss",
            isinstance(self.loss, tuple) and self.loss and set(self.loss) <= set(LOSS_TERMS),
            f"at least one of {', '.join(LOSS_TERMS)}",
        )
        weights = self.class_weights
        self._check(
            "class_weights",
            weights is None
            or weights in CLASS_WEIGHT_METHODS
            or (isinstance(weights, tuple) and all(_is_number(w) and w >= 0 for w in weights)),
            f"null, {' or '.join(CLASS_WEIGHT_METHODS)}, or a number of at least 0 for each class",
        )

    def _check_combinations(self):
        self._check(
            "steps_per_epoch",
            self.steps % self.steps_per_epoch == 0,
            f"a divisor of training.steps={self.steps}",
        )
        self._check(
            "warmup_steps",
            self.steps == 0 or self.warmup_steps < self.steps,
            f"fewer than steps={self.steps}",
        )
        self._check(
            "save_every_steps",
            self.steps_per_epoch % (self.save_every_steps or self.steps_per_epoch) == 0,
            f"null or a divisor of steps_per_epoch={self.steps_per_epoch}",
        )
        self._check(
            "steps",
            self.steps > 0 or self.initial_weights is not None,
            "at least 1 without initial_weights",
            "train, or give weights that are to be judged as they are",
        )
        self._check(
            "initial_weights_scope",
            self.steps > 0 or self.initial_weights_scope == "all",
            "all with steps=0, where nothing trains the rest",
            "give a whole network with --checkpoint, or train",
        )
        self._check(
            "scale_max", self.scale_max >= self.scale_min, f"at least scale_min={self.scale_min}"
        )
        self._check(
            "weight_decay_mode",
            self.optimizer != "adamw" or self.weight_decay_mode == "decoupled",
            "decoupled with the optimizer adamw",
            "choose that or the optimizer adam",
        )
        self._check(
            "hard_mining_step",
            self.hard_mining_step == 0 or self.top_k_fraction < 1,
            "0 while top_k_fraction is 1",
            "lower top_k_fraction, to which the ramp leads",
        )
        self._check(
            "min_resize",
            self.min_resize is not None or not (self.max_resize or self.resize_factor),
            "a size where max_resize or resize_factor is given",
        )
        self._check(
            "max_resize",
            None in (self.min_resize, self.max_resize) or self.max_resize >= self.min_resize,
            f"at least min_resize={self.min_resize}",
        )

    def _at_least(self, name: str, lowest: int, optional: bool = False):
        value = getattr(self, name)
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        self._check(
            name,
            (optional and value is None) or (is_whole and value >= lowest),
            f"a whole number of at least {lowest}" + (" or null" if optional else ""),
        )

    def _above_zero(self, name: str, optional: bool = False):
        if not (optional and getattr(self, name) is None):
            self._number(name, lambda value: value > 0, "a number above 0")

    def _number(self, name: str, fits, wanted: str):
        value = getattr(self, name)
        self._check(name, _is_number(value) and fits(value), wanted)

    def _one_of(self, name: str, choices: Collection[str | None]):
        wanted = "one of " + ", ".join("null" if choice is None else choice for choice in choices)
        self._check(name, getattr(self, name) in choices, wanted)

    def _check(self, name: str, is_right: bool, wanted: str, fix: str | None = None):
        if not is_right:
            default = self.__dataclass_fields__[name].default
            raise ValueError(
                f"expected training.{name} to be {wanted}; got {getattr(self, name)!r}; "
                f"to fix, {fix or f'give that, or leave it out for the default, {default!r}'}"
            )


def _is_number(value: object) -> bool:
    """Whether it is a finite number; true and false are none."""
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and abs(value) < float("inf")
