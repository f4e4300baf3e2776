"""Records as TFX keeps them in its artifacts: gzipped, on any file system TensorFlow knows."""

import itertools
from collections.abc import Iterator

import tensorflow as tf


def first_records(uri: str, count: int) -> list[bytes]:
    """The first `count` serialized records of a split, by file name; fewer where there are fewer.

    Args:
        uri: folder of the split's files.
        count: at least 0.
    """
    return list(itertools.islice(all_records(uri), count))


def all_records(uri: str) -> Iterator[bytes]:
    """The serialized records of a split, by file name, one at a time.

    Args:
        uri: folder of the split's files.
    """
    files = sorted(tf.io.gfile.glob(f"{uri}/*"))
    return tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()
