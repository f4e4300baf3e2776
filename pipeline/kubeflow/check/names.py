"""Names: of the pipeline, and those that tasks and components get in Argo, which runs them."""

import re
from collections.abc import Iterator

from pipeline.kubeflow.check.compiled import Compiled, Component
from pipeline.kubeflow.check.faults import Fault, Place, Rule, Verdict, dotted, shown

SCHEMA = "2.1.0"
LONGEST = 63
"""Characters of a name in Kubernetes, RFC 1123."""

SCHEMES = ("gs://", "s3://", "minio://")

_SUFFIXES = (".yaml", ".yml", ".json")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_ARGO_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*")
_LONGEST_IN_ARGO = 128
_MADE = re.compile(r"entrypoint|system-((dag|container)-driver|importer|container-(executor|impl))")
"""Templates that Kubeflow makes of its own for every pipeline, or nearly."""

_RESERVED = re.compile(r"root|system-.*|retry-system-.*|metadata-.*-system-.*")
"""Those that it makes for some, or may make."""

VERSION = Rule("schema-version", Verdict.UPLOAD)
NO_NAME = Rule("name", Verdict.UPLOAD)
NAME = Rule("name-pattern", Verdict.TAKES, "Kubernetes refuses the names of its runs, or cuts them")
NO_ROOT = Rule("root", Verdict.UPLOAD)
SCHEME = Rule(
    "pipeline-root", Verdict.TAKES, "its launcher finds no store for what the steps write"
)
SUFFIX = Rule("suffix", Verdict.UPLOAD)
ARGO_NAME = Rule("argo-name", Verdict.TAKES, "Argo refuses the name when a run starts")
TWO_NAMES = Rule("argo-names-differ", Verdict.TAKES, "Argo refuses two tasks of one name in a DAG")
TEMPLATES = Rule("template-names", Verdict.RUN)
RESERVED = Rule("reserved-names", Verdict.TAKES, "mistakes the component for its own template")


def check(compiled: Compiled) -> Iterator[Fault]:
    """What is wrong with the names of a file, with its version and its root."""
    pipeline = compiled.pipeline
    version = pipeline.get("schemaVersion")
    if version != SCHEMA:
        yield VERSION.broken(
            ("schemaVersion",), shown(SCHEMA), version, "compile the pipeline with this project"
        )
    place = ("pipelineInfo", "name")
    name = pipeline.get("pipelineInfo", {}).get("name", "")
    if not re.search("[a-z0-9]", name):  # The pattern that Kubeflow itself looks for anywhere.
        yield NO_NAME.broken(place, "a name of the pipeline", name or None, "give one")
    else:
        yield from name_faults(name, place)
    if "root" not in pipeline:
        yield NO_ROOT.broken(("root",), "the DAG of the pipeline", None, "give one")
    yield from root_faults(pipeline.get("defaultPipelineRoot"), ("defaultPipelineRoot",))
    yield from _templates(compiled)
    for component in compiled.components.values():
        yield from _tasks(component, compiled)


def sentences(name: str, root: str) -> list[str]:
    """What would make a file that is not fit, said before anything is compiled.

    Args:
        name: of the pipeline.
        root: below which its steps write.
    """
    places = ("pipelineInfo", "name"), ("defaultPipelineRoot",)
    found = (*name_faults(name, places[0]), *root_faults(root, places[1]))
    return [fault.text({}) for fault in found]


def name_faults(name: str, place: Place) -> Iterator[Fault]:
    """What is wrong with the name of a pipeline."""
    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        yield NAME.broken(
            place,
            f"a name of at most {LONGEST} lower-case letters, digits and dashes, with no dash at "
            "either end",
            f"{shown(name)} of {len(name)} characters",
            "change it, in the compile command with --set name=…",
            is_quoted=False,
        )


def file_faults(name: str) -> Iterator[Fault]:
    """What is wrong with the name of the file, by which Kubeflow knows its format."""
    if not name.endswith(_SUFFIXES):
        yield SUFFIX.broken(
            (), f"a file whose name ends with {', '.join(_SUFFIXES)}", name, "rename it"
        )


def root_faults(root: str | None, place: Place) -> Iterator[Fault]:
    """What is wrong with the place below which all steps write."""
    if root is not None and not (root.startswith(SCHEMES) and root.partition("://")[2].strip("/")):
        yield SCHEME.broken(
            place,
            f"a bucket's address, one of {', '.join(SCHEMES)}",
            root,
            "compile with --pipeline-root and such an address",
        )


def _tasks(component: Component, compiled: Compiled) -> Iterator[Fault]:
    """Names of one DAG's tasks; most have a driver beside them, with a name made of their own."""
    tasks = {task.name: task for task in component.tasks()}
    for name, task in tasks.items():
        executor = compiled.executor_of(compiled.components.get(task.component))
        driver = f"{name}-driver"
        has_driver = "importer" not in executor and task.iterator is None
        if not _is_argo_name(driver if has_driver else name):
            yield _argo_fault(task.place, "a task", name)
        if has_driver and driver in tasks:
            yield TWO_NAMES.broken(
                tasks[driver].place, f"no task with the name of the driver of {name}", driver,
                "rename it",
            )  # fmt: skip


def _templates(compiled: Compiled) -> Iterator[Fault]:
    """Names of templates: DAGs, exit tasks and the loops of iterators have one of their own."""
    taken: dict[str, Place] = {}
    for component in compiled.components.values():
        for name, place in _template_names(component):
            is_made, is_root = _MADE.fullmatch(name), component.name == "root"
            if is_made or (_RESERVED.fullmatch(name) and not is_root):
                yield (TEMPLATES if is_made else RESERVED).broken(
                    place, "a name that Kubeflow does not use itself", name, "rename it"
                )
            elif name in taken:
                yield TEMPLATES.broken(
                    place,
                    "a template of its own",
                    f"{shown(name)}, to which {dotted(taken[name])} leads as well",
                    "rename it, or give each iterator a component of its own",
                    is_quoted=False,
                )
            elif not _is_argo_name(name):
                yield _argo_fault(place, "a component", name)
            taken.setdefault(name, place)
    if "root" in compiled.pipeline.get("components", {}):
        yield RESERVED.broken(
            ("components", "root"), "no component of the root's name", "root", "rename it"
        )


def _template_names(component: Component) -> Iterator[tuple[str, Place]]:
    """What Kubeflow's compiler calls the templates of a component, with what they come from."""
    if "dag" in component.message:
        yield component.name, component.place
    for task in component.tasks():
        if task.is_exit:
            yield f"exit-hook-{component.name}-{task.name}", task.place
        if task.iterator is not None:
            yield f"{task.component}-{task.name}-iterator", task.place
            yield f"{task.component}-iteration", task.place


def _is_argo_name(name: str) -> bool:
    return _ARGO_NAME.fullmatch(name) is not None and len(name) <= _LONGEST_IN_ARGO


def _argo_fault(place: Place, noun: str, name: str) -> Fault:
    return ARGO_NAME.broken(
        place,
        f"the name of {noun} of letters, digits and dashes, at most {_LONGEST_IN_ARGO - 7}",
        name,
        "rename it",
    )
