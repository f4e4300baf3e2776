"""The Transform graph, written: apart from its reading, so that training does not depend on it."""

import functools
import os
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io

from components.dataset import records
from components.private_names import write_transform_function
from components.transform.preprocessing import preprocessing_fn


def write_graph(folder: str, schema: schema_pb2.Schema, custom_config: dict[str, Any]) -> None:
    """Writes the graph as `tft.TFTransformOutput` reads it.

    Args:
        folder: to make, here or in a bucket.
        schema: of the raw records.
        custom_config: of `preprocessing_fn`.
    """
    metadata = dataset_metadata.DatasetMetadata(schema)
    raw = os.path.join(folder, tft.TFTransformOutput.RAW_METADATA_DIR)
    metadata_io.write_metadata(metadata, raw)
    write_transform_function(
        functools.partial(preprocessing_fn, custom_config=custom_config),
        {name: tf.io.FixedLenFeature([1], tf.string) for name in (records.IMAGE, records.LABEL)},
        folder,
    )
