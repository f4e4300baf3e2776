"""A copy of all that an ML Metadata holds, and whether two hold the same."""

import collections
import dataclasses
import hashlib
from collections.abc import Iterator, Sequence

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components import texts
from components.errors import ConfigError, PipelineError
from components.metadata.runs import ENDED, STARTED, times
from components.metadata.stores import PROBE

_AT_ONCE = 500
_MARK = "deeplab.Copy"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counts:
    """How many of each kind."""

    artifacts: int
    executions: int
    contexts: int
    events: int

    def __str__(self) -> str:
        return ", ".join(
            texts.counted(number, name.removesuffix("s"))
            for name, number in dataclasses.asdict(self).items()
        )


def counts(store: metadata_store.MetadataStore) -> Counts:
    """What an ML Metadata holds, without the mark of a copy."""
    executions = store.get_executions()
    return Counts(
        artifacts=len(store.get_artifacts()),
        executions=len(executions),
        contexts=len(_contexts(store)),
        events=len(_events(store, executions)),
    )


def copy(source: metadata_store.MetadataStore, target: metadata_store.MetadataStore) -> Counts:
    """Copies everything, and compares what came of it.

    Numbers are new ones. Times are those of the copy, as ML Metadata has it; when an execution ran
    is kept in properties, which `runs` reads.

    Args:
        source: where from.
        target: where to; empty.

    Raises:
        ConfigError: the target holds something.
        PipelineError: the copy is not equal.
    """
    _require_empty(target)
    mark = target.put_context_type(mlmd.ContextType(name=_MARK))
    target.put_contexts([mlmd.Context(type_id=mark, name="unfinished")])
    types = {
        "artifact": {t.id: target.put_artifact_type(_new(t)) for t in source.get_artifact_types()},
        "execution": {
            t.id: target.put_execution_type(_new(t)) for t in source.get_execution_types()
        },
        "context": {
            t.id: target.put_context_type(_new(t))
            for t in source.get_context_types()
            if t.name != PROBE
        },
    }
    contexts = _copied(_contexts(source), types["context"], target.put_contexts)
    artifacts = _copied(source.get_artifacts(), types["artifact"], target.put_artifacts)
    all_executions = source.get_executions()
    for execution in all_executions:
        started, ended = times(execution)
        execution.custom_properties[STARTED].double_value = started
        execution.custom_properties[ENDED].double_value = ended
    executions = _copied(all_executions, types["execution"], target.put_executions)
    for events in _chunks(_events(source, all_executions)):
        target.put_events(
            [
                mlmd.Event(
                    artifact_id=artifacts[event.artifact_id],
                    execution_id=executions[event.execution_id],
                    path=event.path,
                    type=event.type,
                    milliseconds_since_epoch=event.milliseconds_since_epoch,
                )
                for event in events
            ]
        )
    for old, new in contexts.items():
        target.put_attributions_and_associations(
            [
                mlmd.Attribution(artifact_id=artifacts[a.id], context_id=new)
                for a in source.get_artifacts_by_context(old)
            ],
            [
                mlmd.Association(execution_id=executions[e.id], context_id=new)
                for e in source.get_executions_by_context(old)
            ],
        )
        parents = source.get_parent_contexts_by_context(old)
        if parents:
            target.put_parent_contexts(
                [mlmd.ParentContext(parent_id=contexts[p.id], child_id=new) for p in parents]
            )
    if identity(source) != identity(target):
        raise PipelineError(
            f"expected a copy equal to the source, {counts(source)}; got {counts(target)}; to fix, "
            "copy again into an empty database, while nothing writes to the source"
        )
    (unfinished,) = target.get_contexts_by_type(_MARK)
    unfinished.name = "finished"
    target.put_contexts([unfinished])
    return counts(target)


def identity(store: metadata_store.MetadataStore) -> str:
    """A hash of who made what of what, when, with which properties; equal for equal contents.

    Numbers that a store gives are no part of it.
    """
    types = {t.id: t.name for t in (*store.get_artifact_types(), *store.get_execution_types())}
    artifacts = {a.id: _described(a, types[a.type_id]) for a in store.get_artifacts()}
    executions = store.get_executions()
    used = collections.defaultdict(list)
    for event in _events(store, executions):
        steps = [step.key or step.index for step in event.path.steps]
        used[event.execution_id].append(str((event.type, steps, artifacts[event.artifact_id])))
    lines = sorted(artifacts.values())
    context_types = {t.id: t.name for t in store.get_context_types()}
    within = collections.defaultdict(list)
    for context in _contexts(store):
        text = _described(context, context_types[context.type_id])
        parents = sorted(parent.name for parent in store.get_parent_contexts_by_context(context.id))
        lines.append(f"{text} {parents}")
        for execution in store.get_executions_by_context(context.id):
            within[execution.id].append(text)
    for execution in executions:
        started, ended = times(execution)
        for name in (STARTED, ENDED):
            execution.custom_properties.pop(name, None)
        text = _described(execution, types[execution.type_id])
        state = execution.last_known_state
        events, contexts = sorted(used[execution.id]), sorted(within[execution.id])
        lines.append(f"{text} {state} {started} {ended} {events} {contexts}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _described(node, type_name: str) -> str:
    properties = [
        sorted((name, str(value)) for name, value in table.items())
        for table in (node.properties, node.custom_properties)
    ]
    return str((type_name, node.name, getattr(node, "uri", ""), properties))


def _require_empty(target: metadata_store.MetadataStore) -> None:
    marks = {context.name for context in target.get_contexts_by_type(_MARK)}
    if "unfinished" in marks:
        raise ConfigError(
            "expected an empty database to copy into; got one with a copy that did not end; to "
            "fix, drop that database, make it anew and copy again"
        )
    found = counts(target)
    if any(dataclasses.astuple(found)):
        raise ConfigError(
            f"expected an empty database to copy into; got {found}; to fix, name another one"
        )


def _contexts(store: metadata_store.MetadataStore) -> list[mlmd.Context]:
    return [each for each in store.get_contexts() if each.type not in (_MARK, PROBE)]


def _events(
    store: metadata_store.MetadataStore, executions: Sequence[mlmd.Execution]
) -> list[mlmd.Event]:
    return [
        event
        for chunk in _chunks([execution.id for execution in executions])
        for event in store.get_events_by_execution_ids(chunk)
    ]


def _new(node):
    """Without the number that the source gave it."""
    made = type(node)()
    made.CopyFrom(node)
    made.ClearField("id")
    return made


def _copied(nodes: Sequence, types: dict[int, int], put) -> dict[int, int]:
    """New numbers by the old ones."""
    found = {}
    for chunk in _chunks(nodes):
        made = [_new(node) for node in chunk]
        for node in made:
            node.type_id = types[node.type_id]
            node.ClearField("create_time_since_epoch")
            node.ClearField("last_update_time_since_epoch")
        found |= zip((node.id for node in chunk), put(made), strict=True)
    return found


def _chunks(items: Sequence) -> Iterator[Sequence]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
