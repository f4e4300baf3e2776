"""The Transform step as a TFX component.

Not TFX's own: it reads every record for a graph that takes nothing from the data, because the data
sets within the graph count as something with an effect on others.
"""

import dataclasses

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

import schemas
from components import tfx
from components.artifacts import DataReport
from components.data_gate import report
from components.dataset.limits import Limits
from components.storage import paths
from components.transform.statistics import training_statistics, write_statistics
from components.transform.writing import write_graph


@tfx.dsl.components.component
def Transform(
    schema: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Schema],
    data_report: tfx.dsl.components.InputArtifact[DataReport],
    transform_graph: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.TransformGraph],
    dataset: tfx.dsl.components.Parameter[str],
    split: tfx.dsl.components.Parameter[str],
    canvas_size: tfx.dsl.components.Parameter[int],
    max_pixels: tfx.dsl.components.Parameter[int],
    max_bytes: tfx.dsl.components.Parameter[int],
    source_fingerprint: tfx.dsl.components.Parameter[str],
):
    """Writes the graph that prepares pictures, and beside it what the training split measures.

    That is read off the data gate's report, see `components.transform.statistics`. `dataset` is
    JSON.
    """
    del source_fingerprint  # part of the cache key only
    description = schemas.from_json(dataset)
    write_graph(
        transform_graph.uri,
        text_format.Parse(
            paths.read_text(paths.join(schema.uri, "schema.pbtxt")), schema_pb2.Schema()
        ),
        {
            "canvas_size": canvas_size,
            "ignore_label": description.ignore_label,
            "limits": dataclasses.asdict(Limits(max_pixels, max_bytes)),
        },
    )
    measured = report.from_json(paths.read_text(paths.join(data_report.uri, report.FILE)))
    write_statistics(
        transform_graph.uri,
        training_statistics(
            measured.total()[split], description.num_classes, description.ignore_label
        ),
    )
