"""One pass over all records of a run, on Beam: findings, and sums by split and source."""

import dataclasses
import json
import os
import re
from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from components.data_gate.checks import check_record, record_digest
from components.data_gate.report import Source
from components.dataset.examination import measures
from components.dataset.examination.findings import Finding
from components.dataset.examination.repeats import repeated
from components.dataset.limits import Limits
from components.storage import paths, tfrecords
from schemas import Dataset

_FINDINGS, _SUMS = "findings", "sums"
_SOURCE = re.compile(r"span-(\d+)-\d+-of-\d+\.gz")
_DIGEST_BITS = 128


def examine_all(
    splits: dict[str, str],
    dataset: Dataset,
    limits: Limits,
    folder: str,
    beam_options: Sequence[str],
) -> tuple[list[Finding], tuple[Source, ...]]:
    """Examines every record once.

    Args:
        splits: folder of the gzipped TFRecords by split, as `components.example_gen` writes them.
        dataset: classes and ignore label.
        limits: of what is decoded.
        folder: what the workers find is written to `findings` and `sums` there.
        beam_options: of the Beam pipeline.

    Returns:
        All findings, sorted; a span stands before the name of its picture. And the sources, the
        newest span last.
    """
    files = [
        (split, _span(name), paths.join(place, name))
        for split, place in splits.items()
        for name in paths.list_folder(place)
    ]
    spans = {split: sorted({span for own, span, _ in files if own == split}) for split in splits}
    with beam.Pipeline(argv=list(beam_options)) as pipeline:
        checked = (
            pipeline
            | "Files" >> beam.Create(files, reshuffle=True)
            | "Check"
            >> beam.ParDo(_CheckFile(dataset, limits)).with_outputs(
                "sums", "places", main="findings"
            )
        )
        again = (
            checked.places
            | beam.GroupByKey()
            | beam.FlatMap(lambda group: repeated(group[1], group[0][0]))
        )
        _ = (
            [checked.findings, again]
            | "AllFindings" >> beam.Flatten()
            | beam.Map(lambda finding: json.dumps(dataclasses.asdict(finding)))
            | "WriteFindings"
            >> beam.io.WriteToText(os.path.join(folder, _FINDINGS), shard_name_template="")
        )
        _ = (
            checked.sums
            | beam.CombinePerKey(_Sum())
            | beam.Map(_to_json)
            | "WriteSums"
            >> beam.io.WriteToText(os.path.join(folder, _SUMS), shard_name_template="")
        )
    lines = paths.read_text(paths.join(folder, _FINDINGS)).splitlines()
    found = [Finding(**json.loads(line)) for line in sorted(lines)]
    return found, _sources(paths.read_text(paths.join(folder, _SUMS)), spans)


def _span(name: str) -> int:
    """Which span a file of records is from; -1 where they do not come in spans."""
    match = _SOURCE.fullmatch(name)
    return int(match[1]) if match else -1


class _CheckFile(beam.DoFn):
    """File of records to findings, its sums, and what names and pictures are known by.

    A file is one element: an engine's price for each element is as high as a check, and gzipped
    files are read by one worker anyway.
    """

    def __init__(self, dataset: Dataset, limits: Limits):
        self._num_classes, self._ignore_label = dataset.num_classes, dataset.ignore_label
        self._limits = limits

    def process(self, file: tuple[str, int, str]):
        split, span, path = file
        source = "" if span < 0 else f"span-{span}/"
        total = _Sum().create_accumulator()
        for serialized in _records(path):
            checked = check_record(
                serialized, split, self._num_classes, self._ignore_label, self._limits
            )
            total = _Sum().add_input(total, (checked.measures, record_digest(serialized)))
            place = split, source + checked.filename
            # Two deliveries may well have an IMG_0001.jpg each; a picture is the same in any.
            yield beam.pvalue.TaggedOutput("places", (("name", place[1]), place))
            yield beam.pvalue.TaggedOutput("places", (("picture", checked.digest), place))
            for finding in checked.findings:
                yield dataclasses.replace(finding, filename=source + finding.filename)
        yield beam.pvalue.TaggedOutput("sums", ((split, span), total))


def _records(path: str) -> Iterator[bytes]:
    """The records of a file of this machine or of a bucket.

    Not Beam's own reading, whose checksums in Python's library cost a tenth of a check.
    """
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        yield from tfrecords.read_opened(file, path)


class _Sum(beam.CombineFn):
    """Adds up measures, and digests of records to one that no order changes."""

    def create_accumulator(self):
        return measures.NOTHING, 0

    def add_input(self, total, element):
        return total[0] + element[0], (total[1] + element[1]) % 2**_DIGEST_BITS

    def merge_accumulators(self, totals):
        merged = self.create_accumulator()
        for total in totals:
            merged = self.add_input(merged, total)
        return merged

    def extract_output(self, total):
        return total


def _to_json(summed) -> str:
    (split, span), (measured, digest) = summed
    values = {"split": split, "span": span, "measures": measured.to_json(), "digest": digest}
    return json.dumps(values)


def _sources(text: str, spans: dict[str, list[int]]) -> tuple[Source, ...]:
    sums = [json.loads(line) for line in text.splitlines()]
    sources = []
    for span in sorted(set().union(*spans.values())):
        own = [values for values in sums if values["span"] == span]
        digest = sum(values["digest"] for values in own) % 2**_DIGEST_BITS
        sources.append(
            Source(
                span=None if span < 0 else span,
                digest=f"{digest:0{_DIGEST_BITS // 4}x}",
                splits={split: measures.NOTHING for split in spans}
                | {values["split"]: measures.from_json(values["measures"]) for values in own},
            )
        )
    return tuple(sources)
