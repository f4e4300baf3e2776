"""Predictions as records, on any engine that Beam knows.

What a shard holds, and which pictures are asked for together, is settled before anything runs: the
result does not depend on how an engine bundles its work. A picture that fails is a record with an
error. The manifest is written last, and names every shard.
"""

import dataclasses
import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.ml.inference.base import ModelHandler, RunInference
from google.protobuf.message import DecodeError

from components import texts
from components.dataset import records
from components.dataset.building.formats import endings
from components.dataset.example import Example
from components.errors import ConfigError
from components.prediction import files
from components.prediction.files import PictureError
from components.prediction.model import Answer, Model
from components.prediction.results import opened
from components.prediction.run import ask
from components.serving import exported
from components.storage import folders, paths, tfrecords
from components.storage.folders import MANIFEST

CLASS_IDS, MEAN_CONFIDENCE = "prediction/class_ids", "prediction/mean_confidence"
ERROR = "prediction/error"
_SHARD = 256
"""Pictures of one file, which a worker holds the masks of."""
_RECORDS = re.compile(r"\.tfrecords?($|[-.])|-\d{5}-of-\d{5}(\.gz)?$")
"""How names of files of records end, ours and TFX's."""
_PREFIX, _UNFINISHED = "predictions-", "unfinished-"


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """What one or more shards are made from."""

    number: int
    pictures: tuple[tuple[str, str], ...] = ()
    """Names and paths of picture files."""
    records: str = ""
    """The path of a file of records, in place of pictures."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Batch:
    """Pictures that are asked for together, whatever the engine does."""

    shard: tuple[int, int]
    """Number of the source, and of the shard of it."""
    number: int
    names: tuple[str, ...]
    encoded: tuple[bytes | PictureError, ...]


def sources(pictures: Sequence[tuple[str, str]], record_files: Sequence[str]) -> list[Source]:
    """What is to be done: some pictures together, and each file of records alone."""
    chunks = [tuple(pictures[i : i + _SHARD]) for i in range(0, len(pictures), _SHARD)]
    found = [Source(number, pictures=chunk) for number, chunk in enumerate(chunks)]
    return found + [
        Source(number, records=path) for number, path in enumerate(record_files, len(found))
    ]


def predict(
    folder: str, work: Sequence[Source], to: str, *, batch: int, beam_options: Sequence[str]
) -> dict:
    """Writes `predictions-*.tfrecord`, and then a manifest, in place of those that were there.

    Args:
        folder: of a version of a model, which every worker sees.
        work: see `sources`; the workers read it.
        to: folder of this machine or of a store.
        batch: pictures of one call.
        beam_options: of the Beam pipeline.

    Returns:
        The manifest: `model`, `classes`, `pictures`, `failed`, and `shards` by name.

    Raises:
        ConfigError: something else lies in `to`.
    """
    _clear(to)
    with beam.Pipeline(argv=list(beam_options)) as pipeline:
        _ = (
            pipeline
            | "Sources" >> beam.Create(list(work), reshuffle=True)
            | "Read" >> beam.FlatMap(_read, batch)
            | "Predict" >> RunInference(_Handler(folder))
            | "Shards" >> beam.GroupByKey()
            | "Write" >> beam.Map(_write, to)
            | "All" >> beam.combiners.ToList()
            | "Manifest" >> beam.Map(_write_manifest, folder, to)
        )
    for left in _matching(to, f"{_UNFINISHED}*"):  # Of attempts that an engine gave up.
        FileSystems.delete([left])
    with FileSystems.open(FileSystems.join(to, MANIFEST)) as file:
        return json.loads(file.read())


class _Handler(ModelHandler):
    """Loads the model once in a process of a worker."""

    def __init__(self, folder: str):
        super().__init__()
        self._folder = folder

    def load_model(self) -> Model:
        """See `RunInference`."""
        return Model(self._folder)

    def batch_elements_kwargs(self) -> dict[str, int]:
        """Each element is a batch already: engines put others together each time."""
        return {"min_batch_size": 1, "max_batch_size": 1}

    def run_inference(
        self, batch: Sequence[_Batch], model: Model, inference_args: dict | None = None
    ) -> Iterable[tuple[tuple[int, int], tuple[int, list[bytes], int]]]:
        """Serialized records, and how many of them have an error, by shard."""
        del inference_args
        for one in batch:
            answers = list(ask(model, one.encoded, confidence=False))
            made = [_record(*pair) for pair in zip(one.names, answers, strict=True)]
            yield one.shard, (one.number, made, sum(bool(answer.error) for answer in answers))


def _record(name: str, answer: Answer) -> bytes:
    """A serialized `tf.train.Example`; equal answers give equal bytes."""
    example = Example()
    features = example.features.feature
    features[records.FILENAME].bytes_list.value.append(name.encode())
    features[ERROR].bytes_list.value.append(answer.error.encode())
    if not answer.error:
        width, height = opened(answer.mask).size
        features[records.LABEL].bytes_list.value.append(answer.mask)
        features[records.LABEL_FORMAT].bytes_list.value.append(b"png")
        features[records.HEIGHT].int64_list.value.append(height)
        features[records.WIDTH].int64_list.value.append(width)
        features[CLASS_IDS].int64_list.value.extend(answer.class_ids)
        features[MEAN_CONFIDENCE].float_list.value.append(answer.mean_confidence)
    return example.SerializeToString(deterministic=True)


# === Reading ===


def find(asked: Sequence[str], without: str) -> list[Source]:
    """Pictures and files of records, here or in a store.

    Args:
        asked: files and folders; in a folder, everything whose name is one of a picture or of a
            file of records.
        without: folder that nothing is taken from: that of the predictions.

    Raises:
        ConfigError: there is none.
        DataError: a folder of this machine cannot be read.
    """
    known, pictures, record_files = endings(), [], []
    for path in asked:
        for name, found in _below(path):
            if found.startswith(f"{without.rstrip('/')}/"):
                continue
            if _RECORDS.search(found):
                record_files.append(found)
            elif found == path or os.path.splitext(found)[1].lower() in known:
                pictures.append((name, found))
    if not pictures and not record_files:
        raise ConfigError(
            f"expected pictures or records in {texts.listed(asked)}; got none; to fix, give others"
        )
    return sources(pictures, record_files)


def _below(path: str) -> Iterator[tuple[str, str]]:
    """Names and paths of all files in a folder; of a file its own, and of none nothing."""
    start = len(path.rstrip("/")) + 1
    if paths.is_remote(path):
        below = _matching(path, "**")
    else:
        below = sorted(folders.walk(path)) if os.path.isdir(path) else []
    if below:
        yield from ((found[start:], found) for found in below)
    elif not os.path.isdir(path) and _matching("", path):
        yield os.path.basename(path), path


def _read(source: Source, batch: int) -> Iterator[_Batch]:
    names, encoded, number = [], [], 0

    def made() -> _Batch:
        shard = source.number, number * batch // _SHARD
        return _Batch(shard, number, tuple(names), tuple(encoded))

    for name, content in _of_records(source.records) if source.records else _of_files(source):
        names.append(name)
        encoded.append(content)
        if len(names) == batch:
            yield made()
            names, encoded, number = [], [], number + 1
    if names:
        yield made()


def _of_files(source: Source) -> Iterator[tuple[str, bytes | PictureError]]:
    for name, path in source.pictures:
        try:
            with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
                content = file.read()
            yield name, files.as_served(content)
        except PictureError as error:
            yield name, error
        except OSError as error:
            yield name, files.unreadable(error)


def _of_records(path: str) -> Iterator[tuple[str, bytes | PictureError]]:
    """Names and pictures of a file of records; what is wrong with the file stands for its rest."""
    try:
        with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            for serialized in tfrecords.read_opened(file, path):
                yield _of_record(serialized)
    except tfrecords.TFRecordError as error:
        yield path, PictureError(f"expected a whole file of records, got one of which {error}")
    except OSError as error:
        yield path, files.unreadable(error)


def _of_record(serialized: bytes) -> tuple[str, bytes | PictureError]:
    try:
        features = Example.FromString(serialized).features.feature
    except DecodeError:
        return "", PictureError("expected a tf.train.Example, got something else")
    name, image = (
        b"".join(features[key].bytes_list.value[:1]) for key in (records.FILENAME, records.IMAGE)
    )
    if not image:
        return name.decode(errors="replace"), PictureError(
            f"expected a picture as {records.IMAGE}, got none"
        )
    try:
        return name.decode(errors="replace"), files.as_served(image)
    except PictureError as error:
        return name.decode(errors="replace"), error


# === Writing ===


def _matching(folder: str, pattern: str) -> list[str]:
    (found,) = FileSystems.match([FileSystems.join(folder, pattern) if folder else pattern])
    return sorted(one.path for one in found.metadata_list)


def _clear(to: str) -> None:
    """Removes what was there, the manifest first: half of it must not pass for a whole."""
    if paths.has_glob(to):
        raise ConfigError(
            f"expected a folder without * ? [ ], which Beam takes for a pattern; got {to}; to fix, "
            "choose another one"
        )
    manifest = FileSystems.join(to, MANIFEST)
    if _matching("", manifest):
        with FileSystems.open(manifest) as file:
            if b'"shards"' not in file.read():
                raise ConfigError(
                    f"expected a new folder, or one of predictions to replace; got {to}, whose "
                    f"{MANIFEST} is of something else; to fix, choose another one"
                )
        FileSystems.delete([manifest])
    left = [*_matching(to, f"{_PREFIX}*"), *_matching(to, f"{_UNFINISHED}*")]
    if left:
        FileSystems.delete(left)
    if not FileSystems.exists(to):
        FileSystems.mkdirs(to)


def _write(made: tuple[tuple[int, int], Iterable[tuple[int, list[bytes], int]]], to: str) -> dict:
    """Writes a shard, whole or not at all: it gets its name at the end."""
    shard, batches = made[0], sorted(made[1])
    name = f"{_PREFIX}{shard[0]:05d}-{shard[1]:05d}.tfrecord"
    part = FileSystems.join(to, f"{_UNFINISHED}{uuid.uuid4().hex}")
    digest = hashlib.sha256()
    with FileSystems.create(part, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        for _, serialized, _ in batches:
            for one in serialized:
                for part_of_it in tfrecords.framed(one):
                    digest.update(part_of_it)
                    file.write(part_of_it)
    FileSystems.rename([part], [FileSystems.join(to, name)])
    return {
        "name": name,
        "records": sum(len(serialized) for _, serialized, _ in batches),
        "failed": sum(failed for _, _, failed in batches),
        "sha256": digest.hexdigest(),
    }


def _write_manifest(shards: list[dict], folder: str, to: str) -> None:
    model = exported.read_description(folder)
    manifest = {
        "model": model["identity"],
        "classes": model["classes"],
        "pictures": sum(shard["records"] for shard in shards),
        "failed": sum(shard["failed"] for shard in shards),
        "shards": {
            shard.pop("name"): shard for shard in sorted(shards, key=lambda shard: shard["name"])
        },
    }
    with FileSystems.create(
        FileSystems.join(to, MANIFEST), compression_type=CompressionTypes.UNCOMPRESSED
    ) as file:
        file.write(json.dumps(manifest, indent=2).encode())
