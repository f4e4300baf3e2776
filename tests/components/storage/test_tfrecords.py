"""TFRecord files as TensorFlow writes and reads them, and damage of every byte found."""

import gzip

import numpy as np
import pytest
import tensorflow as tf

from components.storage import tfrecords

RECORDS = [b"", b"a", bytes(range(256)) * 9, np.random.default_rng(0).bytes(5000)]


def written(path, records=RECORDS):
    with tfrecords.Writer(path) as writer:
        for record in records:
            writer.write(record)
    return path


def zipped(path):
    other = path.with_name(f"{path.name}.gz")
    other.write_bytes(gzip.compress(path.read_bytes()))
    return other


@pytest.mark.parametrize("records", [[], RECORDS[:1], RECORDS], ids=len)
def test_files_are_those_of_tensorflow_both_ways(tmp_path, records):
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for record in records:
            writer.write(record)
    ours = written(tmp_path / "ours", records)
    assert ours.read_bytes() == (tmp_path / "theirs").read_bytes()
    assert list(tfrecords.read(ours)) == list(tfrecords.read(zipped(ours))) == records
    assert list(tf.data.TFRecordDataset(str(ours)).as_numpy_iterator()) == records


def test_every_changed_byte_is_found(tmp_path):
    path = written(tmp_path / "file", [b"first", b"second"])
    content = path.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        start = 0 if place < 21 else 21
        with pytest.raises(tfrecords.TFRecordError, match=f"^corrupted record at {start}$"):
            list(tfrecords.read(path))


@pytest.mark.parametrize("is_zipped", [False, True])
def test_every_cut_is_found_and_what_comes_before_it_is_read(tmp_path, is_zipped):
    whole = written(tmp_path / "file", [b"first", b"second"])
    content = (zipped(whole) if is_zipped else whole).read_bytes()
    path = tmp_path / ("cut.gz" if is_zipped else "cut")
    for count in range(1, len(content)):
        path.write_bytes(content[:count])
        if not is_zipped and count == 21:
            assert list(tfrecords.read(path)) == [b"first"]
            continue
        before = []
        with pytest.raises(tfrecords.TFRecordError, match=r"truncated record at|it is cut off or"):
            before.extend(tfrecords.read(path))
        assert is_zipped or count < 21 or next(tfrecords.read(path)) == b"first"


def test_a_length_beyond_the_end_asks_for_no_memory(tmp_path):
    with tfrecords.Writer(tmp_path / "long") as writer:
        writer.write(b"x")
    length = (2**60).to_bytes(8, "little")
    path = tmp_path / "long"
    path.write_bytes(length + tfrecords._checksum(length) + b"x" * 99)
    with pytest.raises(tfrecords.TFRecordError, match="truncated record at 0"):
        list(tfrecords.read(path))


def test_whether_a_file_is_gzipped_is_seen_in_it(tmp_path):
    path = written(tmp_path / "file")
    assert tfrecords.is_gzipped(path) is False
    assert tfrecords.is_gzipped(zipped(path)) is True
    (tmp_path / "empty.gz").touch()
    assert tfrecords.is_gzipped(tmp_path / "empty.gz") is None
