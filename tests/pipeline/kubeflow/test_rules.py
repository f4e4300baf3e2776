"""Every rule refuses something, and says where: in a small pipeline, and in one with a loop."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.kubeflow import check
from pipeline.kubeflow.check import names
from tests.conftest import REPOSITORY
from tests.pipeline.kubeflow import small_pipeline, test_known_verdicts, test_yaml_reading
from tests.pipeline.kubeflow.small_pipeline import artifact, parameter

ROOT = "root.dag.tasks"
ROUND = "components.Round.dag.tasks"

BROKEN: list[tuple[str, str, Callable]] = []
"""The rule, the place of the fault, and the change of the pipeline with a loop."""


def breaks(rule: str, place: str):
    def add(function):
        BROKEN.append((rule, place, function))
        return function

    return add


def tasks(file, dag="Round"):
    holder = file["root"] if dag == "root" else file["components"][dag]
    return holder["dag"]["tasks"]


def container(file, label="trainer"):
    return file["deploymentSpec"]["executors"][label]["container"]


def inputs(file, task="Trainer", kind="parameters"):
    return tasks(file)[task]["inputs"][kind]


def defined(file, component="Trainer", section="input", kind="parameters"):
    return file["components"][component][f"{section}Definitions"][kind]


# === Messages ===


@breaks("field", f"{ROUND}.Trainer.cachingOption")
def _(file):
    tasks(file)["Trainer"]["cachingOption"] = tasks(file)["Trainer"].pop("cachingOptions")


@breaks("type", "pipelineInfo.name")
def _(file):
    file["pipelineInfo"]["name"] = 17


@breaks("type", "schemaVersion")
def _(file):
    file["schema_version"] = "2.1.0"


@breaks("enum", "components.Trainer.inputDefinitions.parameters.steps.parameterType")
def _(file):
    defined(file)["steps"]["parameterType"] = 99


@breaks("executor-field", "deploymentSpec.executors.trainer.container.imagePullPolicy")
def _(file):
    container(file)["imagePullPolicy"] = "Always"


@breaks("executor-type", "deploymentSpec.executors.trainer.container.args[1]")
def _(file):
    container(file)["args"][1] = 8


@breaks("platform-message", "platforms.kubernetes.deploymentSpecs")
def _(file):
    return {"platforms": {"kubernetes": {"deploymentSpecs": {}}}}


# === Names ===


@breaks("argo-name", f"{ROUND}.Train_er")
def _(file):
    tasks(file)["Train_er"] = tasks(file).pop("Trainer")


@breaks("argo-names-differ", f"{ROUND}.Examples-driver")
def _(file):
    tasks(file)["Examples-driver"] = small_pipeline.task("Schema", "Schema")


@breaks("template-names", f"{ROOT}.Rounds-2")
def _(file):
    tasks(file, "root")["Rounds-2"] = tasks(file, "All")["Rounds"]


@breaks("reserved-names", "components.system-all")
def _(file):
    file["components"]["system-all"] = file["components"].pop("All")
    tasks(file, "root")["All"]["componentRef"]["name"] = "system-all"


@breaks("template-names", "components.entrypoint")
def _(file):
    file["components"]["entrypoint"] = file["components"].pop("All")
    tasks(file, "root")["All"]["componentRef"]["name"] = "entrypoint"


@breaks("other-documents", "the file")
def _(file):
    return {"platform": {"kubernetes": {}}}


# === Tasks ===


@breaks("no-tasks", "components.Delivery.dag.tasks")
def _(file):
    tasks(file, "Delivery").clear()


@breaks("task-name", f"{ROUND}.Trainer.taskInfo.name")
def _(file):
    tasks(file)["Trainer"]["taskInfo"] = {}


@breaks("component-cycle", "components.All")
def _(file):
    tasks(file)["More"] = small_pipeline.task("More", "All")


@breaks("component-self", "components.Delivery")
def _(file):
    again = small_pipeline.task("Again", "Delivery", {"model": "model"})
    tasks(file, "Delivery")["Again"] = again


@breaks("importer-order", f"{ROUND}.Late.dependentTasks")
def _(file):
    tasks(file)["Late"] = small_pipeline.task("Late", "Schema", after=["Trainer"])


@breaks("unused", "components.Alone")
def _(file):
    file["components"]["Alone"] = file["components"]["Schema"]


@breaks("unused", "deploymentSpec.executors.alone")
def _(file):
    file["deploymentSpec"]["executors"]["alone"] = {"container": container(file)}


@breaks("exit-task", f"{ROOT}.Notice.dependentTasks")
def _(file):
    tasks(file, "root")["Notice"]["dependentTasks"] = []


@breaks("exit-task", f"{ROUND}.End.dependentTasks")
def _(file):
    end = small_pipeline.task("End", "Notice", after=["Schema"])
    tasks(file)["End"] = end | {"triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}}


@breaks("condition", f"{ROUND}.Delivery.triggerPolicy.condition")
def _(file):
    tasks(file)["Delivery"]["triggerPolicy"]["condition"] = "inputs.parameter_values['loss'] > 1"


@breaks("condition", f"{ROUND}.Delivery.triggerPolicy.condition")
def _(file):
    tasks(file)["Delivery"]["triggerPolicy"]["condition"] += " && (true"


@breaks("artifact-iterator", f"{ROUND}.Delivery.artifactIterator")
def _(file):
    tasks(file)["Delivery"]["artifactIterator"] = {"itemInput": "model"}


@breaks("iterator", "components.All.dag.tasks.Rounds.parameterIterator.itemInput")
def _(file):
    tasks(file, "All")["Rounds"]["parameterIterator"]["itemInput"] = "epochs"


@breaks("iterator", "components.All.dag.tasks.Rounds.parameterIterator.items.raw")
def _(file):
    tasks(file, "All")["Rounds"]["parameterIterator"]["items"] = {"raw": "10, 20"}


@breaks("iterator", "components.All.dag.tasks.Rounds.parameterIterator.items.inputParameter")
def _(file):
    tasks(file, "All")["Rounds"]["parameterIterator"]["items"] = {"inputParameter": "steps"}


@breaks("limits", f"{ROUND}.Trainer.retryPolicy.backoffDuration")
def _(file):
    tasks(file)["Trainer"]["retryPolicy"] = {"backoffDuration": "-1s"}


@breaks("limits", f"{ROUND}.Trainer.retryPolicy.maxRetryCount")
def _(file):
    tasks(file)["Trainer"]["retryPolicy"] = {"maxRetryCount": -1}


# === Definitions ===


@breaks("default", "components.Trainer.inputDefinitions.parameters.steps.defaultValue")
def _(file):
    defined(file)["steps"]["defaultValue"] = "many"


@breaks("default", "components.Trainer.inputDefinitions.parameters.steps.defaultValue")
def _(file):
    defined(file)["steps"]["defaultValue"] = True


@breaks("value", f"{ROUND}.Trainer.inputs.parameters.run_fn.runtimeValue.constant")
def _(file):
    inputs(file)["run_fn"]["runtimeValue"]["constant"] = 1.10


@breaks("root-parameter", "root.inputDefinitions.parameters.p.parameterType")
def _(file):
    file["root"]["inputDefinitions"] = {"parameters": {"p": parameter("TASK_FINAL_STATUS")}}


@breaks("root-artifact", "root.inputDefinitions.artifacts.model")
def _(file):
    file["root"]["inputDefinitions"] = {"artifacts": {"model": artifact("tfx.Model")}}


@breaks("given-whole-number", "root.inputDefinitions.parameters.steps")
def _(file):
    definition = parameter("NUMBER_INTEGER", defaultValue=1)
    file["root"]["inputDefinitions"] = {"parameters": {"steps": definition}}
    return {"steps": 1.5}


# === Inputs ===


@breaks("input-source", f"{ROUND}.Trainer.inputs.parameters.run_fn")
def _(file):
    inputs(file)["run_fn"] = {"runtimeValue": {"runtimeParameter": "run_fn"}}


@breaks("input-source", f"{ROUND}.Trainer.inputs.artifacts.examples")
def _(file):
    inputs(file, kind="artifacts")["examples"] = {}


@breaks("input-undefined", f"{ROUND}.Trainer.inputs.parameters.stepz")
def _(file):
    inputs(file)["stepz"] = {"runtimeValue": {"constant": 1}}


@breaks("input-missing", f"{ROUND}.Trainer.inputs.parameters.run_fn")
def _(file):
    del inputs(file)["run_fn"]


@breaks("parent-input", f"{ROUND}.Trainer.inputs.parameters.steps")
def _(file):
    inputs(file)["steps"] = {"componentInputParameter": "epochs"}


@breaks("types", f"{ROUND}.Trainer.inputs.artifacts.examples")
def _(file):
    defined(file, section="output", component="Examples", kind="artifacts")["examples"] = artifact(
        "tfx.Schema"
    )


@breaks("types", f"{ROUND}.Delivery.inputs.parameters.score")
def _(file):
    defined(file, section="output")["score"]["parameterType"] = "STRING"


@breaks("types", f"{ROUND}.Trainer.inputs.artifacts.examples")
def _(file):
    defined(file, kind="artifacts")["examples"]["isArtifactList"] = True


@breaks("final-status", f"{ROUND}.Trainer.inputs.parameters.run_fn")
def _(file):
    inputs(file)["run_fn"] = {"taskFinalStatus": {"producerTask": "Examples"}}


@breaks("argument-size", f"{ROUND}.Trainer.inputs.parameters")
def _(file):
    inputs(file)["run_fn"]["runtimeValue"]["constant"] = "ä" * 70_000


@breaks("dag-output", "components.Round.outputDefinitions.artifacts.model")
def _(file):
    file["components"]["Round"]["outputDefinitions"] = {"artifacts": {"model": artifact("a.B")}}


@breaks("dag-output", "components.Round.dag.outputs.artifacts.model.artifactSelectors[0]")
def _(file):
    selector = {"producerSubtask": "Trainer", "outputArtifactKey": "nothing"}
    outputs = {"artifacts": {"model": {"artifactSelectors": [selector]}}}
    file["components"]["Round"]["dag"]["outputs"] = outputs


# === Executors ===


@breaks("root-executor", "root")
def _(file):
    del file["root"]["dag"]
    file["root"]["executorLabel"] = "trainer"


@breaks("module", "deploymentSpec.executors.trainer.container.command[2]")
def _(file):
    container(file)["command"][2] = "tfx.no_such_module"


@breaks("module", "deploymentSpec.executors.trainer.container.args[1]")
def _(file):
    container(file)["args"][1] = "components.gone.Executor"


@breaks("class", "deploymentSpec.executors.trainer.container.args[1]")
def _(file):
    container(file)["args"][1] = "components.serving.pusher.Puller_Executor"


@breaks("placeholder", "deploymentSpec.executors.trainer.container.args[3]")
def _(file):
    container(file)["args"][3] = "--a={{$.inputs.parameters['nothing']}}"


@breaks("image", "deploymentSpec.executors.trainer.container.image")
def _(file):
    container(file)["image"] = "Not An Image"


@breaks("env", "deploymentSpec.executors.trainer.container.env[1].name")
def _(file):
    container(file)["env"] *= 2


@breaks("importer", "deploymentSpec.executors.schema.importer.artifactUri.constant")
def _(file):
    file["deploymentSpec"]["executors"]["schema"]["importer"]["artifactUri"]["constant"] = "/mnt/a"


@breaks("artifact-title", "deploymentSpec.executors.schema.importer.typeSchema")
def _(file):
    schema = {"instanceSchema": "properties: {}"}
    file["deploymentSpec"]["executors"]["schema"]["importer"]["typeSchema"] = schema


@breaks("resources", "deploymentSpec.executors.trainer.container.resources.memoryLimit")
def _(file):
    container(file)["resources"]["memoryLimit"] = -1


@breaks("resources", "deploymentSpec.executors.trainer.container.resources")
def _(file):
    container(file)["resources"]["cpuRequest"] = 3


@breaks("resources-twice", "deploymentSpec.executors.trainer.container.resources.cpuLimit")
def _(file):
    container(file)["resources"]["resourceCpuLimit"] = "2"


@breaks("accelerator", "deploymentSpec.executors.trainer.container.resources.accelerator.type")
def _(file):
    container(file)["resources"]["accelerator"]["type"] = "NVIDIA_TESLA_T4"


# === The platform document ===


@breaks("platform-executor", "platforms.kubernetes.deploymentSpec.executors.schema")
def _(file):
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"schema": {}}}}}}


@breaks("platform-setting", "executors.trainer.secretAsEnv[0]")
def _(file):
    return small_pipeline.platform(secretAsEnv=[{"keyToEnv": []}])


@breaks("platform-setting", "executors.trainer.emptyDirMounts[0].mountPath")
def _(file):
    return small_pipeline.platform(emptyDirMounts=[{"volumeName": "a", "mountPath": "dev/shm"}])


@breaks("platform-root-user", "executors.trainer.securityContext")
def _(file):
    return small_pipeline.platform(securityContext={"runAsUser": 0, "runAsNonRoot": True})


@breaks("workspace", "platforms.kubernetes.pipelineConfig.workspace.size")
def _(file):
    workspace = {"size": "large", "kubernetes": {"pvcSpecPatch": {"accessModes": ["A"]}}}
    return {"platforms": {"kubernetes": {"pipelineConfig": {"workspace": workspace}}}}


@breaks("workspace-claim", "platforms.kubernetes.pipelineConfig.workspace")
def _(file):
    return {"platforms": {"kubernetes": {"pipelineConfig": {"workspace": {"size": "1Gi"}}}}}


@breaks("workspace-missing", "deploymentSpec.executors.schema.importer.downloadToWorkspace")
def _(file):
    file["deploymentSpec"]["executors"]["schema"]["importer"]["downloadToWorkspace"] = True


def judged(changed: Callable):
    file = small_pipeline.looped()
    result = changed(file) or {}
    is_document = not result.keys().isdisjoint(("platforms", "platform"))
    documents = [file, result] if is_document else [file]
    return check.faults(small_pipeline.written(*documents), {} if is_document else result)


def test_the_pipeline_with_a_loop_is_fit():
    assert not judged(lambda file: None)[0]


@pytest.mark.parametrize("number", range(len(BROKEN)), ids=[f"{r} {p}" for r, p, _ in BROKEN])
def test_a_rule_is_broken_at_its_place(number):
    rule, place, changed = BROKEN[number]
    found, lines = judged(changed)
    said = [fault.text(lines) for fault in found if fault.rule.name == rule]
    where = place if place == "the file" else rf"line \d+, \S*{re.escape(place)}"
    assert any(re.match(where, text) for text in said), (said, found)
    assert all("expected" in text and "; got " in text and "; to fix, " in text for text in said)


def test_all_faults_are_said_at_once():
    several = ("input-source", "module", "accelerator", "default")
    file = small_pipeline.looped()
    chosen = {rule: changed for rule, _, changed in BROKEN if rule in several}
    for changed in chosen.values():
        changed(file)
    found, _ = check.faults(small_pipeline.written(file))
    assert {fault.rule.name for fault in found} >= chosen.keys()


def test_every_rule_is_broken_by_some_test():
    broken = {rule for rule, _, _ in BROKEN}
    broken |= {rule for _, rule, _ in test_known_verdicts.CHANGES.values()}
    broken |= {rule for rule, _ in test_yaml_reading.TRAPS.values()}
    broken |= {fault.rule.name for fault in names.file_faults("deeplab.txt")}
    assert check.RULES.keys() <= broken, check.RULES.keys() - broken


def test_the_table_of_the_documentation_is_that_of_the_rules():
    page = Path(REPOSITORY, "docs", "kubeflow.md").read_text()
    rows = dict(re.findall(r"^\| `([\w-]+)` \|.*\| (refuses[^|]*|takes[^|]*) \|$", page, re.M))
    for rule in check.RULES.values():
        follows = f", and {rule.consequence}" if rule.consequence else ""
        assert rows.pop(rule.name).strip() == f"{rule.kubeflow.value}{follows}"
    assert not rows
