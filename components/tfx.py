"""The names of `tfx.v1` that are used here, from the modules that define them.

`from tfx import v1` also imports TFX's extensions, and by them Google Cloud's AI Platform: 1,500
modules, which take a fifth of the time that every run spends before its first step.
"""

from types import SimpleNamespace

from tfx import components, types
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import trainer_pb2, transform_pb2

__all__ = ["components", "dsl", "orchestration", "proto", "types"]

dsl = SimpleNamespace(
    Pipeline=Pipeline,
    components=SimpleNamespace(
        InputArtifact=InputArtifact,
        OutputArtifact=OutputArtifact,
        Parameter=Parameter,
        component=component,
    ),
)
orchestration = SimpleNamespace(LocalDagRunner=LocalDagRunner)
proto = SimpleNamespace(
    EvalArgs=trainer_pb2.EvalArgs,
    SplitsConfig=transform_pb2.SplitsConfig,
    TrainArgs=trainer_pb2.TrainArgs,
)
