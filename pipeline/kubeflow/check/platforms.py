"""The platform document: Kubernetes' settings of the executors, and of the run."""

from collections.abc import Iterator

from pipeline.kubeflow.check.compiled import Compiled
from pipeline.kubeflow.check.faults import Fault, Place, Rule, Verdict, shown
from pipeline.kubeflow.check.resources import quantity

PLATFORM = Rule("platform", Verdict.TAKES, "ignores the settings")
LABEL = Rule("platform-executor", Verdict.TAKES, "ignores the settings")
SETTING = Rule("platform-setting", Verdict.TAKES, "its driver or Kubernetes refuses the step")
ROOT_USER = Rule("platform-root-user", Verdict.RUN)
WORKSPACE = Rule("workspace", Verdict.RUN)
NO_CLAIM = Rule("workspace-claim", Verdict.TAKES, "makes no volume, or Kubernetes refuses it")
NO_WORKSPACE = Rule("workspace-missing", Verdict.TAKES, "the importer has nowhere to put it")

_PULLS = ("Always", "Never", "IfNotPresent")
_NAMED = {
    "secretAsVolume": "secretName",
    "secretAsEnv": "secretName",
    "configMapAsVolume": "configMapName",
    "configMapAsEnv": "configMapName",
    "imagePullSecret": "secretName",
}
"""Settings that need the name of a secret or of a map, itself or as a parameter."""

_SIZES = {"genericEphemeralVolume": "size", "emptyDirMounts": "sizeLimit"}
_OF_CLAIM = ("accessModes", "storageClassName")


def check(compiled: Compiled) -> Iterator[Fault]:
    """What is wrong with the platform document of a file."""
    for name in compiled.platforms.keys() - {"kubernetes"}:
        yield PLATFORM.broken(
            ("platforms", name), "settings of kubernetes", name, "write them below kubernetes"
        )
    kubernetes = compiled.platforms.get("kubernetes", {})
    place: Place = ("platforms", "kubernetes", "deploymentSpec", "executors")
    for label, settings in kubernetes.get("deploymentSpec", {}).get("executors", {}).items():
        if "container" not in compiled.executors.get(label, {}):
            yield LABEL.broken(
                (*place, label),
                "a container below deploymentSpec.executors of the pipeline",
                f"{shown(label)}, which is none",
                "name one of them",
                is_quoted=False,
            )
        yield from _settings(settings, (*place, label))
    yield from _workspace(compiled, kubernetes.get("pipelineConfig", {}).get("workspace"))


def _settings(settings: dict, place: Place) -> Iterator[Fault]:
    policy = settings.get("imagePullPolicy", "")
    if policy and policy not in _PULLS:
        yield SETTING.broken(
            (*place, "imagePullPolicy"), f"one of {', '.join(_PULLS)}", policy, "choose one"
        )
    for key, name in _NAMED.items():
        for index, each in enumerate(settings.get(key, [])):
            if not each.get(name) and f"{name}Parameter" not in each:
                yield SETTING.broken(
                    (*place, key, index), f"{name} or {name}Parameter", each, "give one of them"
                )
            if key.endswith("Volume"):
                yield from _mount(each, (*place, key, index))
    for key in ("pvcMount", "genericEphemeralVolume", "emptyDirMounts"):
        for index, each in enumerate(settings.get(key, [])):
            yield from _mount(each, (*place, key, index))
            size = each.get(_SIZES.get(key, ""), "")
            if (size or key == "genericEphemeralVolume") and quantity(size) is None:
                yield SETTING.broken(
                    (*place, key, index, _SIZES[key]),
                    "an amount, as Kubernetes writes them",
                    size or None,
                    'write for example "8Gi"',
                )
    for index, each in enumerate(settings.get("initContainers", [])):
        for field in ("name", "image"):
            if not each.get(field):
                here = (*place, "initContainers", index, field)
                yield SETTING.broken(here, f"the {field} of an init container", None, "give one")
    context = settings.get("securityContext", {})
    if context.get("runAsNonRoot") and context.get("runAsUser") == 0:
        yield ROOT_USER.broken(
            (*place, "securityContext"), "a user that is not root", 0, "give another number"
        )


def _mount(settings: dict, place: Place) -> Iterator[Fault]:
    path = settings.get("mountPath", "")
    if not path.startswith("/"):
        yield SETTING.broken(
            (*place, "mountPath"), "an absolute path in the container", path or None, "give one"
        )


def _workspace(compiled: Compiled, workspace: dict | None) -> Iterator[Fault]:
    """A volume of the run, from which importers and steps read."""
    if workspace is None:
        for label, executor in compiled.executors.items():
            if executor.get("importer", {}).get("downloadToWorkspace"):
                yield NO_WORKSPACE.broken(
                    ("deploymentSpec", "executors", label, "importer", "downloadToWorkspace"),
                    "a workspace in the platform document",
                    None,
                    "add pipelineConfig.workspace there",
                )
        return
    place: Place = ("platforms", "kubernetes", "pipelineConfig", "workspace")
    if "kubernetes" not in workspace:
        fix = "give kubernetes.pvcSpecPatch.accessModes"
        yield NO_CLAIM.broken(place, "what volume Kubernetes is to make", workspace, fix)
        return
    size = quantity(workspace.get("size", ""))
    if size is None or size == 0:
        yield (WORKSPACE if size is None else NO_CLAIM).broken(
            (*place, "size"),
            "an amount above 0, as Kubernetes writes them",
            workspace.get("size"),
            'write for example "250Gi"',
        )
    claim = workspace.get("kubernetes", {}).get("pvcSpecPatch", {})
    modes = claim.get("accessModes")
    is_list = isinstance(modes, list) and all(isinstance(mode, str) for mode in modes)
    storage = claim.get("storageClassName", "any")
    if claim.keys() - set(_OF_CLAIM) or not modes or not is_list or not _is_name(storage):
        yield WORKSPACE.broken(
            (*place, "kubernetes", "pvcSpecPatch"),
            "accessModes, a list of texts, and perhaps storageClassName, no more",
            claim or None,
            "give accessModes, such as ReadWriteMany",
        )


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != ""
