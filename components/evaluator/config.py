"""The Evaluator's configuration: which signature, which metrics, which thresholds."""

import json

from tensorflow_model_analysis.proto import config_pb2

from components.evaluator.options import EvaluationOptions
from components.fingerprint import source_fingerprint
from components.serving import signatures
from schemas import Dataset

_MODULE = "components.evaluator.metrics"


def eval_config(options: EvaluationOptions, dataset: Dataset) -> config_pb2.EvalConfig:
    """Mean IoU, pixel accuracy and per-class IoU, the first gated by value and by change.

    The thresholds hold for the whole split only: as `MetricConfig.threshold` they would hold for
    every slice, and each slice added would tighten the gate.
    """
    value = config_pb2.MetricThreshold(
        value_threshold=config_pb2.GenericValueThreshold(
            lower_bound={"value": options.min_mean_iou}
        )
    )
    value.change_threshold.CopyFrom(
        config_pb2.GenericChangeThreshold(
            absolute={"value": -options.max_mean_iou_drop},
            direction=config_pb2.MetricDirection.HIGHER_IS_BETTER,
        )
    )
    whole = config_pb2.PerSliceMetricThreshold(
        slicing_specs=[config_pb2.SlicingSpec()], threshold=value
    )

    def metric(class_name: str, config: dict, **kwargs) -> config_pb2.MetricConfig:
        return config_pb2.MetricConfig(
            class_name=class_name, module=_MODULE, config=json.dumps(config), **kwargs
        )

    source = {"source": source_fingerprint("components.evaluator")}
    count = {"num_classes": dataset.num_classes, **source}
    return config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(
                signature_name=signatures.EVALUATE,
                preprocessing_function_names=[signatures.SLICES] if options.slices else [],
                inference_batch_size=options.batch_size,
            )
        ],
        slicing_specs=[config_pb2.SlicingSpec()]
        + [config_pb2.SlicingSpec(feature_keys=[key]) for key in options.slices],
        metrics_specs=[
            config_pb2.MetricsSpec(
                metrics=[
                    config_pb2.MetricConfig(class_name="ExampleCount"),
                    metric("MeanIoU", count, per_slice_thresholds=[whole]),
                    metric("PixelAccuracy", count),
                    metric("ClassIoU", {"class_names": list(dataset.class_names), **source}),
                ]
            )
        ],
    )
