"""The Evaluator's configuration: which signature, which metrics, which thresholds."""

import json

from tensorflow_model_analysis.proto import config_pb2

from components.evaluator.options import FLOAT_NOISE, EvaluationOptions
from components.fingerprint import source_fingerprint
from components.serving import interface
from schemas import Dataset

_MODULE = "components.evaluator.metrics"
_COUNTED = ("MeanIoU", "PixelAccuracy", "DeadClasses", "AboveConstant")
_BY_CLASS = ("ClassIoU", "PredictedPixels")


def eval_config(options: EvaluationOptions, dataset: Dataset) -> config_pb2.EvalConfig:
    """Mean IoU, gated by value and by change; dead classes, gated; accuracy; figures by class.

    The thresholds hold for the whole split only: as `MetricConfig.threshold` they would hold for
    every slice, and each slice added would tighten the gate.
    """
    gates = {
        "MeanIoU": config_pb2.MetricThreshold(
            value_threshold=config_pb2.GenericValueThreshold(
                lower_bound={"value": options.min_mean_iou}
            ),
            change_threshold=config_pb2.GenericChangeThreshold(
                absolute={"value": -options.max_mean_iou_drop},
                direction=config_pb2.MetricDirection.HIGHER_IS_BETTER,
            ),
        )
    }
    if not options.allow_dead_classes:
        none_dead = config_pb2.GenericValueThreshold(upper_bound={"value": 0})
        gates["DeadClasses"] = config_pb2.MetricThreshold(value_threshold=none_dead)
        is_above = config_pb2.GenericValueThreshold(lower_bound={"value": FLOAT_NOISE})
        gates["AboveConstant"] = config_pb2.MetricThreshold(value_threshold=is_above)

    def metric(class_name: str, config: dict) -> config_pb2.MetricConfig:
        found = config_pb2.MetricConfig(
            class_name=class_name, module=_MODULE, config=json.dumps(config)
        )
        if class_name in gates:
            found.per_slice_thresholds.add(
                slicing_specs=[config_pb2.SlicingSpec()], threshold=gates[class_name]
            )
        return found

    source = {"source": source_fingerprint("components.evaluator")}
    count = {"num_classes": dataset.num_classes, **source}
    classes = {"class_names": list(dataset.class_names), **source}
    return config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(
                signature_name=interface.EVALUATE,
                preprocessing_function_names=[interface.SLICES] if options.slices else [],
                inference_batch_size=options.batch_size,
            )
        ],
        slicing_specs=[config_pb2.SlicingSpec()]
        + [config_pb2.SlicingSpec(feature_keys=[key]) for key in options.slices],
        metrics_specs=[
            config_pb2.MetricsSpec(
                metrics=[
                    config_pb2.MetricConfig(class_name="ExampleCount"),
                    *(metric(name, count) for name in _COUNTED),
                    *(metric(name, classes) for name in _BY_CLASS),
                ]
            )
        ],
    )
