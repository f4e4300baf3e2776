"""TFX's Transform with small batches."""

from tfx.components.transform.executor import Executor, TransformProcessor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec

from components import tfx
from components.private_names import FixedTransformBatch, transform_processor
from components.runtime import BeamOptions


class SmallBatchProcessor(FixedTransformBatch, TransformProcessor):
    """Analyses at most 16 pictures at once.

    Beam sizes its batches by time and goes up to 1000 records, which at 513 pixels are 3 GB of
    decoded floats.
    """

    desired_batch_size = 16


class TransformExecutor(BeamOptions, Executor):
    """TFX's, with the processor above and Beam's options of the runtime."""

    STEP = "Transform"

    def Do(self, input_dict, output_dict, exec_properties):
        """See `tfx.components.transform.executor.Executor.Do`."""
        with transform_processor(SmallBatchProcessor):
            super().Do(input_dict, output_dict, exec_properties)


class Transform(tfx.components.Transform):
    """See `tfx.components.Transform`."""

    EXECUTOR_SPEC = BeamExecutorSpec(TransformExecutor)
