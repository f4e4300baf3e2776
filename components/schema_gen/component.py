"""The curated schema of a data set as a TFX component."""

import os

import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import v1 as tfx

import schemas
from components.errors import ConfigError

_FILE = "schema.pbtxt"


@tfx.dsl.components.component
def ImportSchemaGen(
    schema: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Schema],
    dataset: tfx.dsl.components.Parameter[str],
    dataset_digest: tfx.dsl.components.Parameter[str],
):
    """Copies `schemas/<dataset>/schema.pbtxt`.

    TFX's own component of this name takes a path: an edited file would be answered from the cache,
    and on a cluster the path of the machine that compiled leads nowhere.

    Raises:
        ConfigError: the file is no schema.
    """
    del dataset_digest  # part of the cache key only
    path = schemas.schema_dir(dataset) / _FILE
    text = path.read_text()
    try:
        text_format.Parse(text, schema_pb2.Schema())
    except text_format.ParseError as error:
        raise ConfigError(
            f"expected a tensorflow.metadata.v0.Schema as text in {path}; got {error}; to fix, "
            "start from a copy of another data set's"
        ) from error
    with tf.io.gfile.GFile(os.path.join(schema.uri, _FILE), "w") as file:
        file.write(text)
