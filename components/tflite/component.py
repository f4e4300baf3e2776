"""The files for phones as a TFX component, between the Evaluator and the Pusher."""

import tensorflow_transform as tft
from absl import logging
from tfx.types import artifact_utils
from tfx.utils import path_utils

import schemas
from components import tfx
from components.artifacts import TFLiteModels
from components.evaluator.results import load_evaluation
from components.examples import all_records
from components.tflite.making import make
from components.tflite.options import TFLiteOptions


@tfx.dsl.components.component
def TFLite(
    model: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Model],
    examples: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Examples],
    transform_graph: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.TransformGraph],
    evaluation: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ModelEvaluation],
    models: tfx.dsl.components.OutputArtifact[TFLiteModels],
    training_split: tfx.dsl.components.Parameter[str],
    split: tfx.dsl.components.Parameter[str],
    dataset: tfx.dsl.components.Parameter[str],
    options: tfx.dsl.components.Parameter[str],
    source_fingerprint: tfx.dsl.components.Parameter[str],
):
    """Converts the network, judges the files on `split`, and says whether they may be pushed.

    A refused file does not fail this step, as a refused model does not fail the Evaluator: the
    report of the run is to show it. `dataset` and `options` are JSON.

    Raises:
        DataError: a picture cannot be decoded.
    """
    del source_fingerprint  # part of the cache key only
    report = make(
        path_utils.serving_model_path(model.uri),
        tft.TFTransformOutput(transform_graph.uri),
        all_records(artifact_utils.get_split_uri([examples], training_split)),
        all_records(artifact_utils.get_split_uri([examples], split)),
        int(load_evaluation(evaluation.uri).candidate["example_count"]),
        schemas.from_json(dataset),
        TFLiteOptions.from_json(options),
        models.uri,
    )
    for reason in report.reasons:
        logging.warning("%s", reason)
    models.set_int_custom_property("blessed", int(report.blessed))
