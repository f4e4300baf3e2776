"""Copies of ML Metadata from file to file: equal, or refused."""

import random
import subprocess
import sys

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.errors import ConfigError
from components.metadata import copying, runs, stores
from tests.components.metadata.graphs import filled
from tests.conftest import REPOSITORY


def store_at(path):
    return stores.opened(f"sqlite:{path}")


@pytest.mark.parametrize("seed", range(6))
def test_a_copy_of_runs_of_any_shape_is_equal_to_them(tmp_path, seed):
    chance = random.Random(seed)
    source, target = store_at(tmp_path / "a"), store_at(tmp_path / "b")
    for _ in range(chance.randint(1, 3)):
        filled(source, chance, executions=chance.randint(1, 30))
    assert copying.copy(source, target) == copying.counts(source)
    assert copying.identity(target) == copying.identity(source)
    before, after = runs.all_steps(source), runs.all_steps(target)
    assert [(s.node_id, s.state, s.started, s.seconds) for s in after] == [
        (s.node_id, s.state, s.started, s.seconds) for s in before
    ]
    # Of a copy of the copy, too.
    third = store_at(tmp_path / "c")
    copying.copy(target, third)
    assert copying.identity(third) == copying.identity(source)


@pytest.mark.parametrize("seed", range(12))
def test_any_change_is_seen_in_the_identity(tmp_path, seed):
    chance = random.Random(seed)
    store = store_at(tmp_path / "a")
    filled(store, chance, executions=9)
    before = copying.identity(store)
    match seed % 4:
        case 0:
            execution = chance.choice(store.get_executions())
            execution.custom_properties["text"].string_value += "!"
            store.put_executions([execution])
        case 1:
            artifact = chance.choice(store.get_artifacts())
            artifact.uri += "x"
            store.put_artifacts([artifact])
        case 2:
            execution = chance.choice(store.get_executions())
            execution.last_known_state = mlmd.Execution.CANCELED
            store.put_executions([execution])
        case _:
            store.put_events(
                [
                    mlmd.Event(
                        artifact_id=store.get_artifacts()[0].id,
                        execution_id=store.get_executions()[-1].id,
                        type=mlmd.Event.DECLARED_INPUT,
                    )
                ]
            )
    assert copying.identity(store) != before


def test_what_holds_something_is_no_target(tmp_path):
    source, target = store_at(tmp_path / "a"), store_at(tmp_path / "b")
    filled(source, random.Random(0), executions=3)
    filled(target, random.Random(1), executions=1)
    with pytest.raises(ConfigError, match="expected an empty database to copy into; got 2"):
        copying.copy(source, target)


def test_a_copy_that_did_not_end_is_not_taken_for_one(tmp_path):
    source, target = store_at(tmp_path / "a"), store_at(tmp_path / "b")
    filled(source, random.Random(0), executions=3)

    class EndedError(Exception):
        pass

    def end(events):
        raise EndedError

    target.put_events = end
    with pytest.raises(EndedError):
        copying.copy(source, target)
    with pytest.raises(ConfigError, match="a copy that did not end"):
        copying.copy(source, store_at(tmp_path / "b"))


def command(*arguments) -> subprocess.CompletedProcess:
    words = [sys.executable, "-m", "pipeline", "metadata", "copy", *map(str, arguments)]
    return subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True)


def test_the_command_copies_a_file_and_refuses_to_overwrite_one(tmp_path):
    filled(store_at(tmp_path / "a"), random.Random(0), executions=3)
    uris = [f"sqlite:{tmp_path / name}" for name in ("a", "new/b")]
    done = command(*uris)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 executions" in done.stdout and "both sides are equal" in done.stdout
    assert not list(tmp_path.glob("new/*.part"))
    again = command(*uris)
    assert again.returncode == 2 and "expected no file at" in again.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("uris", "wrong"),
    [
        (("sqlite:/nowhere/x", "sqlite:/nowhere/y"), "got no such file"),
        (("sqlite:", "sqlite:/nowhere/y"), "got 'sqlite'"),
        (("mysql://me@localhost/db", "sqlite:/nowhere/y"), "a Unix socket"),
    ],
)
def test_what_is_no_metadata_is_refused(uris, wrong):
    done = command(*uris)
    assert done.returncode == 2 and wrong in done.stdout
