"""Writes sharded TFRecords from folders of pictures, as a Beam pipeline.

One element is one shard: it is written by one worker, picture after picture, so memory stays flat
and the bytes of a shard depend on nothing but its pictures, whatever the engine.
"""

import collections
import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam
import numpy as np
import tensorflow as tf
from absl import logging
from apache_beam.options.pipeline_options import PipelineOptions

from components.dataset import findings
from components.dataset.building.layout import Layout, Pair, overlaps
from components.dataset.building.pairs import read_pair
from components.dataset.findings import Finding
from components.dataset.records import tensorflow_reason
from components.errors import ConfigError, DataError
from components.storage import folders
from schemas import Dataset

LOCAL_BEAM_ARGS = ("--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",)
"""The engine of Beam's DirectRunner, without newer ones' attempt to fetch another."""

_PICTURES_OF_A_SHARD = 250
_FEWEST_SHARDS = 4


@dataclasses.dataclass(frozen=True, slots=True)
class _Shard:
    """What one file is made from."""

    split: str
    path: str
    pairs: tuple[Pair, ...]

    @property
    def told(self) -> Path:
        """The file that says what became of it."""
        return Path(f"{self.path}.json")


@dataclasses.dataclass(slots=True)
class _Written:
    """What one shard, or all shards of a split, hold."""

    split: str
    count: int = 0
    pixels_256: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(256, np.int64))
    sizes: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    rewritten: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    digests: list[str] = dataclasses.field(default_factory=list)
    findings: list[Finding] = dataclasses.field(default_factory=list)
    failure: str = ""
    """Why the file could not be written; empty where it is there."""

    def add(self, other: "_Written") -> None:
        """Adds up two shards of a split."""
        self.count += other.count
        self.pixels_256 = self.pixels_256 + other.pixels_256
        self.sizes += other.sizes
        self.rewritten += other.rewritten
        self.digests += other.digests
        self.findings += other.findings


def _write_shard(shard: _Shard, dataset: Dataset) -> None:
    """Writes a shard's file, and beside it what is in it."""
    written, digest = _Written(shard.split), hashlib.sha256()
    try:
        with tf.io.TFRecordWriter(shard.path) as writer:
            for pair in shard.pairs:
                reading = read_pair(pair, dataset)
                written.findings += [
                    Finding(shard.split, pair.name, *problem) for problem in reading.problems
                ]
                if reading.record is None:
                    continue
                digest.update(reading.digest.encode())
                writer.write(reading.record.serialize())
                written.count += 1
                written.pixels_256 += reading.pixels_256
                written.sizes[f"{reading.record.width}x{reading.record.height}"] += 1
                if reading.rewritten:
                    written.rewritten[reading.rewritten] += 1
    except (tf.errors.OpError, OSError) as error:
        # As a value: an exception would reach the caller wrapped in each engine's own way.
        written.failure = tensorflow_reason(error)
        Path(shard.path).unlink(missing_ok=True)  # So that there is room to say it.
    written.digests = [f"{os.path.basename(shard.path)} {digest.hexdigest()}"]
    with contextlib.suppress(OSError):  # The caller sees that this file is not whole.
        shard.told.write_text(_to_json(written))


def convert(
    layout: Layout,
    names: Sequence[str],
    folder: Path,
    *,
    source: str,
    limits: dict[str, int] | None = None,
    shards: int | None = None,
    on_error: str = "fail",
    beam_args: Sequence[str] = LOCAL_BEAM_ARGS,
) -> dict:
    """Writes the shards of several splits and a manifest; the folder appears whole or not at all.

    Args:
        layout: where the pictures are.
        names: of the splits.
        folder: to make; an existing one is replaced at the end.
        source: what the records are made from, kept in the manifest, see `records.is_current`.
        limits: at most so many pictures of a split are taken, the first by name; 0 is all.
        shards: files of each split; None takes one for each 250 pictures, at least 4.
        on_error: `fail` on any finding, or `skip` the pictures that have one.
        beam_args: options of the Beam pipeline.

    Returns:
        The manifest.

    Raises:
        DataError: there are findings and `on_error` is `fail`, or a split is empty. All findings
            are in `<folder>.findings.json` then, as they are after `skip`.
        ConfigError: the folder cannot be written, or holds the pictures.
    """
    _check_apart(folder, layout)
    dataset = layout.dataset
    pairs, found = {}, []
    for split in names:
        pairs[split], missing = layout.pairs(split, (limits or {}).get(split, 0))
        found += missing
    pairs, shared = overlaps(dataset, pairs)
    found += shared
    report = folder.with_name(f"{folder.name}.findings.json")
    with folders.unfinished(folder) as unfinished:
        splits = _write(dataset, pairs, unfinished, shards, beam_args)
        for split in splits.values():
            found += split.findings
        whole = [
            problem
            for name, split in splits.items()
            if split.count and name != "val"
            for problem in findings.split_problems(
                name, split.pixels_256, dataset.class_names, dataset.ignore_label
            )
        ]
        _report(report, found + whole)
        empty = [name for name, split in splits.items() if not split.count]
        if whole or (found and (on_error == "fail" or empty)):
            total = sum(map(len, pairs.values()))
            advice = (
                "mend or remove them"
                if on_error == "skip" or whole
                else "mend or remove them, or leave them out with python -m components.dataset "
                f"build {dataset.name} --on-error=skip"
            )
            raise DataError(
                f"expected {total} pictures fit for training; got "
                f"{findings.describe(whole + found, str(report))}\n"
                f"to fix, {advice}; the list is in {report}"
            )
        manifest = {
            "source": source,
            "dataset": dataset.name,
            "splits": {name: _describe(split, dataset, found) for name, split in splits.items()},
        }
        (unfinished / folders.MANIFEST).write_text(json.dumps(manifest, indent=2))
    if found:
        left_out = sum(sum(each["left_out"].values()) for each in manifest["splits"].values())
        logging.info("%d pictures left out: %s", left_out, findings.describe(found, str(report)))
    return manifest


