"""What Kubeflow's own API server and compiler said of changed files, and what the check says.

Every change was given to them in August 2026 (kubeflow/pipelines, `apiserver/template` and
`v2/compiler`). What they refuse must be refused; what they take is refused where a run breaks on
it.
"""

import json
from collections.abc import Callable

import pytest

from pipeline.kubeflow import check
from pipeline.kubeflow.check.faults import Verdict
from tests.pipeline.kubeflow import small_pipeline

UPLOAD, RUN, TAKES = Verdict.UPLOAD, Verdict.RUN, Verdict.TAKES

CHANGES: dict[str, tuple[Verdict, str | None, Callable]] = {}
"""By a description of the change: Kubeflow's verdict, the rule that refuses it here, the change."""


def change(description: str, kubeflow: Verdict, rule: str | None):
    def add(function):
        CHANGES[description] = kubeflow, rule, function
        return function

    return add


def tasks(file):
    return file["root"]["dag"]["tasks"]


def executors(file):
    return file["deploymentSpec"]["executors"]


def trainer(file):
    return executors(file)["trainer"]["container"]


def root_parameter(file, **definition):
    file["root"]["inputDefinitions"] = {"parameters": {"p": definition}}


@change("nothing", TAKES, None)
def _(file):
    pass


@change("the older schema version", UPLOAD, "schema-version")
def _(file):
    file["schemaVersion"] = "2.0.0"


@change("no schema version", UPLOAD, "schema-version")
def _(file):
    del file["schemaVersion"]


@change("no name", UPLOAD, "name")
def _(file):
    file["pipelineInfo"] = {}


@change("a name in capitals", TAKES, "name-pattern")
def _(file):
    file["pipelineInfo"]["name"] = "DeepLab"


@change("a name of 300 letters", TAKES, "name-pattern")
def _(file):
    file["pipelineInfo"]["name"] = "a" * 300


@change("a tab in the name", TAKES, "name-pattern")
def _(file):
    file["pipelineInfo"]["name"] = "deep\tlab"


@change("no root", UPLOAD, "root")
def _(file):
    del file["root"]


@change("a root without a DAG", RUN, "implementation")
def _(file):
    del file["root"]["dag"]


@change("an executor is gone", RUN, "executor")
def _(file):
    del executors(file)["trainer"]


@change("a component is gone", RUN, "component")
def _(file):
    del file["components"]["Trainer"]


@change("waits for a task that is nowhere", TAKES, "dependent-task")
def _(file):
    tasks(file)["Trainer"]["dependentTasks"].append("Nowhere")


@change("two tasks wait for each other", TAKES, "cycle")
def _(file):
    tasks(file)["Examples"]["dependentTasks"].append("Trainer")


@change("a resolver", RUN, "executor-kind")
def _(file):
    executors(file)["trainer"] = {"resolver": {"outputArtifactQueries": {"model": {}}}}


@change("a custom job", RUN, "executor-kind")
def _(file):
    executors(file)["trainer"] = {"customJob": {"customJob": {}}}


@change("an importer without output", TAKES, "importer")
def _(file):
    file["components"]["Schema"]["outputDefinitions"] = {}


@change("an importer with a condition", RUN, "importer-condition")
def _(file):
    tasks(file)["Schema"]["triggerPolicy"] = {"condition": "true"}


@change("a parameter without default", RUN, "required-parameter")
def _(file):
    root_parameter(file, parameterType="STRING")


@change("an optional parameter", TAKES, None)
def _(file):
    root_parameter(file, parameterType="STRING", isOptional=True)


@change("a parameter with default", TAKES, None)
def _(file):
    root_parameter(file, parameterType="STRING", defaultValue="a")


@change("a parameter with the old type field", RUN, "parameter-type")
def _(file):
    root_parameter(file, type="STRING")


@change("the run is given a parameter that is not there", RUN, "unknown-parameter")
def _(file):
    return {"q": 1}


@change("the run is given a text for a number", RUN, "given-value")
def _(file):
    root_parameter(file, parameterType="NUMBER_INTEGER", defaultValue=1)
    return {"p": "three"}


@change("an artifact type without title", TAKES, "artifact-title")
def _(file):
    outputs = file["components"]["Trainer"]["outputDefinitions"]["artifacts"]
    outputs["model"]["artifactType"] = {"instanceSchema": ""}


@change("an artifact without type", TAKES, "artifact-title")
def _(file):
    file["components"]["Trainer"]["outputDefinitions"]["artifacts"]["model"] = {}


@change("an input from a task that is nowhere", RUN, "producer")
def _(file):
    source = tasks(file)["Trainer"]["inputs"]["artifacts"]["examples"]["taskOutputArtifact"]
    source["producerTask"] = "Nowhere"


@change("an input from an output that is nowhere", TAKES, "producer-output")
def _(file):
    source = tasks(file)["Trainer"]["inputs"]["artifacts"]["examples"]["taskOutputArtifact"]
    source["outputArtifactKey"] = "nothing"


@change("both iterators", UPLOAD, "type")
def _(file):
    tasks(file)["Trainer"] |= {"artifactIterator": {}, "parameterIterator": {}}


