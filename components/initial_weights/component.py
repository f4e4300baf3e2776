"""The initial weights as a TFX component, so that what does not fit fails before the data steps."""

import json

from absl import logging
from tfx.utils import path_utils

from components import runtime, tfx
from components.initial_weights import artifact
from components.initial_weights.options import InitialWeightsOptions


@tfx.dsl.components.component
def InitialWeights(
    weights: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Model],
    options: tfx.dsl.components.Parameter[str],
    network: tfx.dsl.components.Parameter[str],
    class_names: tfx.dsl.components.Parameter[str],
    tuned_batch_norm: tfx.dsl.components.Parameter[str],
    name: tfx.dsl.components.Parameter[str],
    digest: tfx.dsl.components.Parameter[str],
    source_fingerprint: tfx.dsl.components.Parameter[str],
):
    """Writes the weights where the Trainer's function finds them as `fn_args.base_model`.

    Args:
        weights: what is written.
        options: `InitialWeightsOptions` as JSON.
        network: keyword arguments of `models.DeepLabV3Plus` as JSON.
        class_names: a JSON list.
        tuned_batch_norm: see `artifact.write`.
        name: of the served model.
        digest: see `find.digest`; part of the cache key only.
        source_fingerprint: part of the cache key only.

    Raises:
        ConfigError: there are no such weights, or they do not fit the network.
        DownloadFailedError: they could not be downloaded.
    """
    del digest, source_fingerprint
    line = artifact.write(
        path_utils.serving_model_dir(weights.uri),
        InitialWeightsOptions.from_json(options),
        json.loads(network),
        class_names=json.loads(class_names),
        tuned_batch_norm=tuned_batch_norm,
        served=runtime.current().served,
        name=name,
    )
    logging.info("Initial weights: %s", line)
