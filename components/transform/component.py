"""TFX's Transform with small batches."""

from tfx import v1 as tfx
from tfx.components.transform.executor import Executor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec

from components.library_internals import FixedTransformBatch


class TransformExecutor(FixedTransformBatch, Executor):
    """Analyses at most 16 pictures at once.

    Beam sizes its batches by time and goes up to 1000 records, which at 513 pixels are 3 GB of
    decoded floats.
    """

    desired_batch_size = 16


class Transform(tfx.components.Transform):
    """See `tfx.components.Transform`."""

    EXECUTOR_SPEC = BeamExecutorSpec(TransformExecutor)
