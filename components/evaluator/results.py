"""What the Evaluator measured and decided, read back for people."""

import dataclasses
import math
import os
from typing import Any

import tensorflow_model_analysis as tfma
from google.protobuf import json_format

from components import texts
from components.evaluator.options import ABOVE_CONSTANT, DEAD_CLASSES, FLOAT_NOISE, PREDICTED_PIXELS

_LISTED = 12
_WAY_OUT = (
    "to fix, train longer, on more pictures of what is missed, or with training.class_weights; "
    "evaluation.allow_dead_classes=true accepts it"
)

Metrics = dict[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """The candidate's and the baseline's numbers and the gate's verdict."""

    candidate: Metrics
    """Over the whole split: `mean_iou`, `pixel_accuracy`, `iou/<class>`, `predicted/<class>`,
    `example_count`."""

    baseline: Metrics | None
    """The same of the model that was served; None where none was."""

    slices: dict[str, Metrics]
    """The candidate's metrics of each slice, by `<feature>: <value>`."""

    reasons: tuple[str, ...]
    """Why the gate refused the candidate; empty when it is blessed."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes a model doubtful, whether or not it was allowed: a sentence for each."""
        found = (_dead_classes(self.candidate), _no_better_than_a_constant(self.candidate))
        return tuple(sentence for sentence in found if sentence)

    def predicted_pixels(self) -> dict[str, int]:
        """How many of the labelled pixels the candidate found each class in, by its name."""
        start = f"{PREDICTED_PIXELS}/"
        return {
            name.removeprefix(start): int(value)
            for name, value in self.candidate.items()
            if name.startswith(start)
        }

    @property
    def blessed(self) -> bool:
        """Whether the candidate met every threshold."""
        return not self.reasons


def load_evaluation(uri: str) -> Evaluation:
    """Reads the Evaluator's output artifact.

    Args:
        uri: of the `evaluation` artifact.
    """
    names = ["candidate", "baseline"]
    configured = tfma.load_eval_result(uri, model_name=None)
    specs = {
        spec.name: "baseline" if spec.is_baseline else "candidate"
        for spec in configured.config.model_specs
    }
    found: dict[str, dict[str, Metrics]] = {name: {} for name in names}
    for model_name, role in specs.items():
        result = (
            configured if len(specs) == 1 else tfma.load_eval_result(uri, model_name=model_name)
        )
        for slice_key, metrics in result.slicing_metrics:
            label = ", ".join(f"{feature}: {value}" for feature, value in slice_key)
            found[role][label] = {
                # A NaN comes as a string.
                name: float(value["doubleValue"])
                for name, value in metrics[""][""].items()
                if "doubleValue" in value and not name.endswith("_diff")
            }
    candidate = found["candidate"]
    whole = candidate[""]
    return Evaluation(
        candidate=whole,
        baseline=found["baseline"].get(""),
        slices={label: metrics for label, metrics in sorted(candidate.items()) if label},
        reasons=tuple(_reasons(uri, whole)),
    )


def load_thresholds(uri: str) -> dict[str, Any]:
    """What the model gate asked of a candidate: TFMA's thresholds by metric, as JSON.

    Args:
        uri: of the `evaluation` artifact.
    """
    configured = tfma.load_eval_result(uri, model_name=None).config
    return {
        metric.class_name: json_format.MessageToDict(part.threshold)
        for spec in configured.metrics_specs
        for metric in spec.metrics
        for part in metric.per_slice_thresholds
    }


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _dead_classes(candidate: Metrics) -> str:
    ious = {
        name.removeprefix("iou/"): value
        for name, value in candidate.items()
        if name.startswith("iou/") and not math.isnan(value)
    }
    dead = [name for name, value in ious.items() if value == 0]
    if not dead:
        return ""
    return (
        f"{len(dead)} of the {len(ious)} classes in the validation labels "
        f"{'is' if len(dead) == 1 else 'are'} never found (IoU 0): {_listed(dead)}"
    )


def _no_better_than_a_constant(candidate: Metrics) -> str:
    mean_iou, above = candidate["mean_iou"], candidate[ABOVE_CONSTANT]
    if not above < FLOAT_NOISE:
        return ""
    return (
        f"mean_iou is {mean_iou:.4f}, no better than one class everywhere, "
        f"which has {mean_iou - above:.4f}"
    )


def _reasons(uri: str, candidate: Metrics) -> list[str]:
    """One sentence for each threshold that was missed.

    Args:
        uri: of the `evaluation` artifact.
        candidate: its numbers over the whole split.
    """
    doubts = {
        DEAD_CLASSES: _dead_classes(candidate),
        ABOVE_CONSTANT: _no_better_than_a_constant(candidate),
    }
    result = tfma.load_validation_result(uri)
    if result.validation_ok:
        return []
    reasons, doubtful = [], []
    for per_slice in result.metric_validations_per_slice:
        for failure in per_slice.failures:
            name, threshold = failure.metric_key.name, failure.metric_threshold
            value = failure.metric_value.double_value.value
            if doubts.get(name):
                doubtful.append(doubts[name])
                continue
            measured = "no number" if math.isnan(value) else f"{value:.4f}"
            if failure.metric_key.is_diff:
                allowed = threshold.change_threshold.absolute.value
                reasons.append(
                    f"{name} changed by {measured} against the baseline, "
                    f"allowed is {allowed:+.4f} or better"
                )
            else:
                floor = threshold.value_threshold.lower_bound.value
                reasons.append(f"{name} is {measured}, required is at least {floor:.4f}")
    if result.missing_slices:
        reasons.append(
            f"no record in {texts.counted(len(result.missing_slices), 'slice')} of the thresholds"
        )
    if doubtful:
        doubtful[-1] += f"; {_WAY_OUT}"
    return [*reasons, *doubtful] or [f"the validation result in {os.path.basename(uri)} is not OK"]
