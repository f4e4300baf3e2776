"""Records a step that another orchestrator runs, as TFX's own local runner records its steps."""

import contextlib
import uuid
from collections.abc import Iterator, Mapping, Sequence

from ml_metadata import errors, metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.types import Artifact

from components import entry
from components.metadata.runs import node_of

_PIPELINE, _RUN, _NODE = "pipeline", "pipeline_run", "node"

Artifacts = Mapping[str, Sequence[Artifact]]


@contextlib.contextmanager
def recorded(
    store: metadata_store.MetadataStore,
    *,
    pipeline: str,
    run: str,
    node: str,
    kind: str,
    inputs: Artifacts,
    parameters: Mapping[str, int | float | str],
) -> Iterator[dict[str, Sequence[Artifact]]]:
    """Records a step as running, and as complete or failed when the context is left.

    The artifacts that go in get the numbers that they have here, by their addresses. Where a step
    that made one was answered from the orchestrator's cache, it is recorded as that: nothing else
    would show that it belongs to the run.

    Args:
        store: ML Metadata.
        pipeline: its name.
        run: what tells the run from others.
        node: the name of the step.
        kind: what tells the component from others, its class path.
        inputs: what goes in.
        parameters: of the step.

    Yields:
        An empty table, to be filled with what the step gives.
    """
    contexts = _contexts(store, pipeline, run, node)
    given = [
        (_known(store, artifact), _event(mlmd.Event.INPUT, key, index))
        for key, found in inputs.items()
        for index, artifact in enumerate(found)
    ]
    _record_cached(store, contexts, pipeline, [artifact.id for artifact, _ in given])
    execution = mlmd.Execution(
        type_id=store.put_execution_type(mlmd.ExecutionType(name=kind), can_omit_fields=True),
        name=str(uuid.uuid4()),
        last_known_state=mlmd.Execution.RUNNING,
    )
    for name, value in parameters.items():
        field = {int: "int_value", float: "double_value"}.get(type(value), "string_value")
        setattr(execution.custom_properties[name], field, value)
    execution.id, *_ = store.put_execution(
        execution, given, contexts, reuse_context_if_already_exist=True
    )
    outputs: dict[str, Sequence[Artifact]] = {}
    try:
        yield outputs
    except BaseException:
        is_ended = entry.is_ending()
        execution.last_known_state = mlmd.Execution.CANCELED if is_ended else mlmd.Execution.FAILED
        store.put_executions([execution])
        raise
    execution.last_known_state = mlmd.Execution.COMPLETE
    made = []
    for key, found in outputs.items():
        for index, artifact in enumerate(found):
            artifact.mlmd_artifact.ClearField("id")
            artifact.mlmd_artifact.type_id = _type(store, artifact)
            artifact.mlmd_artifact.state = mlmd.Artifact.LIVE
            made.append((artifact.mlmd_artifact, _event(mlmd.Event.OUTPUT, key, index)))
    _, numbers, _ = store.put_execution(execution, made, [])
    for (proto, _), number in zip(made, numbers, strict=True):
        proto.id = number


def _contexts(
    store: metadata_store.MetadataStore, pipeline: str, run: str, node: str
) -> list[mlmd.Context]:
    """Pipeline, run and node, made where they are not there."""
    names = {_PIPELINE: pipeline, _RUN: run, _NODE: f"{pipeline}.{node}"}
    found = {}
    for kind, name in names.items():
        known = store.get_context_by_type_and_name(kind, name)
        if known is None:
            type_id = store.put_context_type(mlmd.ContextType(name=kind), can_omit_fields=True)
            with contextlib.suppress(
                errors.AlreadyExistsError
            ):  # Another step of the run was quicker.
                store.put_contexts([mlmd.Context(type_id=type_id, name=name)])
            known = store.get_context_by_type_and_name(kind, name)
        found[kind] = known
    edge = mlmd.ParentContext(parent_id=found[_PIPELINE].id, child_id=found[_RUN].id)
    with contextlib.suppress(errors.AlreadyExistsError):
        store.put_parent_contexts([edge])
    return list(found.values())


def _type(store: metadata_store.MetadataStore, artifact: Artifact) -> int:
    return store.put_artifact_type(
        artifact.artifact_type, can_add_fields=True, can_omit_fields=True
    )


def _known(store: metadata_store.MetadataStore, artifact: Artifact) -> mlmd.Artifact:
    """The artifact as this store has it; made where it was made before there was this store."""
    for known in reversed(store.get_artifacts_by_uri(artifact.uri)):
        if known.type == artifact.type_name:
            artifact.mlmd_artifact.id = known.id
            return known
    artifact.mlmd_artifact.ClearField("id")
    artifact.mlmd_artifact.type_id = _type(store, artifact)
    artifact.mlmd_artifact.state = mlmd.Artifact.LIVE
    (artifact.mlmd_artifact.id,) = store.put_artifacts([artifact.mlmd_artifact])
    return artifact.mlmd_artifact


def _record_cached(
    store: metadata_store.MetadataStore,
    contexts: Sequence[mlmd.Context],
    pipeline: str,
    artifacts: Sequence[int],
) -> None:
    """Records the makers of artifacts that have no execution in this run."""
    if not artifacts:
        return
    _, run, _ = contexts
    here = {node_of(store, execution) for execution in store.get_executions_by_context(run.id)}
    events = store.get_events_by_artifact_ids(list(artifacts))
    makers = sorted({each.execution_id for each in events if each.type == mlmd.Event.OUTPUT})
    for maker in store.get_executions_by_id(makers) if makers else ():
        node = node_of(store, maker)
        if node in here:
            continue
        here.add(node)
        again = mlmd.Execution()
        again.CopyFrom(maker)
        for field in ("id", "create_time_since_epoch", "last_update_time_since_epoch"):
            again.ClearField(field)
        # One for each run and step: of two that are quick, one is refused.
        again.name = f"cached {run.name} {node}"
        again.last_known_state = mlmd.Execution.CACHED
        made = store.get_events_by_execution_ids([maker.id])
        outputs = [event for event in made if event.type == mlmd.Event.OUTPUT]
        known = {a.id: a for a in store.get_artifacts_by_id([e.artifact_id for e in outputs])}
        pairs = []
        for event in outputs:
            copy = mlmd.Event(type=mlmd.Event.OUTPUT, path=event.path)
            pairs.append((known[event.artifact_id], copy))
        with contextlib.suppress(errors.AlreadyExistsError):
            store.put_execution(
                again,
                pairs,
                _contexts(store, pipeline, run.name, node),
                reuse_context_if_already_exist=True,
            )


def _event(kind: int, key: str, index: int) -> mlmd.Event:
    event = mlmd.Event(type=kind)
    event.path.steps.add(key=key)
    event.path.steps.add(index=index)
    return event
