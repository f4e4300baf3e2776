"""The verdict through TFMA itself: a model whose confusion matrix is given, judged as any other."""

import dataclasses

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from apache_beam.options.pipeline_options import PipelineOptions
from tfx_bsl.tfxio.tf_example_record import TFExampleBeamRecord

import schemas
from components.evaluator.config import eval_config
from components.evaluator.options import EvaluationOptions
from components.evaluator.results import Evaluation, load_evaluation
from components.serving import interface
from models import metrics

DATASET = dataclasses.replace(
    schemas.load("sample"), name="three", classes=schemas.load("sample").classes[:3]
)
pytestmark = pytest.mark.slow

NAMES = DATASET.class_names
GOOD = [[80, 5, 5], [3, 40, 2], [1, 2, 9]]


class _AnswersTheRecord(tf.Module):
    """Gives the confusion matrix that is written in the record."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=interface.EXAMPLES)])
    def evaluate(self, examples):
        spec = {"matrix": tf.io.FixedLenFeature([9], tf.int64)}
        matrix = tf.io.parse_example(examples, spec)["matrix"]
        nothing = tf.zeros(tf.shape(examples), tf.int64)
        return {
            interface.CONFUSION_MATRIX: matrix,
            interface.LABELS_OUT_OF_RANGE: nothing,
            interface.UNDECODABLE: nothing,
        }


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    folder = str(tmp_path_factory.mktemp("answers"))
    module = _AnswersTheRecord()
    tf.saved_model.save(module, folder, signatures={interface.EVALUATE: module.evaluate})
    return folder


def judged(model: str, folder, *matrices, **options) -> Evaluation:
    """What the gate says of a model that has one of the matrices for each picture."""
    chosen = EvaluationOptions(**{"min_mean_iou": 0.0, "slices": (), **options})
    config = tfma.utils.update_eval_config_with_defaults(
        eval_config(chosen, DATASET), has_baseline=False, rubber_stamp=True
    )
    examples = [
        tf.train.Example(
            features=tf.train.Features(
                feature={
                    "matrix": tf.train.Feature(
                        int64_list=tf.train.Int64List(value=np.ravel(matrix))
                    )
                }
            )
        ).SerializeToString()
        for matrix in matrices
    ]
    engine = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"
    with beam.Pipeline(options=PipelineOptions([engine])) as pipeline:
        _ = (
            pipeline
            | beam.Create(examples)
            | TFExampleBeamRecord(
                physical_format="inmem", raw_record_column_name=tfma.ARROW_INPUT_COLUMN
            ).BeamSource()
            | tfma.ExtractEvaluateAndWriteResults(
                eval_config=config,
                eval_shared_model=tfma.default_eval_shared_model(model, eval_config=config),
                output_path=str(folder),
            )
        )
    return load_evaluation(str(folder))


def test_a_model_that_finds_every_class_is_blessed_without_a_doubt(model, tmp_path):
    evaluation = judged(model, tmp_path, GOOD, GOOD)
    assert evaluation.blessed and evaluation.warnings == ()


@pytest.mark.parametrize(
    "matrix",
    [
        [[90, 0, 0], [0, 45, 0], [6, 6, 0]],  # never predicted
        [[90, 0, 3], [0, 45, 0], [6, 6, 0]],  # predicted, never right
    ],
)
def test_a_dead_class_is_named_and_refused_unless_allowed(model, tmp_path, matrix):
    sentence = f"1 of the 3 classes in the validation labels is never found (IoU 0): {NAMES[2]}"
    refused = judged(model, tmp_path / "refused", matrix)
    assert not refused.blessed and refused.warnings == (sentence,)
    (reason,) = refused.reasons
    assert reason.startswith(sentence) and "evaluation.allow_dead_classes=true" in reason
    allowed = judged(model, tmp_path / "allowed", matrix, allow_dead_classes=True)
    assert allowed.blessed and allowed.warnings == (sentence,)


def test_a_class_without_truth_is_not_dead(model, tmp_path):
    evaluation = judged(model, tmp_path, [[90, 4, 0], [3, 40, 0], [0, 0, 0]])
    assert evaluation.blessed and evaluation.warnings == ()


def test_dead_is_over_the_whole_split_and_not_in_one_picture(model, tmp_path):
    missed = [[90, 4, 0], [3, 40, 0], [9, 0, 0]]
    assert judged(model, tmp_path, missed, GOOD).blessed


@pytest.mark.parametrize(
    "matrix",
    [
        [[90, 0, 0], [45, 0, 0], [12, 0, 0]],  # the best constant answer itself
        [[0, 90, 0], [0, 45, 0], [0, 12, 0]],  # another constant answer
        [[20, 40, 40], [1, 1, 1], [1, 1, 1]],  # finds every class, and nothing well
    ],
)
def test_no_better_than_a_constant_answer_is_refused_unless_allowed(model, tmp_path, matrix):
    refused = judged(model, tmp_path / "refused", matrix)
    best = np.sum(matrix, axis=1).max() / np.sum(matrix) / 3
    sentence = f"no better than one class everywhere, which has {best:.4f}"
    assert not refused.blessed
    assert sentence in refused.warnings[-1] and sentence in refused.reasons[-1]
    allowed = judged(model, tmp_path / "allowed", matrix, allow_dead_classes=True)
    assert allowed.blessed and allowed.warnings == refused.warnings


@pytest.mark.parametrize("seed", range(4))
def test_blessed_means_alive_and_better_than_every_constant(model, tmp_path, seed):
    random = np.random.default_rng(seed)
    matrix = random.integers(0, 50, (3, 3)) * (random.random((3, 3)) < 0.7)
    matrix += np.diag(random.integers(0, 200, 3))
    evaluation = judged(model, tmp_path, matrix)
    constants = [
        metrics.mean_iou(matrix.sum(axis=1, keepdims=True) * (np.arange(3) == answer))
        for answer in range(3)
    ]
    is_model = metrics.mean_iou(matrix) > max(constants) + 1e-9
    is_alive = not np.any(metrics.iou_per_class(matrix) == 0)
    assert evaluation.blessed == (is_model and is_alive)