def _check_apart(folder: Path, layout: Layout) -> None:
    """Refuses a folder of records that would take the place of the pictures.

    Raises:
        ConfigError: a root of the layout is the folder, or within it.
    """
    for root in layout.roots:
        if root.resolve().is_relative_to(folder.resolve()):
            raise ConfigError(
                f"expected a folder for the records alone; got {folder}, which holds the pictures "
                f"in {root}; to fix, choose another one"
            )


def _write(
    dataset: Dataset,
    pairs: dict[str, list[Pair]],
    folder: Path,
    shards: int | None,
    beam_args: Sequence[str],
) -> dict[str, _Written]:
    """Runs the Beam pipeline; what each shard says of itself goes through a file beside it."""
    work = []
    for split, own in pairs.items():
        count = shards or max(_FEWEST_SHARDS, -(-len(own) // _PICTURES_OF_A_SHARD))
        work += [
            _Shard(
                split,
                str(folder / f"{split}-{i:05d}-of-{count:05d}.tfrecord"),
                tuple(own[i::count]),
            )
            for i in range(count)
        ]
    with beam.Pipeline(options=PipelineOptions(list(beam_args))) as pipeline:
        _ = pipeline | beam.Create(work, reshuffle=True) | beam.Map(_write_shard, dataset)
    splits = {split: _Written(split) for split in pairs}
    for shard in work:
        try:
            written = _from_json(shard.told.read_text())
        except (OSError, ValueError):
            written = _Written(shard.split, failure=f"{shard.told}: not whole")
        if written.failure:
            raise ConfigError(
                f"expected to write the records; got {written.failure}; to fix, make room there or "
                "choose another folder"
            )
        splits[shard.split].add(written)
        shard.told.unlink()
    for split in splits.values():
        split.digests.sort()
        split.findings.sort(key=lambda finding: finding.filename)
    return splits


def _to_json(written: _Written) -> str:
    values = {field.name: getattr(written, field.name) for field in dataclasses.fields(written)}
    values["pixels_256"] = written.pixels_256.tolist()
    values["findings"] = [dataclasses.asdict(finding) for finding in written.findings]
    return json.dumps(values)


def _from_json(line: str) -> _Written:
    values = json.loads(line)
    return _Written(
        **values
        | {
            "pixels_256": np.array(values["pixels_256"], np.int64),
            "sizes": collections.Counter(values["sizes"]),
            "rewritten": collections.Counter(values["rewritten"]),
            "findings": [Finding(**finding) for finding in values["findings"]],
        }
    )


def _describe(split: _Written, dataset: Dataset, found: list[Finding]) -> dict:
    """A split's part of the manifest."""
    return {
        "records": split.count,
        "class_pixels": {
            name: int(split.pixels_256[label])
            for label, name in enumerate(dataset.class_names)
            if label != dataset.ignore_label
        },
        "ignored_pixels": int(split.pixels_256[dataset.ignore_label]),
        "sizes": dict(sorted(split.sizes.items(), key=lambda item: (-item[1], item[0]))),
        "rewritten": dict(sorted(split.rewritten.items())),
        "left_out": _left_out([f for f in found if f.split == split.split]),
        "source_sha256": hashlib.sha256("\n".join(split.digests).encode()).hexdigest(),
    }


def _left_out(found: list[Finding]) -> dict[str, int]:
    """How many pictures of a split have no record, by all that is wrong with one.

    A picture counts once, so the sum is their number.
    """
    causes = collections.defaultdict(set)
    for finding in found:
        if finding.cause != findings.DUPLICATE:  # One of the files has become a record.
            causes[finding.filename].add(finding.cause)
    counted = collections.Counter(" and ".join(sorted(each)) for each in causes.values())
    return dict(sorted(counted.items()))


def _report(path: Path, found: list[Finding]) -> None:
    """Writes all findings with their counts; removes those of an earlier attempt."""
    if not found:
        path.unlink(missing_ok=True)
        return
    content = {
        "counts": findings.counts_by_cause(found),
        "findings": [dataclasses.asdict(finding) for finding in found],
    }
    new = path.with_name(f".{path.name}")
    try:
        new.write_text(json.dumps(content, indent=2))
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)
