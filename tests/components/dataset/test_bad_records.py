"""TFRecords that lie there already: what is bad is refused at the door, before any step runs."""

import gzip
import os
import shutil

import apache_beam as beam
import pytest
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions

from components.data_gate.checks import check_record
from components.dataset import records
from components.dataset import source as prepare
from components.dataset.building import conversion
from components.errors import DataError
from components.storage import folders
from tests.components.dataset.building import corpus

KEYS = ", ".join(records.KEYS)


def record(name):
    return records.Record(
        filename=name,
        image=corpus.jpeg(),
        image_format="jpeg",
        label=corpus.mask_file(corpus.LABEL_HW),
        height=32,
        width=64,
    )


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Three records to train on, in two files, and one to measure on."""
    folder = tmp_path_factory.mktemp("good") / "records"
    splits = {"train": [record(name) for name in "abc"], "val": [record("d")]}
    records.write_records(folder, splits, source="x", shards=2)
    return folder


@pytest.fixture
def folder(good, tmp_path):
    return shutil.copytree(good, tmp_path / "records")


def ready(folder, output):
    found = prepare.find_records(
        corpus.dataset("folders"),
        str(folder),
        output,
        patterns={"train": "train-*", "val": "val-*"},
        limits={"train": 0, "val": 0},
    )
    return found.ready()


def first(folder, split="train"):
    return min(folder.glob(f"{split}-*"))


def write(path, *serialized):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for one in serialized:
            writer.write(one)


def zipped(path):
    """The file, gzipped and named so."""
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return path.with_name(f"{path.name}.gz")


def cut(path, count):
    path.write_bytes(path.read_bytes()[:-count])


def changed(path, change):
    """Writes the file's first record anew, and no other."""
    example = next(records.read_examples([str(path)]))
    change(example.features.feature)
    write(path, example.SerializeToString())


def without_a_key(features):
    del features[records.IMAGE]


def with_other_keys(features):
    features["image"].CopyFrom(features[records.IMAGE])
    features["mask"].CopyFrom(features[records.LABEL])
    for key in records.KEYS:
        del features[key]


def with_numbers_for_bytes(features):
    features[records.LABEL].Clear()
    features[records.LABEL].int64_list.value.extend([1, 2, 3])


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def with_text_for_a_number(features):
    features[records.HEIGHT].bytes_list.value.append(b"32")


def with_two_pictures(features):
    features[records.IMAGE].bytes_list.value.append(b"another")


def with_no_value(features):
    features[records.IMAGE].Clear()


def emptied(folder, split):
    for path in folder.glob(f"{split}-*"):
        path.write_bytes(b"")


def emptied_folder(folder):
    shutil.rmtree(folder)
    folder.mkdir()


def second_span_without_val(folder):
    for number in (9, 10):
        shutil.copytree(folder, folder / f"span-{number}", ignore=shutil.ignore_patterns("span-*"))
    for path in (folder / "span-10").glob("val-*"):
        path.unlink()


NOT_RECORDS = (
    r"expected a TFRecord file of tf\.train\.Example; got .*/{name}, which cannot be read \({why}"
)

BAD = {
    "no file": (emptied_folder, r"TFRecord files matching 'train-\*' and 'val-\*'.*; got n"),
    "no file to measure on": (
        lambda f: [path.unlink() for path in f.glob("val-*")],
        r"matching 'val-\*' for the val split in .*; got none; to fix, .*data\.val_pattern",
    ),
    "span without a file to measure on": (
        second_span_without_val,
        r"matching 'val-\*' for the val split in .*/span-10; got none",
    ),
    "text": (
        lambda f: first(f).write_text("name,width,height\n" * 9),
        NOT_RECORDS.format(name="train-00000.*", why="corrupted record at 0"),
    ),
    "a few bytes": (
        lambda f: first(f).write_text("hi"),
        NOT_RECORDS.format(name="train-00000.*", why="truncated record at 0"),
    ),
    "file that is cut off in its first record": (
        lambda f: cut(first(f, "val"), 9),
        NOT_RECORDS.format(name="val-00000.*", why="truncated record"),
    ),
    "file that is cut off in its second record": (
        lambda f: cut(first(f), 9),
        NOT_RECORDS.format(name="train-00000.*", why="truncated record at"),
    ),
    "file with a changed bit in its last record": (
        lambda f: flip(first(f), -100),
        NOT_RECORDS.format(name="train-00000.*", why="corrupted record at"),
    ),
    "file that is gzipped but not named so": (
        lambda f: first(f).write_bytes(gzip.compress(first(f).read_bytes())),
        r"expected gzipped .* named \.gz; got .*/train-00000.*, which is gzipped but not named so; "
        r"to fix, name it \.gz",
    ),
    "file that is named .gz but not gzipped": (
        lambda f: first(f).rename(first(f).with_suffix(".gz")),
        r"got .*/train-00000.*\.gz, which is not gzipped but named so; to fix, take \.gz from its",
    ),
    "gzipped file that is cut off": (
        lambda f: cut(zipped(first(f)), 8),
        NOT_RECORDS.format(
            name=r"train-00000.*\.gz", why="it is cut off or damaged after 2 records"
        ),
    ),
    "record without a key": (
        lambda f: changed(first(f), without_a_key),
        f"expected the features {KEYS} in every record; got a record without {records.IMAGE} in",
    ),
    "record with other keys": (
        lambda f: changed(first(f), with_other_keys),
        f"got a record without {KEYS} in .*; to fix, write records with the official keys",
    ),
    "record with numbers where bytes are expected": (
        lambda f: changed(first(f), with_numbers_for_bytes),
        f"expected one value of type bytes in {records.LABEL}; got 3 of type int64 in .*/train-",
    ),
    "record with text where a number is expected": (
        lambda f: changed(first(f), with_text_for_a_number),
        f"expected one value of type int64 in {records.HEIGHT}; got 1 of type bytes in .*/train-",
    ),
    "record with two pictures": (
        lambda f: changed(first(f), with_two_pictures),
        f"expected one value of type bytes in {records.IMAGE}; got 2 of type bytes in .*/train-",
    ),
    "record with a feature of no value": (
        lambda f: changed(first(f), with_no_value),
        f"expected one value of type bytes in {records.IMAGE}; got none in .*/train-",
    ),
    "record that is no example": (
        lambda f: write(first(f), b"\xff\xff no example"),
        NOT_RECORDS.format(name="train-00000.*", why="Error parsing message"),
    ),
    "empty files": (
        lambda f: emptied(f, "val"),
        r"expected at least one record in the val split; got 2 empty files in",
    ),
    "dangling link": (
        lambda f: (f / "train-00009").symlink_to("nowhere"),
        NOT_RECORDS.format(name="train-00009", why="No such file or directory"),
    ),
}


