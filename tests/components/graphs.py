"""What the Transform step writes, made without TFX; what is in graphs."""

from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from google.protobuf import json_format
from tensorflow_transform.tf_metadata import schema_utils

from components.data_gate.checks import check_record
from components.dataset.examination.measures import NOTHING
from components.dataset.records import HEIGHT, IMAGE, LABEL, WIDTH, Record
from components.transform.statistics import training_statistics, write_statistics
from components.transform.writing import write_graph


def transform_graph(records: list[Record], config: dict, folder: Path) -> tft.TFTransformOutput:
    """Writes the graph, and what the records measure, to `out` below `folder`."""
    strings = {key: tf.io.FixedLenFeature([1], tf.string) for key in (IMAGE, LABEL)}
    numbers = {key: tf.io.FixedLenFeature([1], tf.int64) for key in (HEIGHT, WIDTH)}
    out = str(folder / "out")
    write_graph(out, schema_utils.schema_from_feature_spec(strings | numbers), config)
    labels = config["num_classes"], config["ignore_label"]
    checked = (check_record(record.serialize(), "train", *labels) for record in records)
    total = sum((each.measures for each in checked), NOTHING)
    write_statistics(out, training_statistics(total, *labels))
    return tft.TFTransformOutput(out)


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
