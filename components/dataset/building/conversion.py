"""Writes sharded TFRecords from folders of pictures: in threads, or as a Beam pipeline elsewhere.

A shard is written by one worker, picture after picture, so memory stays flat and the bytes of a
shard depend on nothing but its pictures, whatever the engine.
"""

import collections
import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from absl import logging

from components import texts
from components.dataset.building.layout import Layout, Pair, overlaps
from components.dataset.building.shards import Shard, Written, write_shard, written_from_json
from components.dataset.examination import findings
from components.dataset.examination.advice import describe_shared, shared_causes
from components.dataset.examination.distances import skew
from components.dataset.examination.findings import Finding
from components.dataset.examination.repeats import repeats
from components.errors import ConfigError, DataError
from components.storage import folders
from schemas import Dataset

LOCAL_BEAM_ARGS = ("--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",)
"""The engine of Beam's DirectRunner, without newer ones' attempt to fetch another."""

_PICTURES_OF_A_SHARD = 250
_FEWEST_SHARDS = 4


def convert(
    layout: Layout,
    names: Sequence[str],
    folder: Path,
    *,
    source: str,
    limits: dict[str, int] | None = None,
    shards: int | None = None,
    on_error: str = "fail",
    workers: int = 1,
    beam_args: Sequence[str] = (),
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
        workers: threads of this machine.
        beam_args: options of a Beam pipeline, without a runner among them a local one; without
            any there is none.

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
    pictures = {split: len(own) for split, own in pairs.items()}
    pairs, shared = overlaps(dataset, pairs)
    found += shared
    report = folder.with_name(f"{folder.name}.findings.json")
    with folders.unfinished(folder) as unfinished:
        splits = _write(dataset, pairs, unfinished, shards, workers, beam_args)
        for split in splits.values():
            found += split.findings
        notes = [note for split in splits.values() for note in split.notes]
        whole = [
            problem
            for name, split in splits.items()
            if split.measures.records and name != "val"
            for problem in findings.split_problems(
                name, split.measures.pixels_256, dataset.class_names, dataset.ignore_label
            )
        ]
        not_taken = layout.not_taken(names)
        _report(report, found + whole, notes, not_taken)
        shared = shared_causes(found, pictures)
        empty = [name for name, split in splits.items() if not split.measures.records]
        if whole or (found and (on_error == "fail" or empty)):
            total = sum(map(len, pairs.values()))
            raise DataError(
                f"expected {texts.counted(total, 'picture')} fit for training; got "
                f"{findings.describe(whole + found, str(report))}{describe_shared(shared)}\n"
                f"to fix, {_advice(dataset, shared, whole, on_error)}; the list is in {report}"
            )
        manifest = {
            "source": source,
            "dataset": dataset.name,
            "splits": {name: _describe(split, dataset, found) for name, split in splits.items()},
            "notes": [dataclasses.asdict(note) for note in notes],
            "not_taken": not_taken,
            "gate": _gate(splits, dataset),
        }
        (unfinished / folders.MANIFEST).write_text(json.dumps(manifest, indent=2))
    if not_taken["count"]:
        logging.info(
            "Not taken, beside the pictures: %s",
            texts.listed(not_taken["names"], not_taken["count"]),
        )
    if notes:
        logging.info("To look at: %s", findings.describe(notes, str(report)))
    if found:
        left_out = sum(sum(each["left_out"].values()) for each in manifest["splits"].values())
        logging.info(
            "%s left out: %s",
            texts.counted(left_out, "picture"),
            findings.describe(found, str(report)),
        )
        for line in shared:
            logging.warning("Left out, though the cause is not in single files: %s", line)
    return manifest


def _advice(dataset: Dataset, shared: list[str], whole: list[Finding], on_error: str) -> str:
    """What is to be done; nothing is left out that a line of the description would mend."""
    if shared:
        return "mend that, and see what remains"
    if on_error == "skip" or whole:
        return "mend or remove them"
    return (
        "mend or remove them, or leave them out with python -m components.dataset "
        f"build {dataset.name} --on-error=skip"
    )


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
    workers: int,
    beam_args: Sequence[str],
) -> dict[str, Written]:
    """Writes all shards; what each says of itself goes through a file beside it."""
    work = []
    for split, own in pairs.items():
        count = shards or max(_FEWEST_SHARDS, -(-len(own) // _PICTURES_OF_A_SHARD))
        work += [
            Shard(
                split,
                str(folder / f"{split}-{i:05d}-of-{count:05d}.tfrecord"),
                tuple(own[i::count]),
            )
            for i in range(count)
        ]
    if beam_args:
        _write_on_beam(work, dataset, workers, beam_args)
    else:
        with ThreadPoolExecutor(workers) as pool:
            for _ in pool.map(lambda shard: write_shard(shard, dataset), work):
                pass  # Raises what a shard raised.
    splits = {split: Written(split) for split in pairs}
    for shard in work:
        try:
            written = written_from_json(shard.summary.read_text())
        except (OSError, ValueError):
            written = Written(shard.split, failure=f"{shard.summary}: not whole")
        if written.failure:
            raise ConfigError(
                f"expected to write the records; got {written.failure}; to fix, make room there or "
                "choose another folder"
            )
        splits[shard.split].add(written)
        shard.summary.unlink()
    for split in splits.values():
        split.digests.sort()
        for found in (split.findings, split.notes):
            found.sort(key=lambda finding: finding.filename)
    return splits


def _write_on_beam(
    work: list[Shard], dataset: Dataset, workers: int, beam_args: Sequence[str]
) -> None:
    # Seconds, and one more for a pipeline: not for who converts on one machine.
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    names_a_runner = any(option.startswith("--runner") for option in beam_args)
    options = [*(() if names_a_runner else LOCAL_BEAM_ARGS), *beam_args]
    if workers > 1:
        options += ["--direct_running_mode=multi_threading", f"--direct_num_workers={workers}"]
    with beam.Pipeline(options=PipelineOptions(options)) as pipeline:
        _ = pipeline | beam.Create(work, reshuffle=True) | beam.Map(write_shard, dataset)


def _describe(split: Written, dataset: Dataset, found: list[Finding]) -> dict:
    """A split's part of the manifest."""
    pixels_256 = split.measures.pixels_256
    return {
        "records": split.measures.records,
        "class_pixels": {
            name: int(pixels_256[label])
            for label, name in enumerate(dataset.class_names)
            if label != dataset.ignore_label
        },
        "ignored_pixels": int(pixels_256[dataset.ignore_label]),
        "sizes": dict(sorted(split.sizes.items(), key=lambda item: (-item[1], item[0]))),
        "rewritten": dict(sorted(split.rewritten.items())),
        "left_out": _left_out([f for f in found if f.split == split.split]),
        "source_sha256": hashlib.sha256("\n".join(split.digests).encode()).hexdigest(),
    }


def _gate(splits: dict[str, Written], dataset: Dataset) -> dict:
    """What the data gate is going to say of the records, in its words.

    Returns:
        `findings` that stop a run unless they are accepted, and the `skew` of the splits.
    """
    places = collections.defaultdict(list)
    for name, split in splits.items():
        for digest, filename in split.pictures:
            places["picture", digest].append((name, filename))
    measures = {name: split.measures for name, split in splits.items()}
    found = repeats(places, list(splits), dataset)
    return {
        "findings": [dataclasses.asdict(finding) for finding in found],
        "skew": skew(measures, dataset.num_classes, dataset.ignore_label),
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


def _report(path: Path, found: list[Finding], notes: list[Finding], not_taken: dict) -> None:
    """Writes all findings with their counts; removes those of an earlier attempt."""
    if not found and not notes:
        path.unlink(missing_ok=True)
        return
    content = {
        "counts": findings.counts_by_cause(found),
        "findings": [dataclasses.asdict(finding) for finding in found],
        "notes": [dataclasses.asdict(note) for note in notes],
        "not_taken": not_taken,
    }
    new = path.with_name(f".{path.name}")
    try:
        new.write_text(json.dumps(content, indent=2))
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)