@pytest.mark.parametrize(("damage", "message"), BAD.values(), ids=BAD)
def test_bad_records_are_refused_at_the_door(folder, tmp_path, damage, message):
    damage(folder)
    with pytest.raises(DataError, match=message):
        ready(folder, tmp_path / "output")
    assert not (tmp_path / "output").exists()


def one_empty_file(folder):
    first(folder).write_bytes(b"")


def one_record_each(folder):
    for split in ("train", "val"):
        others = sorted(folder.glob(f"{split}-*"))[1:]
        for path in others:
            path.unlink()
        changed(first(folder, split), lambda features: None)


GOOD = {
    "records": (lambda f: None, ["a", "b", "c"]),
    "gzipped files named so": (
        lambda f: [zipped(path) for path in f.glob("*-0*")],
        ["a", "b", "c"],
    ),
    "gzipped files beside others": (lambda f: zipped(first(f)), ["a", "b", "c"]),
    "an empty file beside others": (one_empty_file, ["b"]),
    "an empty file named .gz": (
        lambda f: (f / "train-9.gz").write_bytes(b""),
        ["a", "b", "c"],
    ),
    "one record in each split": (one_record_each, ["a"]),
    "a folder of a fitting name": (lambda f: (f / "train-old").mkdir(), ["a", "b", "c"]),
}


@pytest.mark.parametrize(("change", "names"), GOOD.values(), ids=GOOD)
def test_what_passes_the_door_is_what_example_gen_reads_and_the_gate_lets_pass(
    folder, tmp_path, change, names
):
    change(folder)
    assert ready(folder, tmp_path / "output") == folder
    examples = list(records.read_examples(records.record_files(folder, "train-*")))
    read = [e.features.feature[records.FILENAME].bytes_list.value[0].decode() for e in examples]
    assert sorted(read) == names

    # TFX's ImportExampleGen reads with this.
    found = tmp_path / "found"
    with beam.Pipeline(options=PipelineOptions([*conversion.LOCAL_BEAM_ARGS])) as pipeline:
        _ = (
            pipeline
            | beam.io.ReadFromTFRecord(os.path.join(folder, "train-*"))
            | beam.Map(lambda serialized: check_record(serialized, "train", 3, 255))
            | beam.Map(lambda checked: f"{checked.filename} {checked.findings}")
            | beam.io.WriteToText(str(found), shard_name_template="")
        )
    assert sorted(found.read_text().splitlines()) == [f"{name} []" for name in names]


def test_a_file_or_nothing_instead_of_a_folder_is_refused(folder, tmp_path):
    with pytest.raises(DataError, match=r"expected a folder in --data-dir; got .*is not a folder"):
        ready(first(folder), tmp_path / "output")
    with pytest.raises(DataError, match=r"got .*nowhere, which does not exist; to fix, give"):
        ready(tmp_path / "nowhere", tmp_path / "output")


@pytest.mark.parametrize("manifest", ["", "{", "[]", '"x"', "{}", '{"source": null}'], ids=repr)
def test_a_folder_of_a_broken_manifest_is_not_taken_for_finished(folder, manifest):
    assert records.is_current(folder, "x")
    (folder / folders.MANIFEST).write_text(manifest)
    assert not records.is_current(folder, "x")
