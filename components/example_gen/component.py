"""The import of records, of one folder or of the newest spans, into one artifact."""

import json
import os

import apache_beam as beam
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils

from components import runtime, tfx
from components.dataset.spans import find_spans
from components.errors import DataError
from components.storage import paths

_RECORDS = "records"


@tfx.dsl.components.component
def ImportExampleGen(
    examples: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Examples],
    folder: tfx.dsl.components.Parameter[str],
    patterns: tfx.dsl.components.Parameter[str],
    window: tfx.dsl.components.Parameter[int],
    digest: tfx.dsl.components.Parameter[str],
    source_fingerprint: tfx.dsl.components.Parameter[str],
):
    """Copies the TFRecords of every split, in their order.

    TFX's own component takes one span a run, and leaves it to a resolver to find the others; what
    a gate has refused or another pipeline has ingested is then silently missing or there. It also
    shuffles, for which Beam's local runner holds the data set four times over; records are shuffled
    while training.

    Where `folder` holds `span-1/`, `span-2/`, …, the newest `window` (0: all) are copied, to files
    whose names begin with that of the span. `patterns` is JSON, file patterns by split. `digest`
    stands for what the files hold.

    Raises:
        DataError: nothing matches a pattern, or a folder beside the spans could be taken for one.
    """
    del digest, source_fingerprint  # part of the cache key only
    spans = find_spans(folder, window)
    splits = json.loads(patterns)
    sources = {f"span-{number}": path for number, path in spans.items()} or {_RECORDS: folder}
    examples.split_names = artifact_utils.encode_split_names(list(splits))
    examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
    examples.set_string_custom_property("spans", ", ".join(map(str, spans)))
    with beam.Pipeline(argv=list(runtime.current().beam_options["ImportExampleGen"])) as pipeline:
        for split, pattern in splits.items():
            target = artifact_utils.get_split_uri([examples], split)
            for name, path in sources.items():
                _copy(
                    pipeline,
                    f"{name}/{split}",
                    paths.for_beam(paths.join(path, pattern)),
                    target,
                    name,
                )


def _copy(pipeline: beam.Pipeline, label: str, pattern: str, target: str, name: str) -> None:
    try:
        records = pipeline | f"Read[{label}]" >> beam.io.ReadFromTFRecord(pattern)
    except OSError as error:
        raise DataError(
            f"expected TFRecord files matching {pattern}; got none; to fix, check the folder and "
            "the patterns under data"
        ) from error
    _ = records | f"Write[{label}]" >> beam.io.WriteToTFRecord(
        os.path.join(target, name), file_name_suffix=".gz"
    )
