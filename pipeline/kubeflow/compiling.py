"""Compiles the graph to a Kubeflow Pipelines v2 file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

import schemas
from components import runtime, texts
from components.storage import paths
from pipeline import plan
from pipeline.config import PipelineConfig
from pipeline.door import Description
from pipeline.environment import Environment
from pipeline.graph import UNCACHED_WHERE_UNKNOWN, create_pipeline
from pipeline.inputs import Inputs
from pipeline.kubeflow import check, needs, placing, specs, step, yaml_writing
from pipeline.kubeflow.run_parameters import Run, routing


def compile_pipeline(
    config: PipelineConfig,
    environment: Environment,
    description: Description,
    output: Path,
    *,
    recipe: PipelineConfig,
    assignments: Sequence[str],
    dry_run: bool,
    console: Console,
) -> None:
    """Writes `<output>/<name>.yaml`, pipeline spec 2.1.0, and prints what is to be done next.

    Args:
        config: what is computed.
        environment: where; what it names is seen from the cluster.
        description: of the data set.
        output: folder of the file.
        recipe: what the configuration was made of, with
        assignments: `path=value`, see `pipeline.config.override`.
        dry_run: whether only the plan is printed.
        console: where to print.

    Raises:
        ConfigError: the file would not be fit for Kubeflow, see `check`; it is not written.
    """
    records = config.data.source or paths.join(environment.records, config.data.dataset)
    inputs = Inputs(dataset=description.dataset, schema=description.schema, records=records)
    if dry_run:
        pipeline = create_pipeline(config, inputs, pipeline_root=environment.artifacts)
        plan.show(console, config, environment, pipeline)
        console.print("[bold]what each step gets[/bold]")
        console.print(placing.table(environment, [node.id for node in pipeline.components]))
        return
    spec = specs.compiled(config, inputs, environment.artifacts, environment.image)
    _complete(spec, environment)
    routing.declare(
        spec,
        Run(
            recipe=recipe.model_dump(mode="json"),
            assignments=tuple(assignments),
            dataset=schemas.to_json(description.dataset),
            schema_text=description.schema,
            records=records,
        ),
    )
    platform = placing.place(spec, environment)
    text = yaml_writing.text([spec, *([platform] if platform else [])])
    # The suffix decides the format: spec 2.1.0 is read from YAML only.
    target = output / f"{config.name}.yaml"
    check.require_fit(text.encode(), str(target))
    output.mkdir(parents=True, exist_ok=True)
    paths.write_text(str(target), text)
    ran = list(spec["root"]["dag"]["tasks"])
    for line in needs.warnings(config, description.dataset.num_classes, environment, ran):
        console.print(line, highlight=False, markup=False)
    images = dict.fromkeys(map(environment.image_of, ran))
    parameters = list(spec["root"]["inputDefinitions"]["parameters"])
    _print_next(target, list(images), records, parameters, console)


def _print_next(
    target: Path,
    images: Sequence[str],
    records: str,
    parameters: Sequence[str],
    console: Console,
) -> None:
    """Prints where the file is, and how it becomes a run."""
    for line in (
        f"Compiled to {target}, which the check finds fit; it has not been run on a cluster.",
        "To do next:",
        f"  1. Push {texts.counted(len(images), 'image')} with this project installed, "
        f"{', '.join(images)}, to where the cluster pulls from.",
        f"  2. Put the TFRecords to {records}.",
        f"  3. Try it here, step by step: python -m pipeline replay {target}",
        f"  4. Start a run: python -m pipeline submit {target} --host ADDRESS --watch",
        f"  5. Give the run what it is to do otherwise, --parameter NAME=VALUE: "
        f"{', '.join(parameters)}.",
    ):
        console.print(line, highlight=False, markup=False)


def _complete(spec: dict[str, Any], environment: Environment) -> None:
    """Puts in what TFX's compiler has no argument for.

    The pipeline root; of every container our entry point and its runtime; and no cache for the
    steps that look at something which the file does not know.
    """
    spec["defaultPipelineRoot"] = environment.artifacts
    tasks = spec["root"]["dag"]["tasks"]
    for name, task in tasks.items():
        if name in UNCACHED_WHERE_UNKNOWN:
            task["cachingOptions"] = {}
    place = environment.runtime().model_dump_json()
    for executor in spec["deploymentSpec"]["executors"].values():
        container = executor["container"]
        container["command"] = ["python", "-m", step.MODULE]
        container["env"] = [{"name": runtime.VARIABLE, "value": place}]
