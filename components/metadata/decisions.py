"""What people decided, recorded as steps outside of any run."""

import contextlib
from collections.abc import Iterator, Mapping

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.metadata.runs import PUSHED, pushed_to


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
    pushed = store.put_artifact_type(mlmd.ArtifactType(name=PUSHED), can_omit_fields=True)
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
    found = pushed_to(store, path)
    if found:
        return found[-1]
    artifact = mlmd.Artifact(type_id=type_id, uri=path, state=mlmd.Artifact.LIVE)
    _set(artifact, {"pushed_destination": path})
    return artifact


def _event(kind: int, key: str) -> mlmd.Event:
    event = mlmd.Event(type=kind)
    event.path.steps.add(key=key)
    event.path.steps.add(index=0)
    return event


def _set(node: mlmd.Artifact | mlmd.Execution, properties: Mapping[str, int | str]) -> None:
    for name, value in properties.items():
        field = "int_value" if isinstance(value, int) else "string_value"
        setattr(node.custom_properties[name], field, value)
