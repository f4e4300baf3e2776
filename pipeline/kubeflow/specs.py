"""What TFX's compiler makes of the graph, before what it has no argument for is put in."""

import tempfile
from pathlib import Path
from typing import Any

import yaml
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

from pipeline.config import PipelineConfig
from pipeline.graph import create_pipeline
from pipeline.inputs import Inputs


def compiled(
    config: PipelineConfig, inputs: Inputs, artifacts: str = "", image: str = ""
) -> dict[str, Any]:
    """The pipeline specification, schema 2.1.0, of a run whose runner sees nothing outside.

    Args:
        config: what is computed.
        inputs: what it builds on.
        artifacts: where every step writes.
        image: of the containers.
    """
    pipeline = create_pipeline(config, inputs, pipeline_root=artifacts)
    with tempfile.TemporaryDirectory() as folder:
        kubeflow_v2_dag_runner.KubeflowV2DagRunner(
            config=kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
                default_image=image, use_pipeline_spec_2_1=True
            ),
            output_dir=folder,
            output_filename="pipeline.yaml",
        ).run(pipeline, write_out=True)
        spec = yaml.load(Path(folder, "pipeline.yaml").read_text(), yaml.CSafeLoader)
    for node in pipeline.components:
        container = spec["deploymentSpec"]["executors"][f"{node.id}_executor"]["container"]
        container["args"] += ["--node", node.id, "--component", node.type]
    for task in spec["root"]["dag"]["tasks"].values():
        for source in task["inputs"].get("parameters", {}).values():
            if "taskOutputParameter" in source:
                # TFX's compiler adds an ending here that the tasks' names do not have.
                producer = source["taskOutputParameter"]
                producer["producerTask"] = producer["producerTask"].removesuffix("_task")
    return spec


def constants(spec: dict[str, Any], task: str) -> dict[str, Any]:
    """The parameters of a task that the file itself gives, by name."""
    given = spec["root"]["dag"]["tasks"][task].get("inputs", {}).get("parameters", {})
    return {
        name: source["runtimeValue"]["constant"]
        for name, source in given.items()
        if "runtimeValue" in source
    }
