"""ML Metadata on the real PostgreSQL and MariaDB: connections, refusals, servers that go away."""

import random
import threading
import time

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components import private_names
from components.errors import ConfigError, PipelineError
from components.metadata import copying, runs, stores
from tests.components.metadata.graphs import filled
from tests.databases import servers

pytestmark = [pytest.mark.needs_more]

VARIABLE = "METADATA_PASSWORD"


@pytest.fixture(scope="module")
def store(server):
    """The writer's ML Metadata; the first to open it makes its tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, servers.PASSWORD)
        return stores.opened(server.uri(), VARIABLE)


def test_a_run_is_read_back_from_a_server(store):
    stores.require_writable(store)
    stores.require_writable(store)  # The probe is there already.
    filled(store, random.Random(1), executions=20)
    assert {step.state for step in runs.all_steps(store)} >= {"complete"}


def test_artifacts_come_in_the_order_in_which_they_are_asked_for(store):
    known = [artifact.id for artifact in store.get_artifacts()]
    for seed in range(9):
        random.Random(seed).shuffle(known)
        asked = [*known[:5], 10**9, *known[5:]]
        assert [artifact.id for artifact in store.get_artifacts_by_id(asked)] == known


def test_a_copy_there_and_back_is_equal(server, tmp_path):
    first = stores.opened(f"sqlite:{tmp_path / 'first'}")
    filled(first, random.Random(2), executions=60)
    there = stores.opened(server.uri(database="other"), VARIABLE)
    assert copying.copy(first, there) == copying.counts(first)
    back = stores.opened(f"sqlite:{tmp_path / 'back'}")
    copying.copy(there, back)
    assert copying.identity(back) == copying.identity(first) == copying.identity(there)
    with pytest.raises(ConfigError, match="expected an empty database to copy into"):
        copying.copy(first, there)


@pytest.mark.parametrize(
    ("user", "database", "wrong"),
    [("nobody", servers.DATABASE, "nobody"), ("writer", "nothere", "nothere")],
)
def test_a_server_that_refuses_is_said_with_its_words(server, store, user, database, wrong):
    with pytest.raises(ConfigError) as caught:
        stores.opened(server.uri(user, database), VARIABLE)
    message = str(caught.value)
    assert wrong in message and "to fix, see that the database is there" in message
    assert servers.PASSWORD not in message
    if server.scheme == "mysql":
        assert "an anonymous user" in message


def test_a_wrong_password_is_refused_and_not_said(server, store, monkeypatch):
    monkeypatch.setenv(VARIABLE, "another'one\\")
    with pytest.raises(ConfigError) as caught:
        stores.opened(server.uri(), VARIABLE)
    assert "password" in str(caught.value) and "another" not in str(caught.value)


def test_who_may_only_read_is_refused_before_a_run(server, store):
    reader = stores.opened(server.uri("reader"), VARIABLE)
    assert reader.get_artifact_types()
    with pytest.raises(ConfigError, match=r"(?i)one who may not: .*(denied|permission)"):
        stores.require_writable(reader)


def test_an_unset_variable_is_named(server, monkeypatch):
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(ConfigError, match=f"variable {VARIABLE}; got none"):
        stores.opened(server.uri(), VARIABLE)


def test_a_server_that_goes_away_is_waited_for(server, store):
    before = len(store.get_executions())
    server.stop()
    back = threading.Thread(target=lambda: (time.sleep(2), server.start()))
    back.start()
    try:
        kind = store.put_execution_type(mlmd.ExecutionType(name="after"))
        store.put_executions([mlmd.Execution(type_id=kind)])
    finally:
        back.join()
    assert len(store.get_executions()) == before + 1


def test_a_server_that_stays_away_ends_with_a_sentence(server, store, monkeypatch):
    monkeypatch.setattr(private_names, "PATIENCE_SECONDS", 1)
    server.stop()
    try:
        with pytest.raises(PipelineError, match="expected ML Metadata's server to come back"):
            store.get_executions()
        with pytest.raises(ConfigError, match=r"expected a server of ML Metadata at 127\.0\.0\.1"):
            stores.opened(server.uri(), VARIABLE)
    finally:
        server.start()
    assert store.get_executions()
