"""Records as TFX keeps them in its artifacts: gzipped, on any file system TensorFlow knows."""

import itertools

import tensorflow as tf


def first_records(uri: str, count: int) -> list[bytes]:
    """The first `count` serialized records of a split, by file name; fewer where there are fewer.

    Args:
        uri: folder of the split's files.
        count: at least 0.
    """
    files = sorted(tf.io.gfile.glob(f"{uri}/*"))
    stream = tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()
    return list(itertools.islice(stream, count))
