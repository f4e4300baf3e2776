"""Writes one file of records from its pictures, and says beside it what is in it.

What became of a file goes through the disk, for an engine may run the writing anywhere.
"""

import collections
import contextlib
import dataclasses
import hashlib
import json
import os
from pathlib import Path

from components import texts
from components.dataset.building.layout import Pair
from components.dataset.building.pairs import read_pair
from components.dataset.examination.findings import Finding
from components.dataset.examination.measures import NOTHING, Measures, from_json
from components.dataset.examination.repeats import picture_digest
from components.storage import tfrecords
from schemas import Dataset


@dataclasses.dataclass(frozen=True, slots=True)
class Shard:
    """What one file is made from."""

    split: str
    path: str
    pairs: tuple[Pair, ...]

    @property
    def summary(self) -> Path:
        """The file that says what became of it."""
        return Path(f"{self.path}.json")


@dataclasses.dataclass(slots=True)
class Written:
    """What one shard, or all shards of a split, hold."""

    split: str
    measures: Measures = NOTHING
    sizes: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    rewritten: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    pictures: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    """Of each record what its picture is known by, and its name."""
    digests: list[str] = dataclasses.field(default_factory=list)
    findings: list[Finding] = dataclasses.field(default_factory=list)
    notes: list[Finding] = dataclasses.field(default_factory=list)
    """What a person should look at, though it is in the records."""
    failure: str = ""
    """Why the file could not be written; empty where it is there."""

    def add(self, other: "Written") -> None:
        """Adds up two shards of a split."""
        self.measures += other.measures
        self.sizes += other.sizes
        self.rewritten += other.rewritten
        self.pictures += other.pictures
        self.digests += other.digests
        self.findings += other.findings
        self.notes += other.notes


def write_shard(shard: Shard, dataset: Dataset) -> None:
    """Writes a shard's file, and beside it what is in it."""
    written, digest = Written(shard.split), hashlib.sha256()
    try:
        with tfrecords.Writer(shard.path) as writer:
            for pair in shard.pairs:
                reading = read_pair(pair, dataset)
                written.findings += [
                    Finding(shard.split, pair.name, *problem) for problem in reading.problems
                ]
                if reading.record is None:
                    continue
                written.notes += [Finding(shard.split, pair.name, *note) for note in reading.notes]
                digest.update(reading.digest.encode())
                writer.write(reading.record.serialize())
                written.pictures.append(
                    (picture_digest(reading.record.image), reading.record.filename)
                )
                written.measures += reading.measures
                written.sizes[texts.size(reading.record.width, reading.record.height)] += 1
                if reading.rewritten:
                    written.rewritten[reading.rewritten] += 1
    except OSError as error:
        # As a value: an exception would reach the caller wrapped in each engine's own way.
        written.failure = f"{shard.path}: {error.strerror}"
        Path(shard.path).unlink(missing_ok=True)  # So that there is room to say it.
    written.digests = [f"{os.path.basename(shard.path)} {digest.hexdigest()}"]
    with contextlib.suppress(OSError):  # The caller sees that this file is not whole.
        shard.summary.write_text(_to_json(written))


def _to_json(written: Written) -> str:
    values = {field.name: getattr(written, field.name) for field in dataclasses.fields(written)}
    values["measures"] = written.measures.to_json()
    for key in ("findings", "notes"):
        values[key] = [dataclasses.asdict(finding) for finding in values[key]]
    return json.dumps(values)


def written_from_json(line: str) -> Written:
    """What `write_shard` said beside its file.

    Raises:
        ValueError: the line is not whole.
    """
    values = json.loads(line)
    return Written(
        **values
        | {
            "measures": from_json(values["measures"]),
            "sizes": collections.Counter(values["sizes"]),
            "rewritten": collections.Counter(values["rewritten"]),
        }
        | {key: [Finding(**finding) for finding in values[key]] for key in ("findings", "notes")}
    )
