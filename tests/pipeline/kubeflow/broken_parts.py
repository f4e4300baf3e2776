"""Changes that break the rules on definitions, inputs, executors and platforms."""

from tests.pipeline.kubeflow import small_pipeline
from tests.pipeline.kubeflow.breaking import ROUND, breaks, container, defined, inputs
from tests.pipeline.kubeflow.small_pipeline import artifact, parameter

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