@change("a step in the middle only runs at the end", TAKES, "exit-needed")
def _(file):
    tasks(file)["Trainer"]["triggerPolicy"] = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}


@change("all tasks run at the end", RUN, "exit-only")
def _(file):
    for task in tasks(file).values():
        task["triggerPolicy"] = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}


@change("a lifecycle hook", TAKES, "lifecycle")
def _(file):
    trainer(file)["lifecycle"] = {"preCacheCheck": {"command": ["true"]}}


@change("two pipelines", UPLOAD, "one-pipeline")
def _(file):
    return [file, small_pipeline.pipeline()]


@change("settings of Kubernetes", TAKES, None)
def _(file):
    return [file, small_pipeline.platform(imagePullPolicy="Always")]


@change("an unknown setting of Kubernetes", RUN, "executor-type")
def _(file):
    return [file, small_pipeline.platform(colour="red")]


@change("settings of Kubernetes twice", UPLOAD, "one-platform")
def _(file):
    return [file, small_pipeline.platform(), small_pipeline.platform()]


@change("settings of another platform", TAKES, "platform")
def _(file):
    return [file, {"platforms": {"mainframe": {}}}]


@change("resources", TAKES, None)
def _(file):
    trainer(file)["resources"] = {"cpuLimit": 1.5, "memoryLimit": 4, "cpuRequest": 1}


@change("a word for the number of cores", RUN, "executor-type")
def _(file):
    trainer(file)["resources"]["cpuLimit"] = "two"


@change("an accelerator without count", TAKES, "accelerator")
def _(file):
    del trainer(file)["resources"]["accelerator"]["count"]


@change("resources in the newer fields", TAKES, None)
def _(file):
    gpu = {"resourceType": "nvidia.com/gpu", "resourceCount": "1"}
    trainer(file)["resources"] = {
        "resourceCpuLimit": "500m",
        "resourceMemoryLimit": "8Gi",
        "accelerator": gpu,
    }


@change("no image", TAKES, "image")
def _(file):
    del trainer(file)["image"]


@change("no command", TAKES, "command")
def _(file):
    del trainer(file)["command"]


@change("variables", TAKES, None)
def _(file):
    trainer(file)["env"] = [{"name": "A", "value": "1"}, {"name": "B", "value": ""}]


@change("a variable without name", TAKES, "env")
def _(file):
    trainer(file)["env"] = [{"value": "1"}]


@change("retries", TAKES, None)
def _(file):
    tasks(file)["Trainer"]["retryPolicy"] = {"maxRetryCount": 2, "backoffDuration": "30s"}


@change("a duration without unit", UPLOAD, "type")
def _(file):
    tasks(file)["Trainer"]["retryPolicy"] = {"backoffDuration": 30}


@change("no cache", TAKES, None)
def _(file):
    tasks(file)["Trainer"]["cachingOptions"] = {}


@change("a path as pipeline root", TAKES, "pipeline-root")
def _(file):
    file["defaultPipelineRoot"] = "/mnt/runs"


@change("a bucket of MinIO as pipeline root", TAKES, None)
def _(file):
    file["defaultPipelineRoot"] = "minio://mlpipeline/runs"


@change("no executors at all", RUN, "executor")
def _(file):
    del file["deploymentSpec"]


@change("a component without implementation", RUN, "implementation")
def _(file):
    del file["components"]["Trainer"]["executorLabel"]


@change("an executor that is two things", RUN, "executor-type")
def _(file):
    executors(file)["trainer"]["importer"] = {}


@change("a value that is none of the literals", TAKES, "value")
def _(file):
    definition = file["components"]["Trainer"]["inputDefinitions"]["parameters"]["steps"]
    definition["literals"] = [1, 2]


@change("JSON in place of YAML", TAKES, None)
def _(file):
    return json.dumps(file).encode()


@change("broken YAML", UPLOAD, "yaml")
def _(file):
    return b"a: [1, 2\n"


@change("an empty file", UPLOAD, "pipeline")
def _(file):
    return b""


def judged(changed: Callable) -> list:
    """The faults of the small pipeline after a change, which may return the whole file's bytes, all
    its documents, or the parameters of a run."""
    file = small_pipeline.pipeline()
    result = changed(file)
    if isinstance(result, bytes):
        return check.faults(result)[0]
    if isinstance(result, list):
        return check.faults(small_pipeline.written(*result))[0]
    return check.faults(small_pipeline.written(file), result)[0]


@pytest.mark.parametrize("description", CHANGES)
def test_the_verdict_on_a_change_is_known(description):
    kubeflow, rule, changed = CHANGES[description]
    found = judged(changed)
    if rule is None:
        assert not found, [fault.text({}) for fault in found]
        assert kubeflow is TAKES  # What Kubeflow refuses is refused.
        return
    rules = {fault.rule.name for fault in found}
    assert rule in rules, rules


@pytest.mark.parametrize("description", CHANGES)
def test_what_a_rule_says_of_kubeflow_is_what_kubeflow_says(description):
    kubeflow, rule, changed = CHANGES[description]
    said = {fault.rule.name: fault.rule.kubeflow for fault in judged(changed)}
    if rule == "parameter-type":  # What is refused is that it has no default.
        rule = "required-parameter"
    if rule is not None:
        assert said[rule] is kubeflow
