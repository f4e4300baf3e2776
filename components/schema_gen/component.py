"""The curated schema of a data set as a TFX component."""

import os

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components import tfx
from components.errors import ConfigError
from components.storage import paths


@tfx.dsl.components.component
def ImportSchemaGen(
    schema: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Schema],
    text: tfx.dsl.components.Parameter[str],
    source_fingerprint: tfx.dsl.components.Parameter[str],
):
    """Makes an artifact of a schema, `schema.pbtxt` of a data set.

    TFX's own component of this name takes a path: an edited file would be answered from the cache,
    and on a cluster the path of the machine that compiled leads nowhere.

    Raises:
        ConfigError: the text is no schema.
    """
    del source_fingerprint  # part of the cache key only
    try:
        text_format.Parse(text, schema_pb2.Schema())
    except text_format.ParseError as error:
        raise ConfigError(
            "expected a tensorflow.metadata.v0.Schema as text in schema.pbtxt of the data set; got "
            f"{error}; to fix, start from a copy of another data set's"
        ) from error
    paths.write_text(os.path.join(schema.uri, "schema.pbtxt"), text)
