"""What components run: containers and importers."""

import re
from collections.abc import Iterator

from pipeline.kubeflow.check import definitions
from pipeline.kubeflow.check.compiled import Compiled, Component
from pipeline.kubeflow.check.faults import Fault, Place, Rule, Verdict

IMPLEMENTATION = Rule("implementation", Verdict.RUN)
EXECUTOR = Rule("executor", Verdict.RUN)
ROOT = Rule("root-executor", Verdict.TAKES, "Argo refuses the workflow when a run starts")
KIND = Rule("executor-kind", Verdict.RUN)
IMAGE = Rule("image", Verdict.TAKES, "Kubernetes cannot start the step")
COMMAND = Rule("command", Verdict.TAKES, "its launcher has nothing to start")
LIFECYCLE = Rule("lifecycle", Verdict.TAKES, "never calls the hook")
ENV = Rule("env", Verdict.TAKES, "Kubernetes refuses the step, or takes the last of two values")
PLACEHOLDER = Rule("placeholder", Verdict.TAKES, "its driver or launcher finds no value for it")
IMPORTER = Rule("importer", Verdict.TAKES, "the importer fails when it runs")

_STORES = ("gs://", "s3://", "minio://", "oci://")
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_PLACEHOLDER = re.compile(
    r"\{\{\$\.(inputs|outputs)\.(parameters|artifacts)\[(?:'([^']*)'|\"([^\"]*)\")\]"
)
_WITHOUT_CONTAINER = ("argostub/createpvc", "argostub/deletepvc")
"""Images that stand for what Kubeflow's driver does itself."""

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:[a-zA-Z0-9.-]+(?::[0-9]+)?/)?{_PART}(?:/{_PART})*"
    r"(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)


def check(compiled: Compiled) -> Iterator[Fault]:
    """What is wrong with the executors of a file."""
    for component in compiled.components.values():
        yield from _implementation(component, compiled)
    for label, executor in compiled.executors.items():
        place = ("deploymentSpec", "executors", label)
        users = compiled.users.get(label, [])
        if "container" in executor:
            yield from _container(executor["container"], (*place, "container"), users)
        elif "importer" in executor:
            yield from _importer(executor["importer"], (*place, "importer"), users, compiled)
        else:
            yield KIND.broken(
                place,
                "a container or an importer, the only ones that Kubeflow runs",
                executor or None,
                "let a container do it",
            )


def _implementation(component: Component, compiled: Compiled) -> Iterator[Fault]:
    label = component.message.get("executorLabel", "")
    if not label and "dag" not in component.message:
        yield IMPLEMENTATION.broken(
            component.place, "a dag or an executorLabel", None, "give one of them"
        )
    elif component.name == "root" and label:
        yield ROOT.broken(
            component.place, "a dag in the root", label, "put the component into a task of a dag"
        )
    elif label and label not in compiled.executors:
        yield EXECUTOR.broken(
            (*component.place, "executorLabel"),
            "an executor below deploymentSpec.executors",
            label,
            "add it there, or name another",
        )


def _container(container: dict, place: Place, users: list[Component]) -> Iterator[Fault]:
    image = container.get("image", "")
    if "{{$" not in image and not _IMAGE.fullmatch(image):
        yield IMAGE.broken(
            (*place, "image"),
            "a container image, name:tag or name@sha256:digest",
            image or None,
            "compile with --image and such a name",
        )
    is_program = "".join(container.get("command", [])).strip() != ""
    if not is_program and image not in _WITHOUT_CONTAINER:
        yield COMMAND.broken((*place, "command"), "a command", None, "give one")
    if "lifecycle" in container:
        yield LIFECYCLE.broken(
            (*place, "lifecycle"),
            "no hook",
            container["lifecycle"],
            "let the step itself do it, and take the hook away",
        )
    yield from _env(container.get("env", []), (*place, "env"))
    for key in ("command", "args"):
        for index, word in enumerate(container.get(key, [])):
            yield from _placeholders(word, (*place, key, index), users)


def _env(env: list[dict], place: Place) -> Iterator[Fault]:
    names: set[str] = set()
    for index, variable in enumerate(env):
        name = variable.get("name", "")
        here = (*place, index, "name")
        if not _ENV_NAME.fullmatch(name):
            yield ENV.broken(here, "the name of a variable", name or None, "give one")
        elif name in names:
            yield ENV.broken(here, "every variable once", name, "take one of them away")
        names.add(name)


def _placeholders(word: str, place: Place, users: list[Component]) -> Iterator[Fault]:
    for match in _PLACEHOLDER.finditer(word):
        name = match[3] if match[3] is not None else match[4]
        for component in users:
            defined = component.inputs if match[1] == "inputs" else component.outputs
            if name not in defined(match[2]):
                yield PLACEHOLDER.broken(
                    place,
                    f"a placeholder of {match[1]} that {component.name} has",
                    name,
                    "define it in the component, or take it away",
                )


def _importer(
    importer: dict, place: Place, users: list[Component], compiled: Compiled
) -> Iterator[Fault]:
    schema_place = (*place, "typeSchema")
    yield from definitions.title_faults(importer.get("typeSchema", {}), schema_place)
    for component in users:
        made = component.outputs("artifacts")
        if len(made) != 1:
            yield IMPORTER.broken(
                component.place, "one output artifact of an importer", list(made), "define one"
            )
    address = importer.get("artifactUri", {})
    if "constant" in address:
        constant = address["constant"]
        if not (isinstance(constant, str) and constant.startswith(_STORES)):
            yield IMPORTER.broken(
                (*place, "artifactUri", "constant"),
                f"an address in a store, one of {', '.join(_STORES)}",
                constant,
                "put what is imported there",
            )
        return
    name = address.get("runtimeParameter", "")
    for task in compiled.tasks():
        is_user = any(task.component == component.name for component in users)
        source = task.inputs("parameters").get(name, {})
        if is_user and "componentInputParameter" not in source:
            yield IMPORTER.broken(
                (*place, "artifactUri"),
                f"a constant, or a parameter that the DAG gives to {task.name}",
                name or None,
                "give a constant",
            )
