"""Which earlier artifacts a run builds on: the baseline, the data behind it, the window of spans.

Each strategy leaves out what this run made itself, so that an unchanged run resolves the same
inputs again and is answered from the cache.
"""

from collections.abc import Iterable

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.dsl.components.common.resolver import ResolverStrategy


class LatestOtherBlessedModelStrategy(ResolverStrategy):
    """The model that was blessed last and is not the candidate itself.

    TFX's own strategy gives the latest blessed model. When a run is repeated unchanged, that is
    the candidate: it would be measured against itself and pushed again.
    """

    def resolve_artifacts(self, store, input_dict):
        """See the base class; the keys are `candidate`, `model` and `model_blessing`."""
        del store
        candidates = {artifact.id for artifact in input_dict["candidate"]}
        blessings = _blessings(input_dict["model_blessing"])
        models = [
            artifact
            for artifact in input_dict["model"]
            if artifact.id in blessings and artifact.id not in candidates
        ]
        latest = max(models, key=lambda artifact: blessings[artifact.id].id, default=None)
        return {
            "candidate": input_dict["candidate"],
            "model": [latest] if latest else [],
            "model_blessing": [blessings[latest.id]] if latest else [],
        }


class BlessedDataStrategy(ResolverStrategy):
    """The data gate's report on the newest data behind the model that was blessed last.

    Models that learned from the records of this run are left out.
    """

    def resolve_artifacts(self, store, input_dict):
        """See the base class; the keys are `examples`, `model`, `model_blessing` and `report`."""
        current = {artifact.id for artifact in input_dict["examples"]}
        blessings = _blessings(input_dict["model_blessing"])
        reports = {
            examples: report
            for report in input_dict["report"]
            for examples in _inputs_of_producer(store, report.id, "examples")
        }
        found = []
        blessed = [model for model in input_dict["model"] if model.id in blessings]
        for model in sorted(blessed, key=lambda artifact: -blessings[artifact.id].id):
            learned_from = _inputs_of_producer(store, model.id, "examples")
            if not current & set(learned_from):
                known = sorted(set(learned_from) & set(reports))
                found = [reports[known[-1]]] if known else []
                break
        return {**input_dict, "model": [], "model_blessing": [], "report": found}


class GatedSpansStrategy(ResolverStrategy):
    """The records of the newest spans, those that the data gate let pass.

    TFX's `SpanRangeStrategy` takes any span that was ever ingested, also one that the gate has
    refused.

    Args:
        window: how many spans; 0 is all.
    """

    def __init__(self, window: int):
        self._window = window

    def resolve_artifacts(self, store, input_dict):
        """See the base class; the keys are `current`, `examples` and `report`."""
        (current,) = input_dict["current"]
        passed = {
            examples
            for report in input_dict["report"]
            for examples in _inputs_of_producer(store, report.id, "examples")
        }
        origin = _input_base(store, current.id)
        newest: dict[int, object] = {}
        for examples in sorted(input_dict["examples"], key=lambda artifact: artifact.id):
            known = examples.id in passed or examples.id == current.id
            if known and _span(examples) <= _span(current):
                if _input_base(store, examples.id) == origin:
                    newest[_span(examples)] = examples
        # A cached run gives out an artifact that another one of the same span may be newer than.
        newest[_span(current)] = current
        spans = sorted(newest)[-self._window :]
        return {**input_dict, "examples": [newest[span] for span in spans]}


def _blessings(artifacts: Iterable) -> dict[int, object]:
    """The last blessing that says yes, by the id of the model."""
    return {
        artifact.get_int_custom_property("current_model_id"): artifact
        for artifact in sorted(artifacts, key=lambda artifact: artifact.id)
        if artifact.get_int_custom_property("blessed") == 1
    }


def _span(examples) -> int:
    """Which span records are of; ExampleGen writes it beside the property that TFX declares."""
    return examples.get_int_custom_property("span")


def _producer(store: metadata_store.MetadataStore, artifact: int) -> int | None:
    """The execution that made an artifact; the cache may have given it out again later."""
    events = store.get_events_by_artifact_ids([artifact])
    made = [event.execution_id for event in events if event.type == mlmd.Event.OUTPUT]
    return min(made, default=None)


def _inputs_of_producer(store: metadata_store.MetadataStore, artifact: int, key: str) -> list[int]:
    """Ids of the artifacts that went into an artifact's making under `key`."""
    execution = _producer(store, artifact)
    if execution is None:
        return []
    return [
        event.artifact_id
        for event in store.get_events_by_execution_ids([execution])
        if event.type == mlmd.Event.INPUT and event.path.steps[0].key == key
    ]


def _input_base(store: metadata_store.MetadataStore, artifact: int) -> str:
    """The folder that records were ingested from."""
    (execution,) = store.get_executions_by_id([_producer(store, artifact)])
    return execution.custom_properties["input_base"].string_value
