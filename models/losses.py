"""The training loss: sums over the labelled pixels of a batch, in a few field-proven forms.

Shapes: B batch, H height, W width, C classes, N = B * H * W pixels. All work is in float32. A pixel
is labelled unless its label is the ignore label, which may be one of the C classes, as 0 is for
ADE20k: that class is then never present. Labels outside [0, C) other than the ignore label are
broken data, which must be refused before training; the loss does not look for them.
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

PIXEL_TERMS = ("cross_entropy", "focal")
REGION_TERMS = ("dice", "lovasz")


@keras.saving.register_keras_serializable(package="deeplab")
class SegmentationLoss(keras.losses.Loss):
    """Sum of one or more of cross entropy, focal, Dice and Lovász-softmax loss.

    Cross entropy as in the official `train_utils.py`: the class weights multiply the numerator,
    and the denominator counts the pixels that are not ignored. Without labelled pixels every term
    and its gradient are 0. Under a distribution strategy each replica divides by its own count and
    the replicas are averaged, as the official clones are.

    Hard pixel mining keeps, of all pixels of the batch, the fraction with the largest losses. The
    fraction falls linearly from 1 to `top_k_fraction` over `hard_mining_step` steps. Here the mean
    is over the kept labelled pixels, so the ramp starts at the plain loss; the official code
    divides by the number of kept losses that are not exactly 0, which is lower once pixels are
    predicted beyond float32 precision. A validation loss is mined in the same way.

    Args:
        num_classes: int. Number of classes C.
        ignore_label: int. Pixels of this label take no part.
        terms: sequence of strings. What to add up: `cross_entropy`, `focal` (arXiv 1708.02002),
            `dice` (arXiv 1606.04797), `lovasz` (arXiv 1705.08790).
        class_weights: C non-negative floats, for the cross entropy and focal terms; None is 1.
        hard_mining_step: int. Step at which the ramp of hard pixel mining ends; 0 for no ramp.
        top_k_fraction: float. Fraction of pixels in (0, 1] that mining leaves in the cross entropy
            and focal terms; 1 turns it off.
        focal_gamma: float. Exponent of the focal term, at least 1.
        step: `keras.Variable`. Number of finished training steps, needed for a ramp; pass
            `optimizer.iterations`. It is read whenever the loss runs: in a TensorFlow graph, also
            compiled by XLA, as it is, in a JAX function only if the caller maps it in a
            `keras.StatelessScope`, which Keras' own `fit` does for variables of the model alone.
        name: string. Name of the loss.

    Call arguments:
        y_true: integers `[B, H, W]`.
        y_pred: floats `[B, H, W, C]`, logits.
    """

    def __init__(
        self,
        num_classes: int,
        ignore_label: int,
        terms: Sequence[str] = ("cross_entropy",),
        *,
        class_weights: Sequence[float] | None = None,
        hard_mining_step: int = 0,
        top_k_fraction: float = 1.0,
        focal_gamma: float = 2.0,
        step: keras.Variable | None = None,
        name: str = "segmentation_loss",
    ):
        super().__init__(name=name)
        self.num_classes = num_classes
        self.ignore_label = ignore_label
        self.terms = tuple(terms)
        self.class_weights = None if class_weights is None else tuple(map(float, class_weights))
        self.hard_mining_step = hard_mining_step
        self.top_k_fraction = top_k_fraction
        self.focal_gamma = focal_gamma
        self.step = step
        self._check()

    def _check(self):
        if not self.terms or set(self.terms) - {*PIXEL_TERMS, *REGION_TERMS}:
            raise ValueError(
                f"expected terms out of {', '.join(PIXEL_TERMS + REGION_TERMS)}; got {self.terms}; "
                "to fix, name at least one of them and no other"
            )
        weights = self.class_weights
        if weights and (len(weights) != self.num_classes or not all(w >= 0 for w in weights)):
            raise ValueError(
                f"expected {self.num_classes} class weights of at least 0; got {weights}; to fix, "
                "give one for every class, the ignored one too if it is a class"
            )
        if not 0 < self.top_k_fraction <= 1:
            raise ValueError(
                f"expected top_k_fraction in (0, 1]; got {self.top_k_fraction}; to fix, give the "
                "share of pixels to keep, not a percentage"
            )
        if self.focal_gamma < 1:
            raise ValueError(
                f"expected focal_gamma of at least 1; got {self.focal_gamma}; to fix, choose 2, "
                "below 1 the gradient of a perfect pixel is infinite"
            )

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Checks what `call` cannot see, then computes the mean over replicas."""
        if sample_weight is not None:
            raise ValueError(
                "expected no sample_weight; got one; to fix, give class_weights to the loss, or "
                "the ignore label to the pixels that must not count"
            )
        return super().__call__(y_true, y_pred)

    def call(self, y_true, y_pred):
        """The loss as `[1]`: Keras scales it for a distribution strategy unless it is a scalar."""
        if len(y_true.shape) != 3 or len(y_pred.shape) != 4 or y_pred.shape[-1] != self.num_classes:
            raise ValueError(
                f"expected labels [B, H, W] and logits [B, H, W, {self.num_classes}]; got "
                f"{tuple(y_true.shape)} and {tuple(y_pred.shape)}; to fix, squeeze the labels and "
                "build the network for as many classes as the loss"
            )
        label_N = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        logits_NC = ops.reshape(y_pred, (-1, self.num_classes))
        valid_N = label_N != self.ignore_label
        label_N = ops.where(valid_N, label_N, 0)

        losses = []
        if any(term in PIXEL_TERMS for term in self.terms):
            entropy_N = ops.sparse_categorical_crossentropy(label_N, logits_NC, from_logits=True)
            if "cross_entropy" in self.terms:
                losses.append(self._mean(entropy_N, label_N, valid_N))
            if "focal" in self.terms:
                loss_N = focal(entropy_N, self.focal_gamma)
                losses.append(self._mean(loss_N, label_N, valid_N))
        if any(term in REGION_TERMS for term in self.terms):
            valid_N1 = ops.cast(valid_N, "float32")[:, None]
            probability_NC = ops.softmax(logits_NC) * valid_N1
            truth_NC = ops.one_hot(label_N, self.num_classes, dtype="float32") * valid_N1
            if "dice" in self.terms:
                losses.append(dice(truth_NC, probability_NC))
            if "lovasz" in self.terms:
                losses.append(lovasz_softmax(truth_NC, probability_NC))
        return ops.reshape(sum(losses), (1,))

    def _mean(self, loss_N, label_N, valid_N):
        """Weighted mean over the labelled pixels that mining keeps."""
        if self.class_weights is not None:
            weights_C = ops.convert_to_tensor(self.class_weights, dtype="float32")
            loss_N = loss_N * ops.take(weights_C, label_N)
        if self.top_k_fraction == 1:
            keep_N = ops.cast(valid_N, "float32")
        else:
            keep_N = hardest(loss_N, valid_N, self._kept_fraction())
        loss_N = ops.where(valid_N, loss_N, 0.0)
        return ops.sum(keep_N * loss_N) / ops.maximum(ops.sum(keep_N), 1.0)

    def _kept_fraction(self):
        if self.hard_mining_step == 0:
            return self.top_k_fraction
        if self.step is None:
            raise ValueError(
                f"expected a step for the ramp of hard_mining_step={self.hard_mining_step}; got "
                "None; to fix, pass step=optimizer.iterations"
            )
        ratio = ops.minimum(ops.cast(self.step, "float32") / self.hard_mining_step, 1.0)
        return ratio * self.top_k_fraction + (1.0 - ratio)

    def get_config(self):
        """The arguments that build the same loss again, except `step`, which belongs to a run."""
        return {
            "num_classes": self.num_classes,
            "ignore_label": self.ignore_label,
            "terms": self.terms,
            "class_weights": self.class_weights,
            "hard_mining_step": self.hard_mining_step,
            "top_k_fraction": self.top_k_fraction,
            "focal_gamma": self.focal_gamma,
            "name": self.name,
        }


