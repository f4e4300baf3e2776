"""What runs did: states, times and outputs of their steps."""

import dataclasses

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

PUSHED = "PushedModel"
"""The type of what TFX calls so: a version below the folder of served models."""


STARTED, ENDED = "copied_started_ms", "copied_ended_ms"
"""Properties of copied executions, for ML Metadata gives every new one the time of its writing.
Fractions, for databases hold whole numbers of 32 bits alone."""


@dataclasses.dataclass(frozen=True, slots=True)
class Output:
    """An artifact that a step gave."""

    id: int
    uri: str
    properties: dict[str, int | float | str]


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One execution of one step."""

    node_id: str
    execution_id: int
    state: str
    """`complete`, `cached`, `failed`, `running` (also: killed) or another of ML Metadata's."""
    started: float
    """Unix time in seconds."""
    seconds: float
    outputs: dict[str, list[Output]]


def newest_run(store: metadata_store.MetadataStore) -> int:
    """The number of the run that started last; 0 where nothing has run."""
    return max((context.id for context in store.get_contexts_by_type("pipeline_run")), default=0)


def newest_run_of(store: metadata_store.MetadataStore, pipeline: str) -> str | None:
    """The name of a pipeline's run that started last; None where it has not run."""
    context = store.get_context_by_type_and_name("pipeline", pipeline)
    children = store.get_children_contexts_by_context(context.id) if context else []
    run_type = store.get_context_type("pipeline_run").id if children else None
    runs = [child for child in children if child.type_id == run_type]
    return max(runs, key=lambda run: run.id).name if runs else None


def latest_run(
    store: metadata_store.MetadataStore, pipeline: str = "", since: int = 0
) -> dict[str, Step]:
    """The steps of the run that started last, by node; empty where nothing has run.

    Args:
        store: ML Metadata.
        pipeline: only runs of the pipeline of this name; empty for all.
        since: only runs that started after the one of this number.
    """
    runs = [run for run in store.get_contexts_by_type("pipeline_run") if run.id > since]
    for run in sorted(runs, key=lambda context: -context.id):
        executions = store.get_executions_by_context(run.id)
        if executions and pipeline in ("", _pipeline(store, executions[0])):
            steps = [_step(store, execution) for execution in executions]
            return {step.node_id: step for step in steps}
    return {}


def all_steps(store: metadata_store.MetadataStore) -> list[Step]:
    """Every execution of every run, in the order in which they were made."""
    return [_step(store, execution) for execution in store.get_executions()]


def records_behind(store: metadata_store.MetadataStore, version: str) -> str | None:
    """Folder of the records of the run that pushed a version; None where it is not known.

    Args:
        store: ML Metadata.
        version: path of the version.
    """
    for artifact in reversed(pushed_to(store, version)):
        for blessing in _made_from(store, artifact, "infra_blessing"):
            for examples in _made_from(store, blessing, "examples"):
                return examples.uri
    return None


def _made_from(
    store: metadata_store.MetadataStore, artifact: mlmd.Artifact, key: str
) -> list[mlmd.Artifact]:
    """What went into the steps that gave an artifact, as their input of this name."""
    events = store.get_events_by_artifact_ids([artifact.id])
    made = [event.execution_id for event in events if event.type == mlmd.Event.OUTPUT]
    given = [
        event.artifact_id
        for event in (store.get_events_by_execution_ids(made) if made else ())
        if event.type == mlmd.Event.INPUT and event.path.steps[0].key == key
    ]
    return store.get_artifacts_by_id(given) if given else []


def pushed_to(store: metadata_store.MetadataStore, path: str) -> list[mlmd.Artifact]:
    """The artifacts that say of themselves that they lie there, the newest last."""
    found = [
        artifact
        for artifact in store.get_artifacts_by_type(PUSHED)
        if artifact.custom_properties["pushed_destination"].string_value == path
    ]
    return sorted(found, key=lambda artifact: artifact.id)


def _pipeline(store: metadata_store.MetadataStore, execution: mlmd.Execution) -> str:
    """The name of the pipeline that an execution belongs to."""
    contexts = store.get_contexts_by_execution(execution.id)
    return next(context.name for context in contexts if context.type == "pipeline")


def node_of(store: metadata_store.MetadataStore, execution: mlmd.Execution) -> str:
    """The name of the step that an execution is of."""
    contexts = store.get_contexts_by_execution(execution.id)
    (node,) = [c.name.split(".", 1)[-1] for c in contexts if c.type == "node"]
    return node


def times(execution: mlmd.Execution) -> tuple[int, int]:
    """When it began and ended, in milliseconds of Unix time; of a copied one, when it ran."""
    kept = execution.custom_properties
    if STARTED in kept:
        return int(kept[STARTED].double_value), int(kept[ENDED].double_value)
    return execution.create_time_since_epoch, execution.last_update_time_since_epoch


def _step(store: metadata_store.MetadataStore, execution: mlmd.Execution) -> Step:
    node = node_of(store, execution)
    events = [
        event
        for event in store.get_events_by_execution_ids([execution.id])
        if event.type == mlmd.Event.OUTPUT
    ]
    artifacts = {
        artifact.id: artifact
        for artifact in store.get_artifacts_by_id([event.artifact_id for event in events])
    }
    outputs: dict[str, list[Output]] = {}
    for event in events:
        artifact = artifacts[event.artifact_id]
        outputs.setdefault(event.path.steps[0].key, []).append(
            Output(artifact.id, artifact.uri, _properties(artifact))
        )
    started, ended = times(execution)
    return Step(
        node_id=node,
        execution_id=execution.id,
        state=mlmd.Execution.State.Name(execution.last_known_state).lower(),
        started=started / 1000,
        seconds=(ended - started) / 1000,
        outputs=outputs,
    )


def _properties(artifact: mlmd.Artifact) -> dict[str, int | float | str]:
    return {
        name: getattr(value, value.WhichOneof("value"))
        for name, value in (*artifact.properties.items(), *artifact.custom_properties.items())
    }
