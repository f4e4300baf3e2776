"""Which run's steps are told, in a real ML Metadata store in memory."""

import sqlite3

import pytest
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.metadata import runs, stores


@pytest.fixture
def store():
    config = mlmd.ConnectionConfig()
    config.fake_database.SetInParent()
    return metadata_store.MetadataStore(config)


def run(store, pipeline: str, name: str, *nodes: str) -> None:
    """Leaves what TFX leaves of a run; without nodes, of one that ran nothing."""

    def context(kind: str, called: str) -> mlmd.Context:
        return mlmd.Context(
            type_id=store.put_context_type(mlmd.ContextType(name=kind)), name=called
        )

    step = store.put_execution_type(mlmd.ExecutionType(name="Step"))
    if not nodes:
        store.put_contexts([context("pipeline_run", name)])
    for node in nodes:
        contexts = [
            context("pipeline", pipeline),
            context("pipeline_run", name),
            context("node", f"{pipeline}.{node}"),
        ]
        execution = mlmd.Execution(type_id=step, last_known_state=mlmd.Execution.COMPLETE)
        store.put_execution(execution, [], contexts, reuse_context_if_already_exist=True)


def test_nothing_has_run(store):
    assert runs.newest_run(store) == 0
    assert runs.latest_run(store) == {}


def test_latest_run_is_that_of_the_pipeline_and_since_then(store):
    run(store, "deeplab-sample", "first", "Trainer")
    before = runs.newest_run(store)
    assert set(runs.latest_run(store, "deeplab-sample")) == {"Trainer"}
    assert runs.latest_run(store, "deeplab-sample", since=before) == {}
    run(store, "deeplab-sample", "second", "Trainer", "Pusher")
    run(store, "deeplab-pascal", "third", "Evaluator")
    run(store, "deeplab-sample", "fourth")
    found = runs.latest_run(store, "deeplab-sample", since=before)
    assert set(found) == {"Trainer", "Pusher"}
    assert found["Pusher"].state == "complete"
    assert set(runs.latest_run(store)) == {"Evaluator"}


def test_the_newest_run_is_the_one_that_started_last_whatever_the_clock_said(tmp_path):
    database = tmp_path / "metadata.sqlite"
    store = stores.opened(f"sqlite:{database}")
    assert runs.newest_run_of(store, "deeplab-sample") is None
    for name in ("first", "second"):
        run(store, "deeplab-sample", name, "Trainer")
        of_pipeline = store.get_context_by_type_and_name("pipeline", "deeplab-sample")
        of_run = store.get_context_by_type_and_name("pipeline_run", name)
        store.put_parent_contexts(
            [mlmd.ParentContext(child_id=of_run.id, parent_id=of_pipeline.id)]
        )
    run(store, "deeplab-pascal", "third", "Trainer")
    # As after a clock that was set back for a year between the two.
    with sqlite3.connect(database) as connection:
        connection.execute(
            "UPDATE Context SET create_time_since_epoch = create_time_since_epoch - 31536000000 "
            "WHERE name = 'second'"
        )
    assert runs.newest_run_of(store, "deeplab-sample") == "second"
