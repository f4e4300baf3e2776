"""What the Evaluator measured and decided, read back for people."""

import dataclasses
import math
import os

import tensorflow_model_analysis as tfma

from components import texts

Metrics = dict[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """The candidate's and the baseline's numbers and the gate's verdict."""

    candidate: Metrics
    """Over the whole split: `mean_iou`, `pixel_accuracy`, `iou/<class>`, `example_count`."""

    baseline: Metrics | None
    """The same of the model that was served; None where none was."""

    slices: dict[str, Metrics]
    """The candidate's metrics of each slice, by `<feature>: <value>`."""

    reasons: tuple[str, ...]
    """Why the gate refused the candidate; empty when it is blessed."""

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
    return Evaluation(
        candidate=candidate[""],
        baseline=found["baseline"].get(""),
        slices={label: metrics for label, metrics in sorted(candidate.items()) if label},
        reasons=tuple(_reasons(uri)),
    )


def _reasons(uri: str) -> list[str]:
    """One sentence for each threshold that was missed."""
    result = tfma.load_validation_result(uri)
    if result.validation_ok:
        return []
    reasons = []
    for per_slice in result.metric_validations_per_slice:
        for failure in per_slice.failures:
            name, threshold = failure.metric_key.name, failure.metric_threshold
            value = failure.metric_value.double_value.value
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
    return reasons or [f"the validation result in {os.path.basename(uri)} is not OK"]