def focal(entropy_N, gamma: float):
    """Focal loss of every pixel from its cross entropy: (1 - p)^gamma * -log p."""
    return ops.power(ops.maximum(1.0 - ops.exp(-entropy_N), 0.0), gamma) * entropy_N


def hardest(loss_N, valid_N, fraction):
    """Weights of the `fraction` of all N pixels that have the largest losses, labelled ones first.

    A sort of the values finds the smallest loss to keep. That has static shapes, unlike a top-k
    with a k that falls over time, needs no gradient of a sort, and takes half the time of ranks.

    Args:
        loss_N: floats of at least 0.
        valid_N: booleans, False for ignored pixels, which are never kept.
        fraction: float or float scalar tensor in (0, 1].

    Returns:
        float32 `[N]`, without gradient: 1 for kept pixels, 0 for others, and for the pixels tied
        with the last one kept equal parts of the places left. They sum up to the number of pixels
        kept or of labelled pixels, whichever is lower.
    """
    loss_N = ops.stop_gradient(ops.where(valid_N, loss_N, -1.0))
    pixels = ops.shape(loss_N)[0]
    kept = ops.cast(ops.cast(fraction, "float32") * ops.cast(pixels, "float32"), "int32")
    kept = ops.clip(kept, 1, pixels)
    last = ops.take(ops.sort(loss_N), pixels - kept)
    above_N = ops.cast(loss_N > last, "float32")
    tied_N = ops.cast((loss_N == last) & valid_N, "float32")
    places = ops.cast(kept, "float32") - ops.sum(above_N)
    share = ops.minimum(places / ops.maximum(ops.sum(tied_N), 1.0), 1.0)
    return above_N + tied_N * share


