"""The Transform graph, made as the Transform step makes it but without TFX; what is in graphs."""

from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from google.protobuf import json_format
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io, schema_utils

from components.dataset.records import HEIGHT, IMAGE, LABEL, WIDTH, Record
from components.transform import preprocessing


def transform_graph(records: list[Record], config: dict, folder: Path) -> tft.TFTransformOutput:
    """Analyses the records and writes the graph below `folder`."""
    strings = {key: tf.io.FixedLenFeature([1], tf.string) for key in (IMAGE, LABEL)}
    numbers = {key: tf.io.FixedLenFeature([1], tf.int64) for key in (HEIGHT, WIDTH)}
    schema = schema_utils.schema_from_feature_spec(strings | numbers)
    metadata = dataset_metadata.DatasetMetadata(schema)
    rows = [
        {IMAGE: [r.image], LABEL: [r.label], HEIGHT: [r.height], WIDTH: [r.width]} for r in records
    ]
    with tft_beam.Context(temp_dir=str(folder / "temp")):
        graph = (rows, metadata) | tft_beam.AnalyzeDataset(
            lambda inputs: preprocessing.preprocessing_fn(inputs, config)
        )
        _ = graph | tft_beam.WriteTransformFn(str(folder / "out"))
    raw = folder / "out" / tft.TFTransformOutput.RAW_METADATA_DIR
    metadata_io.write_metadata(metadata, str(raw))
    return tft.TFTransformOutput(str(folder / "out"))


def operations(graph: tf.Graph) -> set[str]:
    """The kinds of all operations, of those within the functions that these call, too."""
    definition = json_format.MessageToDict(graph.as_graph_def())
    functions = {
        function["signature"]["name"]: function["nodeDef"]
        for function in definition["library"]["function"]
    }
    kinds, waiting = set(), [definition["node"]]
    while waiting:
        for node in waiting.pop():
            kinds.add(node["op"])
            waiting += [functions.pop(name) for name in _called(node) & functions.keys()]
    return kinds


def _called(node: dict[str, Any]) -> set[str]:
    """The names of the functions that a node calls."""
    values = node.get("attr", {}).values()
    every = [v for value in values for v in (value, *value.get("list", {}).get("func", ()))]
    return {each.get("func", each).get("name", "") for each in every}
