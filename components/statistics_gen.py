"""TFX's StatisticsGen, on the engine that the environment names."""

from tfx.components.statistics_gen.executor import Executor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec

from components import tfx
from components.runtime import BeamOptions


class StatisticsGenExecutor(BeamOptions, Executor):
    """TFX's, with Beam's options of the runtime."""

    STEP = "StatisticsGen"


class StatisticsGen(tfx.components.StatisticsGen):
    """See `tfx.components.StatisticsGen`."""

    EXECUTOR_SPEC = BeamExecutorSpec(StatisticsGenExecutor)
