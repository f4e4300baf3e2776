"""What a run builds on, found in a real ML Metadata store in memory."""

import pytest
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

pytestmark = pytest.mark.slow  # `import tfx` takes half a minute


class History:
    """Executions and artifacts as the pipeline's steps leave them."""

    def __init__(self):
        config = mlmd.ConnectionConfig()
        config.fake_database.SetInParent()
        self.store = metadata_store.MetadataStore(config)
        self._types = {}

    def execute(self, inputs: dict, output, **properties) -> None:
        """One execution; gives `output`, an artifact of TFX, its id."""
        execution = mlmd.Execution(type_id=self._execution_type())
        for name, value in properties.items():
            execution.custom_properties[name].string_value = value
        kind = type(output).TYPE_NAME
        if kind not in self._types:
            self._types[kind] = self.store.put_artifact_type(mlmd.ArtifactType(name=kind))
        made = mlmd.Artifact(type_id=self._types[kind], uri=f"/{kind}")
        events = []
        for key, artifacts in inputs.items():
            for artifact in artifacts:
                event = mlmd.Event(type=mlmd.Event.INPUT, artifact_id=artifact.id)
                event.path.steps.add().key = key
                known = mlmd.Artifact(id=artifact.id, type_id=artifact.type_id, uri=artifact.uri)
                events.append((known, event))
        event = mlmd.Event(type=mlmd.Event.OUTPUT)
        event.path.steps.add().key = "output"
        _, ids, _ = self.store.put_execution(execution, [*events, (made, event)], [])
        output.id, output.type_id, output.uri = ids[-1], self._types[kind], made.uri

    def _execution_type(self) -> int:
        return self.store.put_execution_type(mlmd.ExecutionType(name="Step"))


@pytest.fixture
def history():
    return History()


def ingest(history, span: int, base: str = "/spans"):
    from tfx.types import standard_artifacts

    examples = standard_artifacts.Examples()
    examples.set_int_custom_property("span", span)
    history.execute({}, examples, input_base=base)
    return examples


def let_pass(history, examples):
    from components.artifacts import DataReport

    report = DataReport()
    history.execute({"examples": [examples]}, report)
    return report


def train(history, examples: list, blessed: bool):
    from tfx.types import standard_artifacts

    model, blessing = standard_artifacts.Model(), standard_artifacts.ModelBlessing()
    history.execute({"examples": examples}, model)
    history.execute({"model": [model]}, blessing)
    blessing.set_int_custom_property("blessed", int(blessed))
    blessing.set_int_custom_property("current_model_id", model.id)
    return model, blessing


def window(history, size: int, current, examples, reports) -> list[int]:
    from components.resolvers import GatedSpansStrategy

    inputs = {"current": [current], "examples": examples, "report": reports}
    resolved = GatedSpansStrategy(size).resolve_artifacts(history.store, inputs)
    return [artifact.get_int_custom_property("span") for artifact in resolved["examples"]]


def blessed_report(history, current, trained, reports):
    from components.resolvers import BlessedDataStrategy

    inputs = {
        "examples": [current],
        "model": [model for model, _ in trained],
        "model_blessing": [blessing for _, blessing in trained],
        "report": reports,
    }
    return BlessedDataStrategy().resolve_artifacts(history.store, inputs)["report"]


@pytest.mark.parametrize(
    ("size", "spans"), [(0, [1, 2, 3, 4]), (1, [4]), (2, [3, 4]), (9, [1, 2, 3, 4])]
)
def test_window_holds_the_newest_spans(history, size, spans):
    examples = [ingest(history, span) for span in (1, 2, 3, 4)]
    reports = [let_pass(history, each) for each in examples]
    assert window(history, size, examples[-1], examples, reports) == spans


def test_window_leaves_out_a_span_that_the_gate_refused(history):
    examples = [ingest(history, span) for span in (1, 2, 3)]
    reports = [let_pass(history, examples[0]), let_pass(history, examples[2])]
    assert window(history, 2, examples[-1], examples, reports) == [1, 3]


def test_window_takes_the_newest_version_of_a_span_and_no_other_folder(history):
    old, new = ingest(history, 1), ingest(history, 1)
    elsewhere, current = ingest(history, 1, base="/elsewhere"), ingest(history, 2)
    examples = [old, new, elsewhere, current]
    reports = [let_pass(history, each) for each in examples]
    from components.resolvers import GatedSpansStrategy

    inputs = {"current": [current], "examples": examples, "report": reports}
    resolved = GatedSpansStrategy(0).resolve_artifacts(history.store, inputs)["examples"]
    assert [artifact.id for artifact in resolved] == [new.id, current.id]


def test_blessed_data_is_that_of_the_latest_blessed_model(history):
    first, second, third = (ingest(history, span) for span in (1, 2, 3))
    reports = [let_pass(history, each) for each in (first, second, third)]
    trained = [train(history, [first], blessed=True), train(history, [first, second], blessed=True)]
    assert blessed_report(history, third, trained, reports) == [reports[1]]
    refused = train(history, [second], blessed=False)
    assert blessed_report(history, third, [trained[0], refused], reports) == [reports[0]]


def test_blessed_data_is_never_that_of_this_very_run(history):
    first, second = ingest(history, 1), ingest(history, 2)
    reports = [let_pass(history, first), let_pass(history, second)]
    assert blessed_report(history, first, [train(history, [first], True)], reports) == []
    trained = [train(history, [first], True), train(history, [first, second], True)]
    # A repeated run must find what the first one found, or the cache could not answer.
    assert blessed_report(history, second, trained, reports) == [reports[0]]


def test_nothing_is_blessed_yet(history):
    examples = ingest(history, 1)
    assert blessed_report(history, examples, [], [let_pass(history, examples)]) == []


def baseline(history, candidate, models, blessings):
    from components.resolvers import LatestOtherBlessedModelStrategy

    inputs = {"candidate": [candidate], "model": models, "model_blessing": blessings}
    return LatestOtherBlessedModelStrategy().resolve_artifacts(history.store, inputs)["model"]


def test_baseline_is_what_was_blessed_last_not_what_was_trained_last(history):
    from tfx.types import standard_artifacts

    examples = ingest(history, 1)
    (first, bless_first), (second, bless_second) = (train(history, [examples], True) for _ in "ab")
    candidate, _ = train(history, [examples], False)
    models, blessings = [first, second, candidate], [bless_first, bless_second]
    assert baseline(history, candidate, models, blessings) == [second]
    # The first configuration ran again: its model came from the cache and was blessed anew.
    again = standard_artifacts.ModelBlessing()
    history.execute({"model": [first]}, again)
    again.set_int_custom_property("blessed", 1)
    again.set_int_custom_property("current_model_id", first.id)
    assert baseline(history, candidate, models, [*blessings, again]) == [first]
    assert baseline(history, first, models, [*blessings, again]) == [second]
