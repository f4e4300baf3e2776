"""One pass over all records of a run, on Beam: findings, and sums by split and source."""

import dataclasses
import json
import os
import re
from collections.abc import Sequence

import apache_beam as beam

from components.data_gate.checks import check_record, record_digest
from components.data_gate.report import Source
from components.dataset.examination import measures
from components.dataset.examination.findings import Finding
from components.dataset.examination.repeats import repeated
from components.dataset.limits import Limits
from components.storage import paths
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
    spans = {
        split: sorted({_span(name) for name in paths.list_folder(place)})
        for split, place in splits.items()
    }
    with beam.Pipeline(argv=list(beam_options)) as pipeline:
        checked = [
            pipeline
            | f"Read[{split}][{span}]"
            >> beam.io.ReadFromTFRecord(
                os.path.join(splits[split], "*" if span < 0 else f"span-{span}-*")
            )
            | f"Check[{split}][{span}]"
            >> beam.ParDo(_CheckRecord(split, span, dataset, limits)).with_outputs(
                "sums", "places", main="findings"
            )
            for split in splits
            for span in spans[split]
        ]
        again = (
            [each.places for each in checked]
            | "AllPlaces" >> beam.Flatten()
            | beam.GroupByKey()
            | beam.FlatMap(lambda group: repeated(group[1], group[0][0]))
        )
        _ = (
            [*(each.findings for each in checked), again]
            | "AllFindings" >> beam.Flatten()
            | beam.Map(lambda finding: json.dumps(dataclasses.asdict(finding)))
            | "WriteFindings"
            >> beam.io.WriteToText(os.path.join(folder, _FINDINGS), shard_name_template="")
        )
        _ = (
            [each.sums for each in checked]
            | "AllSums" >> beam.Flatten()
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


class _CheckRecord(beam.DoFn):
    """Serialized record to findings, sums, and what names and pictures are known by."""

    def __init__(self, split: str, span: int, dataset: Dataset, limits: Limits):
        self._split, self._span, self._limits = split, span, limits
        self._num_classes, self._ignore_label = dataset.num_classes, dataset.ignore_label

    def process(self, serialized: bytes):
        checked = check_record(
            serialized, self._split, self._num_classes, self._ignore_label, self._limits
        )
        source = "" if self._span < 0 else f"span-{self._span}/"
        sums = checked.measures, record_digest(serialized)
        yield beam.pvalue.TaggedOutput("sums", ((self._split, self._span), sums))
        place = self._split, source + checked.filename
        # Two deliveries may well have an IMG_0001.jpg each; a picture is the same in any.
        yield beam.pvalue.TaggedOutput("places", (("name", place[1]), place))
        yield beam.pvalue.TaggedOutput("places", (("picture", checked.digest), place))
        for finding in checked.findings:
            yield dataclasses.replace(finding, filename=source + finding.filename)


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
