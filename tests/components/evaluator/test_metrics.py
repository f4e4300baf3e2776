"""Our TFMA metrics against NumPy on the pixels themselves, over splits, slices and two models."""

import numpy as np
import pytest
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto import config_pb2

import schemas
from components.evaluator import metrics
from components.evaluator.config import eval_config
from components.evaluator.options import EvaluationOptions
from components.serving import interface
from models.confusion import confusion_matrix

CLASSES = ("background", "cat", "dog", "never")
IGNORE = 255


@pytest.fixture(scope="module")
def masks():
    """Truth and prediction `[12, 9, 7]`; class 3 is in no truth, one picture is all ignore."""
    random = np.random.default_rng(0)
    truth = random.choice([0, 1, 2, IGNORE], (12, 9, 7))
    truth[5] = IGNORE
    return truth, random.integers(0, 4, (12, 9, 7))


def expected(truth, prediction) -> dict[str, float]:
    """Straight from the definitions, pixel by pixel, without a confusion matrix."""
    labelled = truth != IGNORE
    ious, predicted = {}, {}
    for index, name in enumerate(CLASSES):
        is_truth = (truth == index) & labelled
        is_prediction = (prediction == index) & labelled
        predicted[f"predicted/{name}"] = is_prediction.sum()
        ious[f"iou/{name}"] = (
            (is_truth & is_prediction).sum() / (is_truth | is_prediction).sum()
            if is_truth.any()
            else np.nan
        )
    return {
        **ious,
        **predicted,
        "mean_iou": np.nanmean(list(ious.values())),
        "pixel_accuracy": (truth == prediction)[labelled].mean(),
    }


def elements(truth, prediction):
    """What the evaluation signature gives for each picture."""
    matrix, out_of_range = confusion_matrix(truth, prediction, len(CLASSES), IGNORE)
    for one, outside in zip(np.asarray(matrix), np.asarray(out_of_range), strict=True):
        yield {
            "predictions": {
                interface.CONFUSION_MATRIX: one.reshape(-1),
                interface.LABELS_OUT_OF_RANGE: outside,
                interface.UNDECODABLE: np.array(0),
            }
        }


@pytest.mark.parametrize("parts", [1, 3, 12])
def test_exact_however_the_pictures_are_spread(masks, parts):
    truth, prediction = masks
    (computation, *_), *_ = computations = [
        one.computations(model_names=[""])
        for one in (
            metrics.MeanIoU(len(CLASSES)),
            metrics.PixelAccuracy(len(CLASSES)),
            metrics.ClassIoU(CLASSES),
            metrics.PredictedPixels(CLASSES),
        )
    ]
    combiner = computation.combiner
    accumulators = []
    rows = list(elements(truth, prediction))
    for part in np.array_split(np.arange(len(rows)), parts):
        accumulator = combiner.create_accumulator()
        for index in part:
            accumulator = combiner.add_input(
                accumulator, metric_types.StandardMetricInputs(rows[index])
            )
        accumulators.append(accumulator)
    found = combiner.extract_output(combiner.merge_accumulators(accumulators))
    values = {}
    for _, derived in computations:
        values |= {key.name: value for key, value in derived.result(found).items()}
    assert values.keys() == expected(truth, prediction).keys()
    for name, value in expected(truth, prediction).items():
        np.testing.assert_allclose(values[name], value, rtol=1e-15, err_msg=name)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (interface.LABELS_OUT_OF_RANGE, "labels out of range"),
        (interface.UNDECODABLE, "cannot be decoded"),
    ],
)
def test_unclean_records_are_refused(masks, output, message):
    (row, *_) = elements(*masks)
    row["predictions"][output] = np.array(1)
    combiner = metrics.MeanIoU(len(CLASSES)).computations(model_names=[""])[0].combiner
    with pytest.raises(ValueError, match=message):
        combiner.add_input(combiner.create_accumulator(), metric_types.StandardMetricInputs(row))


def test_models_are_kept_apart():
    computations = metrics.MeanIoU(4).computations(model_names=["candidate", "baseline"])
    keys = [key for computation in computations for key in computation.keys]
    assert len(set(keys)) == 4 and {key.model_name for key in keys} == {"candidate", "baseline"}


def test_thresholds_hold_for_the_whole_split_only():
    options = EvaluationOptions(min_mean_iou=0.3, max_mean_iou_drop=0.02)
    config = eval_config(options, schemas.load("pascal"))
    config = tfma.utils.update_eval_config_with_defaults(config, has_baseline=True)
    thresholds = tfma.metrics.metric_thresholds_from_metrics_specs(
        config.metrics_specs, eval_config=config
    )
    gated = {key for key in thresholds if key.name == "mean_iou"}
    assert {key.is_diff for key in gated} == {True, False}
    for key in gated:
        ((slices, _),) = thresholds[key]
        assert slices == config_pb2.SlicingSpec()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"min_mean_iou": 40}, "min_mean_iou"),
        ({"slices": ("colour",)}, "slices"),
        ({"batch_size": 0}, "batch_size"),
        ({"max_mean_iou_drop": -0.1}, "max_mean_iou_drop"),
    ],
)
def test_bad_options_name_the_field(change, field):
    with pytest.raises(ValueError, match=rf"expected evaluation\.{field}.*got.*to fix"):
        EvaluationOptions(**{"min_mean_iou": 0.4, **change})
