"""The first records of a split."""

import pytest
import tensorflow as tf

from components.examples import all_records, first_records


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, []), (2, [b"a", b"b"]), (3, [b"a", b"b", b"c"]), (9, [b"a", b"b", b"c"])],
)
def test_records_come_by_file_name_and_no_more_than_there_are(tmp_path, count, expected):
    for name, records in (("examples-1", [b"c"]), ("examples-0", [b"a", b"b"])):
        with tf.io.TFRecordWriter(str(tmp_path / name), "GZIP") as writer:
            for record in records:
                writer.write(record)
    assert first_records(str(tmp_path), count) == expected
    assert list(all_records(str(tmp_path))) == [b"a", b"b", b"c"]
