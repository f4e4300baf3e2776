"""Changes that break the rules on messages, names and tasks."""

from tests.pipeline.kubeflow import small_pipeline
from tests.pipeline.kubeflow.breaking import ROOT, ROUND, breaks, container, defined, tasks

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
