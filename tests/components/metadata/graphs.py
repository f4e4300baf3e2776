"""Runs of any shape in ML Metadata, as several orchestrators would leave them."""

import random

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

TEXTS = ("", "plain", "with blank", "quote'\"\\", "größe – 像素", "%s {x}", "a\nb", "x" * 900)
_STATES = (mlmd.Execution.COMPLETE, mlmd.Execution.CACHED, mlmd.Execution.FAILED)


def filled(store: metadata_store.MetadataStore, chance: random.Random, executions: int) -> None:
    """Writes runs of executions, with inputs among the outputs of earlier ones."""
    kinds = {
        name: store.put_context_type(mlmd.ContextType(name=name), can_omit_fields=True)
        for name in ("pipeline", "pipeline_run", "node")
    }
    model = store.put_artifact_type(
        mlmd.ArtifactType(name="Model", properties={"span": mlmd.INT}), can_omit_fields=True
    )
    step = store.put_execution_type(mlmd.ExecutionType(name="Step"), can_omit_fields=True)
    known: list[mlmd.Artifact] = []
    contexts: dict[tuple[str, str], int] = {}

    def context(kind: str, name: str) -> int:
        if (kind, name) not in contexts:
            made = mlmd.Context(type_id=kinds[kind], name=name)
            (contexts[kind, name],) = store.put_contexts([made])
        return contexts[kind, name]

    salt = chance.random()
    for number in range(executions):
        pipeline = context("pipeline", f"p{salt}")
        run = context("pipeline_run", f"run {salt} {number // 7}")
        if number % 7 == 0:
            store.put_parent_contexts([mlmd.ParentContext(parent_id=pipeline, child_id=run)])
        node = context("node", f"p{salt}.Step{number % 7}")
        execution = mlmd.Execution(
            type_id=step, name=f"{salt} {number}", last_known_state=chance.choice(_STATES)
        )
        execution.custom_properties["text"].string_value = chance.choice(TEXTS)
        execution.custom_properties["number"].int_value = chance.randint(-(2**31), 2**31 - 1)
        execution.custom_properties["fraction"].double_value = chance.random()
        (execution.id,) = store.put_executions([execution])
        store.put_attributions_and_associations(
            [],
            [
                mlmd.Association(execution_id=execution.id, context_id=c)
                for c in (pipeline, run, node)
            ],
        )
        made = []
        for index in range(chance.randint(1, 3)):
            artifact = mlmd.Artifact(
                type_id=model, uri=f"store://{salt}/{number}/{chance.choice(TEXTS)[:200]}/{index}"
            )
            artifact.properties["span"].int_value = number
            artifact.custom_properties["said"].string_value = chance.choice(TEXTS)
            made.append(artifact)
        for artifact, found in zip(made, store.put_artifacts(made), strict=True):
            artifact.id = found
        pairs = [(mlmd.Event.OUTPUT, artifact) for artifact in made]
        used = chance.sample(known, min(2, len(known)))
        pairs += [(mlmd.Event.INPUT, artifact) for artifact in used]
        events = []
        for index, (kind, artifact) in enumerate(pairs):
            event = mlmd.Event(artifact_id=artifact.id, execution_id=execution.id, type=kind)
            event.path.steps.add(key=f"key{index}")
            event.path.steps.add(index=0)
            events.append(event)
        store.put_events(events)
        store.put_attributions_and_associations(
            [mlmd.Attribution(artifact_id=a.id, context_id=run) for a in made], []
        )
        known += made
