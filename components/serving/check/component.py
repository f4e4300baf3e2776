"""The serving check as a TFX component that blesses a model, or fails."""

import json
import os

import tensorflow as tf
from absl import logging
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components import runtime, texts, tfx
from components.examples import first_records
from components.serving import warm_up
from components.serving.check.checks import check_serving
from components.serving.check.options import ServingOptions
from components.serving.server import launch
from components.storage import paths

_LOOKED_AT = 64
"""Records of which the smallest warm a server up."""


@tfx.dsl.components.component
def ServingCheck(
    model: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Model],
    examples: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Examples],
    blessing: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.InfraBlessing],
    split: tfx.dsl.components.Parameter[str],
    num_classes: tfx.dsl.components.Parameter[int],
    ignore_label: tfx.dsl.components.Parameter[int],
    options: tfx.dsl.components.Parameter[str],
    batch_sizes: tfx.dsl.components.Parameter[str],
    warm_up_records: tfx.dsl.components.Parameter[int],
    source_fingerprint: tfx.dsl.components.Parameter[str],
):
    """Blesses a model that a server answers records of `split` with, as `options` (JSON) ask for.

    Beside the blessing lie the requests that warm a server up, which were answered too: of so many
    records, in each of the `batch_sizes`, a list as JSON; none where there are no records.

    Raises:
        ServingError: the model does not load, or answers wrongly, slowly or greedily.
    """
    del source_fingerprint  # part of the cache key only
    asked = ServingOptions.from_json(options)
    program = launch.find_program(runtime.current().serving_program)
    folder = path_utils.serving_model_path(model.uri)
    records = first_records(
        artifact_utils.get_split_uri([examples], split), max(asked.requests, _LOOKED_AT)
    )
    requests = b""
    if warm_up_records:
        chosen = warm_up.smallest(records, warm_up_records)
        requests = warm_up.requests(folder, chosen, json.loads(batch_sizes))
        paths.write_bytes(paths.join(blessing.uri, warm_up.FILE), requests)
    measured = check_serving(
        *(folder, records[: asked.requests], num_classes, ignore_label, asked, program, requests)
    )
    logging.info(
        "The model serves, by %s: %s of %s in one batch, %s; %.3f s a picture, %.0f MB at most, "
        "%.0f MB more after %s",
        program or "the stand-in for TensorFlow Serving",
        texts.counted(measured.pictures, "picture"),
        texts.counted(len(measured.sizes), "size"),
        texts.counted(len(measured.signatures), "signature"),
        measured.load.latency_seconds,
        measured.load.memory_mb,
        measured.load.growth_mb,
        texts.counted(asked.requests, "request"),
    )
    # The names that TFX's Pusher reads, see tfx/components/infra_validator/executor.py.
    blessing.set_int_custom_property("blessed", 1)
    with tf.io.gfile.GFile(os.path.join(blessing.uri, "INFRA_BLESSED"), "w") as file:
        file.write("")
