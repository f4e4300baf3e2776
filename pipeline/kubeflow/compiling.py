"""Compiles the graph to a Kubeflow Pipelines v2 file."""

from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

from components import runtime
from components.errors import ConfigError
from components.storage import paths
from pipeline import plan
from pipeline.config import PipelineConfig
from pipeline.door import Description
from pipeline.environment import Environment
from pipeline.graph import UNCACHED_WHERE_UNKNOWN, Inputs, create_pipeline

_LONGEST_NAME = 128


def compile_pipeline(
    config: PipelineConfig,
    environment: Environment,
    description: Description,
    output: Path,
    *,
    dry_run: bool,
    console: Console,
) -> None:
    """Writes `<output>/<name>.yaml`, pipeline spec 2.1.0, and prints where it is.

    Args:
        config: what is computed.
        environment: where; what it names is seen from the cluster.
        description: of the data set.
        output: folder of the file.
        dry_run: whether only the plan is printed.
        console: where to print.

    Raises:
        ConfigError: Kubeflow does not take the pipeline's name, which is too long.
    """
    if len(config.pipeline_name) > _LONGEST_NAME:
        raise ConfigError(
            f"expected a name of at most {_LONGEST_NAME} characters with that of the data set; got "
            f"{config.pipeline_name!r}; to fix, change it with --set name=…"
        )
    records = config.data.source or paths.join(environment.records, config.data.dataset)
    pipeline = create_pipeline(
        config,
        Inputs(dataset=description.dataset, schema=description.schema, records=records),
        pipeline_root=environment.artifacts,
    )
    if dry_run:
        plan.show(console, config, environment, pipeline)
        return
    output.mkdir(parents=True, exist_ok=True)
    # The suffix decides the format: spec 2.1.0 is read from YAML only.
    target = output / f"{config.name}.yaml"
    kubeflow_v2_dag_runner.KubeflowV2DagRunner(
        config=kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
            default_image=environment.image, use_pipeline_spec_2_1=True
        ),
        output_dir=str(output),
        output_filename=target.name,
    ).run(pipeline, write_out=True)
    spec = yaml.safe_load(target.read_text())
    _complete(spec, environment)
    paths.write_text(str(target), yaml.safe_dump(spec, sort_keys=True))
    console.print(f"Compiled to {target}", highlight=False)
    console.print(
        f"It runs the image {environment.image}, reads {records} and writes below "
        f"{environment.root}. It has not been run on a cluster.",
        highlight=False,
    )


def _complete(spec: dict[str, Any], environment: Environment) -> None:
    """Puts in what TFX's compiler has no argument for.

    The runtime of every container, its resources, and no cache for the steps that look at something
    which the file does not know.
    """
    for name, task in spec["root"]["dag"]["tasks"].items():
        if name in UNCACHED_WHERE_UNKNOWN:
            task["cachingOptions"] = {}
    variable = {"name": runtime.VARIABLE, "value": environment.runtime().model_dump_json()}
    for label, executor in spec["deploymentSpec"]["executors"].items():
        container = executor["container"]
        container["env"] = [variable]
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
