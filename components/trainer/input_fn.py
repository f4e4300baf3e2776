"""The input function: records through the Transform graph, shuffled and augmented for training.

Order and augmentation follow from the seed and the step alone, so that a run which goes on after a
crash sees the very pictures that it would have seen.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from components import texts
from components.errors import DataError
from components.transform import preprocessing
from components.transform.graph import TransformGraph

# Raw records that go through the Transform graph at once: one data set for each batch of them
# costs less than one for each picture, see `preprocessing._map_tolerant`.
_DECODE_BATCH = 8

Augment = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def read_records(files: Sequence[str]) -> tf.data.Dataset:
    """Serialized records of `files` (gzipped TFRecords), in a fixed order.

    Raises:
        DataError: no file is given, or none holds a record.
    """
    dataset = tf.data.TFRecordDataset(sorted(files), "GZIP") if files else None
    if dataset is None or next(iter(dataset), None) is None:
        raise DataError(
            f"expected records to train on; got none in {texts.counted(len(files), 'file')}; "
            "to fix, check the file patterns of the splits"
        )
    return dataset


class TransformedRecords:
    """Applies the Transform graph to batches of serialized records, in a data set's `map`.

    Args:
        transform_output: the output of the Transform step.
    """

    def __init__(self, transform_output: tft.TFTransformOutput):
        self._graph = TransformGraph(transform_output)
        self._spec = transform_output.raw_feature_spec()

    def __call__(self, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        """String `[B]` to image, label and size, see `components.transform.preprocessing`.

        A picture that cannot be decoded is an error here: the data gate lets none pass.
        """
        outputs = (preprocessing.IMAGE, preprocessing.LABEL, preprocessing.SIZE)
        features = self._features(serialized, (*outputs, preprocessing.PROBLEM))
        decodable = tf.debugging.assert_equal(
            features[preprocessing.PROBLEM],
            "",
            "a picture cannot be decoded; the data gate should have stopped it",
        )
        with tf.control_dependencies([decodable]):
            return {name: tf.identity(features[name]) for name in outputs}

    def _features(self, serialized: tf.Tensor, outputs: Sequence[str]) -> dict[str, tf.Tensor]:
        return self._graph(tf.io.parse_example(serialized, self._spec), outputs)


def training_batches(
    records: tf.data.Dataset,
    transform: TransformedRecords,
    augment: Augment,
    *,
    num_records: int,
    batch_size: int,
    shuffle_buffer: int,
    seed: int,
    first_step: int = 0,
    context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Endless batches of `(image, label)`, from `first_step` on the same as from 0.

    The pictures of a step are the same for any number of replicas and workers.

    Args:
        records: serialized records of the training split.
        transform: the Transform graph.
        augment: `(image, label, size, seed)` of one picture, with the int64 `[2]` height and width
            inside the canvas and an int64 `[2]` seed of its own, to `(image, label)`.
        num_records: how many records there are.
        batch_size: pictures of a step, over all replicas.
        shuffle_buffer: records in memory to draw from; all of them for a perfect shuffle.
        seed: of the whole run.
        first_step: finished steps of a run that goes on.
        context: which worker's part to give, in batches for one replica; None is all of it.

    Returns:
        float32 `[batch, S, S, 3]` in [-1, 1] and int64 `[batch, S, S]`.
    """
    context = context or tf.distribute.InputContext()
    first = first_step * batch_size
    first_epoch, done_of_epoch = divmod(first, num_records)

    def shuffled(epoch):
        return records.shuffle(shuffle_buffer, seed=seed + epoch, reshuffle_each_iteration=False)

    epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
    numbered = tf.data.Dataset.zip(
        tf.data.Dataset.range(first, tf.int64.max),
        epochs.flat_map(shuffled).skip(done_of_epoch),
    )

    def decode(number, serialized):
        return number, transform(serialized)

    def prepare(number, features):
        return augment(
            features[preprocessing.IMAGE],
            features[preprocessing.LABEL],
            features[preprocessing.SIZE],
            tf.stack([tf.constant(seed, tf.int64), number]),
        )

    return (
        numbered.shard(context.num_input_pipelines, context.input_pipeline_id)
        .batch(_DECODE_BATCH)
        .map(decode, num_parallel_calls=tf.data.AUTOTUNE)
        .unbatch()
        .map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(context.get_per_replica_batch_size(batch_size), drop_remainder=True)
        .prefetch(tf.data.AUTOTUNE)
    )


def evaluation_batches(
    records: tf.data.Dataset,
    transform: TransformedRecords,
    batch_size: int,
    *,
    ignore_label: int,
    context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Every record once, whole and unaugmented, as batches of `(image, label)`.

    Args:
        records: serialized records of the validation split.
        transform: the Transform graph.
        batch_size: pictures in a batch.
        ignore_label: fills the labels of the batches that make up for what a replica has less than
            another: all of them must see as many batches.
        context: which worker's part to give; None is all of it.
    """
    context = context or tf.distribute.InputContext()
    part = records.shard(context.num_input_pipelines, context.input_pipeline_id)

    def prepare(serialized):
        features = transform(serialized)
        return features[preprocessing.IMAGE], features[preprocessing.LABEL]

    batches = part.batch(batch_size).map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
    if context.num_replicas_in_sync > 1:
        count = records.reduce(np.int64(0), lambda total, _: total + 1).numpy()
        replicas = context.num_replicas_in_sync // context.num_input_pipelines
        largest_part = -(-count // context.num_input_pipelines)
        each = -(-largest_part // (batch_size * replicas)) * replicas
        # Of all records, for a worker's own part may be empty.
        blank = (
            records.batch(batch_size)
            .take(1)
            .map(prepare)
            .map(lambda image, label: (image, tf.fill(tf.shape(label), np.int64(ignore_label))))
        )
        batches = batches.concatenate(blank.repeat()).take(each)
    return batches.prefetch(tf.data.AUTOTUNE)
