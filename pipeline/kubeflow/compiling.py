"""Compiles the graph to a Kubeflow Pipelines v2 file."""

import tempfile
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

from components import runtime
from components.storage import paths
from pipeline import plan
from pipeline.config import PipelineConfig
from pipeline.door import Description
from pipeline.environment import Environment
from pipeline.graph import UNCACHED_WHERE_UNKNOWN, create_pipeline
from pipeline.inputs import Inputs
from pipeline.kubeflow import check, step


def compile_pipeline(
    config: PipelineConfig,
    environment: Environment,
    description: Description,
    output: Path,
    *,
    dry_run: bool,
    console: Console,
) -> None:
    """Writes `<output>/<name>.yaml`, pipeline spec 2.1.0, and prints what is to be done next.

    Args:
        config: what is computed.
        environment: where; what it names is seen from the cluster.
        description: of the data set.
        output: folder of the file.
        dry_run: whether only the plan is printed.
        console: where to print.

    Raises:
        ConfigError: the file would not be fit for Kubeflow, see `check`; it is not written.
    """
    records = config.data.source or paths.join(environment.records, config.data.dataset)
    pipeline = create_pipeline(
        config,
        Inputs(dataset=description.dataset, schema=description.schema, records=records),
        pipeline_root=environment.artifacts,
    )
    if dry_run:
        plan.show(console, config, environment, pipeline)
        return
    spec = _compiled(pipeline, environment)
    _complete(spec, environment)
    text = yaml.safe_dump(spec, sort_keys=True)
    # The suffix decides the format: spec 2.1.0 is read from YAML only.
    target = output / f"{config.name}.yaml"
    check.require_fit(text.encode(), str(target))
    output.mkdir(parents=True, exist_ok=True)
    paths.write_text(str(target), text)
    _print_next(target, config, environment, records, console)


def _compiled(pipeline, environment: Environment) -> dict[str, Any]:
    """What TFX's compiler makes of the graph."""
    with tempfile.TemporaryDirectory() as folder:
        kubeflow_v2_dag_runner.KubeflowV2DagRunner(
            config=kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
                default_image=environment.image, use_pipeline_spec_2_1=True
            ),
            output_dir=folder,
            output_filename="pipeline.yaml",
        ).run(pipeline, write_out=True)
        return yaml.safe_load(Path(folder, "pipeline.yaml").read_text())


def _print_next(
    target: Path, config: PipelineConfig, environment: Environment, records: str, console: Console
) -> None:
    """Prints where the file is, and how it becomes a run."""
    for line in (
        f"Compiled to {target}, which the check finds fit; it has not been run on a cluster.",
        "To do next:",
        f"  1. Push the image {environment.image}, with this project installed, to where the "
        "cluster pulls it from.",
        f"  2. Put the TFRecords to {records}.",
        f"  3. Upload the file in Kubeflow's dashboard, or: kfp pipeline create "
        f"-p {config.pipeline_name} {target}",
        f"  4. Start a run with the pipeline root {environment.artifacts}: the dashboard proposes "
        "it, other clients have to be given it.",
    ):
        console.print(line, highlight=False, markup=False)


def _complete(spec: dict[str, Any], environment: Environment) -> None:
    """Puts in what TFX's compiler has no argument for.

    The pipeline root; of every container our entry point, its runtime and its resources; and no
    cache for the steps that look at something which the file does not know.
    """
    spec["defaultPipelineRoot"] = environment.artifacts
    tasks = spec["root"]["dag"]["tasks"]
    for name, task in tasks.items():
        if name in UNCACHED_WHERE_UNKNOWN:
            task["cachingOptions"] = {}
        for source in task["inputs"].get("parameters", {}).values():
            if "taskOutputParameter" in source:
                # TFX's compiler adds an ending here that the tasks' names do not have.
                producer = source["taskOutputParameter"]
                producer["producerTask"] = producer["producerTask"].removesuffix("_task")
    place = environment.runtime().model_dump_json()
    for label, executor in spec["deploymentSpec"]["executors"].items():
        container = executor["container"]
        container["command"] = ["python", "-m", step.MODULE]
        container["env"] = [{"name": runtime.VARIABLE, "value": place}]
        asked = environment.resources_of(label.removesuffix("_executor"))
        resources: dict[str, Any] = {}
        if asked.cpu:
            resources["cpuLimit"] = asked.cpu
        if asked.memory_gb:
            resources["memoryLimit"] = asked.memory_gb
        if asked.gpus:
            resources["accelerator"] = {"type": asked.gpu_type, "count": str(asked.gpus)}
        if resources:
            container["resources"] = resources
