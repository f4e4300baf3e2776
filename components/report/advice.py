"""What the curves of a training say, in a sentence each: it stood still, was flat, or overfitted.

Only what is beyond doubt is said: a healthy training gives no sentence, nor does one of which too
little was measured.
"""

from collections.abc import Sequence
from statistics import fmean, median

from components.trainer.history import State

# A float32 weight that moves by less than this share of itself does not move at all.
_STANDS_STILL = 1e-6
_FEWEST_VALIDATIONS = 4
# The least change that is one, of a loss as a share, and of a mean IoU.
_LOSS_FELL = 0.01
_IOU_CHANGED = 0.02
# One odd validation, or two in a row at the end, must not decide.
_WINDOW = 3


def advise(states: Sequence[State]) -> list[str]:
    """What a person should know of a training that ended.

    Args:
        states: of the whole training, by step.

    Returns:
        Sentences; none for a training without steps or without a fault that can be seen.
    """
    if not states:
        return []
    if sum(state.change for state in states) < _STANDS_STILL:
        return [
            f"the network stood still: in {states[-1].step} steps its weights did not change; "
            "to fix, raise training.learning_rate, or see what training.freeze_backbone and the "
            "multipliers leave to train"
        ]
    validations = [state for state in states if state.val_mean_iou is not None]
    if len(validations) < _FEWEST_VALIDATIONS:
        return []
    return [line for line in (_flat(states), _overfitted(validations)) if line]


def _flat(states: Sequence[State]) -> str:
    """Neither the loss nor what it is for became better from one half to the other.

    The mean IoU must be flat too, for hard pixel mining changes what the loss is a mean of.
    """
    middle = len(states) // 2
    first, second = states[:middle], states[middle:]
    before, after = (fmean(state.loss for state in half) for half in (first, second))
    rise = fmean(state.mean_iou for state in second) - fmean(state.mean_iou for state in first)
    if before - after >= _LOSS_FELL * abs(before) or not rise < _IOU_CHANGED:
        return ""
    return (
        f"the loss was flat: {before:.3f} in the first half of the training, {after:.3f} in the "
        "second; to fix, try another training.learning_rate, and see that the masks fit the "
        "pictures; where the training began with weights of the same data there is nothing to learn"
    )


def _overfitted(validations: Sequence[State]) -> str:
    """Validation fell from its best window to the last while training rose."""
    windows = [validations[i : i + _WINDOW] for i in range(len(validations) - _WINDOW + 1)]
    judged = [median(state.val_mean_iou for state in window) for window in windows]
    learned = [median(state.mean_iou for state in window) for window in windows]
    best = judged.index(max(judged))
    if not (
        judged[best] - judged[-1] >= _IOU_CHANGED and learned[-1] - learned[best] >= _IOU_CHANGED
    ):
        return ""
    return (
        f"validation fell while training rose: mean IoU {_percents(judged[best], judged[-1])} on "
        f"the validation pictures, {_percents(learned[best], learned[-1])} on the training "
        f"pictures after step {windows[best][-1].step}; the best epoch was kept; to fix, give it "
        "more pictures, stronger augmentation, or fewer training.steps"
    )


def _percents(before: float, after: float) -> str:
    return f"{100 * before:.1f} to {100 * after:.1f} %"
