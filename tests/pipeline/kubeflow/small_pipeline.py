"""A small pipeline as a compiled file: an importer, containers, a DAG within a DAG, a loop."""

import copy
from typing import Any

import yaml

SCHEMA, EXAMPLES, MODEL = "tfx.Schema", "tfx.Examples", "tfx.Model"
PYTHON = ["python", "-m", "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor"]


def artifact(title: str, **more) -> dict[str, Any]:
    return {"artifactType": {"instanceSchema": f"title: {title}\ntype: object\n"}, **more}


def parameter(kind: str, **more) -> dict[str, Any]:
    return {"parameterType": kind, **more}


def component(label: str, inputs=None, outputs=None, parameters=None, made=None) -> dict[str, Any]:
    return {
        "executorLabel": label,
        "inputDefinitions": {"artifacts": inputs or {}, "parameters": parameters or {}},
        "outputDefinitions": {"artifacts": outputs or {}, "parameters": made or {}},
    }


def container(class_path: str) -> dict[str, Any]:
    return {
        "container": {
            "image": "registry.example/deeplab:1",
            "command": list(PYTHON),
            "args": ["--executor_class_path", class_path, "--arguments", "{{$}}"],
            "env": [{"name": "PLACE", "value": "here"}],
            "resources": {
                "cpuLimit": 2.0,
                "memoryLimit": 8.0,
                "accelerator": {"type": "nvidia.com/gpu", "count": "1"},
            },
        }
    }


def task(name: str, of: str, artifacts=None, constants=None, after=(), **more) -> dict[str, Any]:
    """A task; `artifacts` are pairs of task and output, or names of inputs of its DAG."""
    sources = {
        key: {"componentInputArtifact": source}
        if isinstance(source, str)
        else {"taskOutputArtifact": {"producerTask": source[0], "outputArtifactKey": source[1]}}
        for key, source in (artifacts or {}).items()
    }
    values = {key: {"runtimeValue": {"constant": v}} for key, v in (constants or {}).items()}
    return {
        "taskInfo": {"name": name},
        "componentRef": {"name": of},
        "cachingOptions": {"enableCache": True},
        "dependentTasks": list(after),
        "inputs": {"artifacts": sources, "parameters": values},
        **more,
    }


def pipeline() -> dict[str, Any]:
    """Schema (imported) → Examples → Trainer → Pusher, the last within a DAG with a condition."""
    return {
        "pipelineInfo": {"name": "deeplab-sample"},
        "schemaVersion": "2.1.0",
        "sdkVersion": "tfx-1.16.0",
        "defaultPipelineRoot": "gs://bucket/runs",
        "components": {
            "Schema": component("schema", outputs={"schema": artifact(SCHEMA)}),
            "Examples": component(
                "examples", {"schema": artifact(SCHEMA)}, {"examples": artifact(EXAMPLES)}
            ),
            "Trainer": component(
                "trainer",
                {"examples": artifact(EXAMPLES)},
                {"model": artifact(MODEL)},
                {"steps": parameter("NUMBER_INTEGER"), "run_fn": parameter("STRING")},
                {"score": parameter("NUMBER_DOUBLE")},
            ),
            "Pusher": component("pusher", {"model": artifact(MODEL)}),
            "Delivery": {
                "inputDefinitions": {
                    "artifacts": {"model": artifact(MODEL)},
                    "parameters": {"score": parameter("NUMBER_DOUBLE")},
                },
                "dag": {"tasks": {"Pusher": task("Pusher", "Pusher", {"model": "model"})}},
            },
        },
        "deploymentSpec": {
            "executors": {
                "schema": {
                    "importer": {
                        "artifactUri": {"constant": "gs://bucket/schema"},
                        "typeSchema": {"schemaTitle": SCHEMA},
                    }
                },
                "examples": container("components.example_gen.component.ImportExampleGen_Executor"),
                "trainer": container("tfx.components.trainer.executor.GenericExecutor"),
                "pusher": container("components.serving.pusher.Pusher_Executor"),
            }
        },
        "root": {
            "dag": {
                "tasks": {
                    "Schema": task("Schema", "Schema"),
                    "Examples": task(
                        "Examples", "Examples", {"schema": ("Schema", "schema")}, after=["Schema"]
                    ),
                    "Trainer": task(
                        "Trainer",
                        "Trainer",
                        {"examples": ("Examples", "examples")},
                        {"steps": 10.0, "run_fn": "a.b"},
                        ["Examples"],
                    ),
                    "Delivery": delivery(),
                }
            }
        },
    }


def delivery() -> dict[str, Any]:
    made = task(
        "Delivery",
        "Delivery",
        {"model": ("Trainer", "model")},
        after=["Trainer"],
        triggerPolicy={"condition": "inputs.parameter_values['score'] > 0.5"},
    )
    made["inputs"]["parameters"]["score"] = {
        "taskOutputParameter": {"producerTask": "Trainer", "outputParameterKey": "score"}
    }
    return made


def looped() -> dict[str, Any]:
    """With a loop over three numbers of steps, and a task at the end of it all, as in Kubeflow."""
    made = pipeline()
    tasks = made["root"]["dag"]["tasks"]
    inner = {name: tasks.pop(name) for name in list(tasks)}
    trainer = inner["Trainer"]
    trainer["inputs"]["parameters"]["steps"] = {"componentInputParameter": "steps"}
    made["components"]["Round"] = {
        "inputDefinitions": {"parameters": {"steps": parameter("NUMBER_INTEGER")}},
        "dag": {"tasks": inner},
    }
    loop = task("Rounds", "Round", parameterIterator={"itemInput": "steps"})
    loop["parameterIterator"]["items"] = {"raw": "[10, 20, 30]"}
    made["components"]["All"] = {"dag": {"tasks": {"Rounds": loop}}}
    made["components"]["Notice"] = component(
        "notice", parameters={"status": parameter("TASK_FINAL_STATUS", isOptional=True)}
    )
    notice = copy.deepcopy(made["deploymentSpec"]["executors"]["pusher"])
    made["deploymentSpec"]["executors"]["notice"] = notice
    tasks["All"] = task("All", "All")
    tasks["Notice"] = task(
        "Notice",
        "Notice",
        after=["All"],
        triggerPolicy={"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
    )
    tasks["Notice"]["inputs"]["parameters"]["status"] = {"taskFinalStatus": {"producerTask": "All"}}
    return made


def platform(**config) -> dict[str, Any]:
    """Kubernetes' settings of the Trainer."""
    deployment = {"executors": {"trainer": config}}
    return {"platforms": {"kubernetes": {"deploymentSpec": deployment}}}


def written(*documents: Any) -> bytes:
    """A file of these documents, without aliases."""
    return "---\n".join(
        yaml.safe_dump(copy.deepcopy(document), sort_keys=True) for document in documents
    ).encode()
