"""All that we use of libraries below their public interface, each with its reason.

A release of a library may rename any of it; `tests/components/test_private_names.py` then says
which, on the versions that are installed. Nothing heavy is imported here, for TFX's step and
Keras' training each need one part only.
"""

import contextlib
from collections.abc import Iterator


class FixedTransformBatch:
    """Mixed into TFX's Transform processor: it analyses `desired_batch_size` records at once.

    Beam sizes batches by time, up to 1000 records, and TFX has no argument for another size: its
    processor asks this method and hands the answer to `tensorflow_transform.beam.Context`.
    """

    desired_batch_size: int

    def _GetDesiredBatchSize(self, data_format, schema):  # noqa: N802 - the name is TFX's
        del data_format, schema
        return self.desired_batch_size


@contextlib.contextmanager
def transform_processor(processor: type) -> Iterator[None]:
    """While it is open, TFX's Transform executor works with `processor`.

    The executor makes a `TransformProcessor`, which does all the work, by its global name and lets
    no subclass choose another.
    """
    from tfx.components.transform import executor

    original = executor.TransformProcessor
    executor.TransformProcessor = processor
    try:
        yield
    finally:
        executor.TransformProcessor = original


class BuiltBeforeFit:
    """Mixed into a Keras model that is built already: `fit` and `evaluate` build nothing.

    Under a distribution strategy Keras adds up the first batch of all replicas to build the model
    from it, which fails under several workers (keras-team/keras issue 20585) and wherever the
    replicas' batches differ in size. A functional model is built, and metrics build themselves.
    """

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        del iterator, data_batch


def variable_index(optimizer, variable) -> int:
    """The place of a variable in the list that `optimizer.build` was called with.

    `update_step` is called with TensorFlow's variable, under a strategy with one replica's part of
    it; neither has the path of the Keras variable, and the optimizer's own look-up knows both.
    """
    return optimizer._get_variable_index(variable)