def dice(truth_NC, probability_NC):
    """Soft Dice loss over the batch: 1 - 2 |T P| / (|T| + |P|), mean of the classes in the truth.

    Args:
        truth_NC: one-hot floats, all 0 for ignored pixels.
        probability_NC: floats, all 0 for ignored pixels.
    """
    size_C = ops.sum(truth_NC, axis=0)
    overlap_C = 2.0 * ops.sum(truth_NC * probability_NC, axis=0)
    score_C = overlap_C / ops.maximum(size_C + ops.sum(probability_NC, axis=0), 1.0)
    return _mean_of_present(1.0 - score_C, size_C)


def lovasz_softmax(truth_NC, probability_NC):
    """Lovász extension of 1 - IoU over the batch (algorithm 1), mean of the classes in the truth.

    Ignored pixels have no error, so they come last in the order and add nothing.

    Args:
        truth_NC: one-hot floats, all 0 for ignored pixels.
        probability_NC: floats, all 0 for ignored pixels.
    """
    truth_CN, probability_CN = ops.transpose(truth_NC), ops.transpose(probability_NC)
    error_CN = ops.abs(truth_CN - probability_CN)
    order_CN = ops.argsort(-ops.stop_gradient(error_CN), axis=-1)
    error_CN = ops.take_along_axis(error_CN, order_CN, axis=-1)
    truth_CN = ops.take_along_axis(truth_CN, order_CN, axis=-1)
    size_C1 = ops.sum(truth_CN, axis=-1, keepdims=True)
    remaining_CN = size_C1 - ops.cumsum(truth_CN, axis=-1)
    union_CN = size_C1 + ops.cumsum(1.0 - truth_CN, axis=-1)
    # The growth of 1 - remaining / union with each pixel, in closed form: as the difference of two
    # float32 near each other it would lose all but one digit at a million pixels.
    slope_CN = ops.where(
        truth_CN > 0, 1.0 / union_CN, remaining_CN / (union_CN * ops.maximum(union_CN - 1.0, 1.0))
    )
    return _mean_of_present(ops.sum(error_CN * slope_CN, axis=-1), size_C1[:, 0])


def _mean_of_present(loss_C, size_C):
    present_C = ops.cast(size_C > 0, "float32")
    return ops.sum(present_C * loss_C) / ops.maximum(ops.sum(present_C), 1.0)


def class_weights_from_histogram(
    histogram: Sequence[int], method: str = "inverse_frequency"
) -> np.ndarray:
    """Class weights that even out how often the classes occur.

    Args:
        histogram: pixels of every class in the training data, without ignored pixels.
        method: `inverse_frequency`, mean pixels a class over pixels of the class, so that the mean
            weight of a pixel is 1; or `median_frequency` (arXiv 1411.4734), median over the
            classes of their frequencies over the frequency, here over all pictures, not only those
            that show the class, which a histogram does not tell.

    Returns:
        float64 `[C]`; 1 for a class without pixels, which neither method defines.
    """
    count_C = np.asarray(histogram, np.float64)
    present_C = count_C > 0
    if count_C.ndim != 1 or not present_C.any() or (count_C < 0).any():
        raise ValueError(
            f"expected pixel counts, at least one above 0; got {histogram}; to fix, count the "
            "training labels"
        )
    typical = {"inverse_frequency": np.mean, "median_frequency": np.median}
    if method not in typical:
        raise ValueError(
            f"expected a method out of {', '.join(typical)}; got {method!r}; to fix, choose one"
        )
    numerator = typical[method](count_C[present_C])
    return np.divide(numerator, count_C, out=np.ones_like(count_C), where=present_C)
