"""Reads from ML Metadata what a run did: states, times and outputs of its steps."""

import dataclasses

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd


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


def open_store(database: str) -> metadata_store.MetadataStore:
    """ML Metadata in an SQLite file."""
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = database
    config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE
    return metadata_store.MetadataStore(config)


def latest_run(store: metadata_store.MetadataStore) -> dict[str, Step]:
    """The steps of the run that started last, by node; empty where nothing has run."""
    runs = store.get_contexts_by_type("pipeline_run")
    if not runs:
        return {}
    latest = max(runs, key=lambda context: context.id)
    return {
        step.node_id: step
        for step in (
            _step(store, execution) for execution in store.get_executions_by_context(latest.id)
        )
    }


def all_steps(store: metadata_store.MetadataStore) -> list[Step]:
    """Every execution of every run, in the order in which they were made."""
    return [_step(store, execution) for execution in store.get_executions()]


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
