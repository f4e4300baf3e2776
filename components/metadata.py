"""ML Metadata: what a run did, states, times and outputs of its steps; what people decided."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

_PUSHED = "PushedModel"
"""The type of what TFX calls so: a version below the folder of served models."""


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


def connection(uri: str) -> mlmd.ConnectionConfig:
    """How to connect to ML Metadata.

    Args:
        uri: `sqlite:PATH`, see `pipeline.environment`.
    """
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = uri.removeprefix("sqlite:")
    config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return config


def open_store(connection: mlmd.ConnectionConfig) -> metadata_store.MetadataStore:
    """ML Metadata, ready to be asked."""
    return metadata_store.MetadataStore(connection)


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
    for artifact in reversed(_pushed_to(store, version)):
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


@contextlib.contextmanager
def decision(
    store: metadata_store.MetadataStore,
    name: str,
    pipeline: str,
    used: Mapping[str, str],
    said: Mapping[str, str],
) -> Iterator[dict[str, dict[str, int | str]]]:
    """Records what a person does with pushed versions, as a step outside of any run.

    It stands there as running from the start on, whatever becomes of the process; an error makes
    it a failed one.

    Args:
        store: ML Metadata.
        name: of the step, such as `Rollback`.
        pipeline: the name of the pipeline that pushed the version.
        used: paths of the versions that go in, by what they are to it.
        said: what else is to be known, such as who did it and why.

    Yields:
        An empty table, to be filled with the versions that come out: the properties of each by
        what it is, `pushed_destination` among them.
    """
    pushed = store.put_artifact_type(mlmd.ArtifactType(name=_PUSHED), can_omit_fields=True)
    kind = store.put_execution_type(mlmd.ExecutionType(name=name), can_omit_fields=True)
    contexts = [
        mlmd.Context(
            type_id=store.put_context_type(mlmd.ContextType(name=type_name), can_omit_fields=True),
            name=context,
        )
        for type_name, context in (("pipeline", pipeline), ("node", f"{pipeline}.{name}"))
    ]
    execution = mlmd.Execution(type_id=kind, last_known_state=mlmd.Execution.RUNNING)
    _set(execution, said)
    inputs = [
        (
            _pushed_artifact(store, pushed, path),
            _event(mlmd.Event.INPUT, key),
        )
        for key, path in used.items()
    ]
    execution.id, _, _ = store.put_execution(
        execution, inputs, contexts, reuse_context_if_already_exist=True
    )
    given: dict[str, dict[str, int | str]] = {}
    try:
        yield given
    except BaseException:
        execution.last_known_state = mlmd.Execution.FAILED
        store.put_executions([execution])
        raise
    outputs = []
    for key, properties in given.items():
        artifact = mlmd.Artifact(
            type_id=pushed, uri=str(properties["pushed_destination"]), state=mlmd.Artifact.LIVE
        )
        _set(artifact, properties)
        outputs.append((artifact, _event(mlmd.Event.OUTPUT, key)))
    execution.last_known_state = mlmd.Execution.COMPLETE
    store.put_execution(execution, outputs, [])


def _pushed_artifact(store: metadata_store.MetadataStore, type_id: int, path: str) -> mlmd.Artifact:
    """The artifact of a version; a new one where this ML Metadata has not seen its push."""
    found = _pushed_to(store, path)
    if found:
        return found[-1]
    artifact = mlmd.Artifact(type_id=type_id, uri=path, state=mlmd.Artifact.LIVE)
    _set(artifact, {"pushed_destination": path})
    return artifact


def _pushed_to(store: metadata_store.MetadataStore, path: str) -> list[mlmd.Artifact]:
    """The artifacts that say of themselves that they lie there, the newest last."""
    found = [
        artifact
        for artifact in store.get_artifacts_by_type(_PUSHED)
        if artifact.custom_properties["pushed_destination"].string_value == path
    ]
    return sorted(found, key=lambda artifact: artifact.id)


def _event(kind: int, key: str) -> mlmd.Event:
    event = mlmd.Event(type=kind)
    event.path.steps.add(key=key)
    event.path.steps.add(index=0)
    return event


def _set(node: mlmd.Artifact | mlmd.Execution, properties: Mapping[str, int | str]) -> None:
    for name, value in properties.items():
        field = "int_value" if isinstance(value, int) else "string_value"
        setattr(node.custom_properties[name], field, value)


def _pipeline(store: metadata_store.MetadataStore, execution: mlmd.Execution) -> str:
    """The name of the pipeline that an execution belongs to."""
    contexts = store.get_contexts_by_execution(execution.id)
    return next(context.name for context in contexts if context.type == "pipeline")


def _step(store: metadata_store.MetadataStore, execution: mlmd.Execution) -> Step:
    (node,) = [
        context.name.split(".", 1)[-1]
        for context in store.get_contexts_by_execution(execution.id)
        if context.type == "node"
    ]
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
    milliseconds = execution.last_update_time_since_epoch - execution.create_time_since_epoch
    return Step(
        node_id=node,
        execution_id=execution.id,
        state=mlmd.Execution.State.Name(execution.last_known_state).lower(),
        started=execution.create_time_since_epoch / 1000,
        seconds=milliseconds / 1000,
        outputs=outputs,
    )


def _properties(artifact: mlmd.Artifact) -> dict[str, int | float | str]:
    return {
        name: getattr(value, value.WhichOneof("value"))
        for name, value in (*artifact.properties.items(), *artifact.custom_properties.items())
    }
