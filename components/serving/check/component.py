"""The serving check as a TFX component that blesses a model, or fails."""

import os

import tensorflow as tf
from absl import logging
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components import texts, tfx
from components.examples import first_records
from components.serving.check.checks import check_serving


@tfx.dsl.components.component
def ServingCheck(
    model: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Model],
    examples: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Examples],
    blessing: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.InfraBlessing],
    split: tfx.dsl.components.Parameter[str],
    num_classes: tfx.dsl.components.Parameter[int],
    requests: tfx.dsl.components.Parameter[int],
    timeout_seconds: tfx.dsl.components.Parameter[int],
    source_fingerprint: tfx.dsl.components.Parameter[str],
):
    """Blesses a model that loads in a fresh process and answers `requests` records of `split`.

    Raises:
        ServingError: the model does not load or answers wrongly.
    """
    del source_fingerprint  # part of the cache key only
    measured = check_serving(
        path_utils.serving_model_path(model.uri),
        first_records(artifact_utils.get_split_uri([examples], split), requests),
        num_classes,
        timeout_seconds,
    )
    logging.info(
        "The model serves: %s of %s in one batch",
        texts.counted(measured["pictures"], "picture"),
        texts.counted(len(measured["sizes"]), "size"),
    )
    # The names that TFX's Pusher reads, see tfx/components/infra_validator/executor.py.
    blessing.set_int_custom_property("blessed", 1)
    with tf.io.gfile.GFile(os.path.join(blessing.uri, "INFRA_BLESSED"), "w") as file:
        file.write("")
