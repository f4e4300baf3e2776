"""Going back, promoting and looking back, as a person types it; ML Metadata knows who did what."""

import io
import json
import os
import re
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd
from rich.console import Console

from components.errors import ConfigError
from components.metadata import decisions, runs, stores
from components.runtime import Signing
from components.serving import models_config, versions
from components.serving.signing import keys
from components.storage.locks import only_run
from pipeline import commands
from tests.components.serving.model_folders import make_model, push


@pytest.fixture
def output(tmp_path) -> Path:
    return tmp_path / "output"


@pytest.fixture
def folder(output) -> str:
    return str(output / "serving" / "deeplab")


@pytest.fixture
def model(tmp_path):
    return lambda letter: make_model(tmp_path / f"model-{letter}", "sample", letter.encode())


@pytest.fixture
def pushed(folder, model):
    """Pushes models A, B, … of growing mean IoU, the first as stable, the last as canary."""

    def pushed(letters: str) -> list[str]:
        made = []
        for index, letter in enumerate(letters):
            version = push(model(letter), folder, letter.lower(), mean_iou=0.5 + index / 10)
            models_config.label(folder, int(os.path.basename(version)), "canary")
            made.append(version)
        return made

    return pushed


@pytest.fixture
def say(output):
    """What a verb prints."""

    def say(*words: str, width: int = 200) -> str:
        arguments = commands.parser().parse_args([*words, "--output", str(output)])
        shown = io.StringIO()
        module = __import__(f"pipeline.commands.{arguments.verb}", fromlist=["main"])
        module.main(arguments, Console(file=shown, width=width))
        return shown.getvalue()

    return say


@pytest.fixture
def store(output):
    return lambda: stores.opened(f"sqlite:{output / 'metadata.sqlite'}")


def executions(store) -> list[tuple[str, str, dict]]:
    """Kind, state and words of what people did."""
    kinds = {kind.id: kind.name for kind in store.get_execution_types()}
    return [
        (
            kinds[each.type_id],
            mlmd.Execution.State.Name(each.last_known_state),
            {key: value.string_value for key, value in each.custom_properties.items()},
        )
        for each in store.get_executions()
    ]


def number(version: str) -> int:
    return int(os.path.basename(version))


def test_back_and_forth(pushed, folder, say, store):
    a, b = pushed("AB")
    said = say("rollback", "--reason", "horses are cows")
    copy = versions.newest_version(folder)
    assert said == (
        f"Served now: {copy}, a copy of version {number(a)}, in place of version {number(b)}\n"
    )
    assert models_config.labels(folder) == {"stable": number(copy)}
    say("rollback", str(number(b)))
    assert versions.content(versions.newest_version(folder)) == versions.content(b)
    (first, second) = executions(store())
    assert first[:2] == second[:2] == ("Rollback", "COMPLETE")
    assert first[2]["reason"] == "horses are cows" and " on " in first[2]["by"]


def test_a_copy_of_a_signed_version_is_signed_with_the_environments_key(
    pushed, folder, model, say, store, tmp_path
):
    keys.make_pair(str(tmp_path / "keys"), None)
    place = tmp_path / "mine.toml"
    place.write_text(
        'root = "output"\nmetadata = "sqlite:{root}/metadata.sqlite"\n[signing]\n'
        f'private_key = "{tmp_path}/keys/{keys.PRIVATE}"\n'
    )
    private = str(tmp_path / "keys" / keys.PRIVATE)
    a = push(model("A"), folder, "a", signing=Signing(private_key=private))
    (b,) = pushed("B")
    said = say("rollback", "--environment", str(place))
    copy = versions.newest_version(folder)
    assert "; the copy is signed\n" in said
    public = str(tmp_path / "keys" / keys.PUBLIC)
    assert f"and the number {number(copy)}\n" in say("verify", "--public-key", public)
    with pytest.raises(ConfigError, match=r"it is not signed, and not by .*to fix, choose another"):
        say("rollback", str(number(b)), "--environment", str(place))
    assert len(executions(store())) == 1
    pushed("C")
    assert "; the copy is not signed, as that was\n" in say("rollback", str(number(copy)))
    os.remove(private)
    before = versions.versions(folder)
    with pytest.raises(ConfigError, match="expected a private key"):
        say("rollback", str(number(a)), "--environment", str(place))
    assert versions.versions(folder) == before


def test_what_was_changed_beside_the_model_is_not_rolled_back_to(pushed, folder, say):
    """Its content hash does not cover what it says of itself; the attestation does."""
    a, b = pushed("AB")
    Path(a, "assets.extra", "data_report.json").write_text("[]")
    assert versions.is_unharmed(a)
    with pytest.raises(ConfigError, match=r"assets.extra/data_report.json was changed; to fix"):
        say("rollback")
    assert versions.versions(folder) == [b, a]


def test_who_went_from_what_to_what_is_in_ml_metadata(pushed, folder, say, store):
    a, b = pushed("AB")
    say("rollback")
    say("rollback", str(number(b)))
    copy, again = versions.versions(folder)[1::-1]
    found = {}
    for step in runs.all_steps(store()):
        events = store().get_events_by_execution_ids([step.execution_id])
        artifacts = {
            each.id: each.custom_properties["pushed_destination"].string_value
            for each in store().get_artifacts_by_id([event.artifact_id for event in events])
        }
        for event in events:
            way = mlmd.Event.Type.Name(event.type)
            place = step.execution_id, way, event.path.steps[0].key
            found[place] = artifacts[event.artifact_id]
    assert found == {
        (1, "INPUT", "served"): b,
        (1, "INPUT", "target"): a,
        (1, "OUTPUT", "pushed_model"): copy,
        (2, "INPUT", "served"): copy,
        (2, "INPUT", "target"): b,
        (2, "OUTPUT", "pushed_model"): again,
    }
    # The second rollback starts from the very artifact that the first one gave.
    assert len(store().get_artifacts_by_type("PushedModel")) == 4
    (step, _) = runs.all_steps(store())
    given = step.outputs["pushed_model"][0]
    assert given.properties["pushed_content"] == versions.content(copy)
    assert (step.node_id, given.uri) == ("Rollback", copy)
    # It is no run: the next one does not go on from it.
    assert runs.latest_run(store()) == {} and runs.newest_run(store()) == 0


def test_a_canary_becomes_stable(pushed, folder, say, store):
    a, b = pushed("AB")
    assert models_config.labels(folder) == {"stable": number(a), "canary": number(b)}
    said = say("promote", "--reason", "a quiet week")
    assert said == f"Stable now: {b}, in place of version {number(a)}\n"
    assert models_config.labels(folder) == {"stable": number(b)}
    assert versions.versions(folder) == [b, a]
    ((kind, state, words),) = executions(store())
    assert (kind, state, words["reason"]) == ("Promote", "COMPLETE", "a quiet week")
    with pytest.raises(ConfigError, match=rf"got {b}, which is both; to fix, push another"):
        say("promote")
    assert len(executions(store())) == 1


def test_a_rollback_is_stable_at_once_and_ends_a_canary(pushed, folder, say):
    pushed("ABC")
    assert len(models_config.labels(folder)) == 2
    say("rollback")
    assert models_config.labels(folder) == {"stable": number(versions.newest_version(folder))}


def test_history_tells_all_of_it(pushed, folder, say):
    a, b = pushed("AB")
    say("rollback")
    copy = versions.newest_version(folder)
    narrow = [line.split() for line in say("history", width=80).splitlines()]
    assert [line[-1] for line in narrow if line[:1] == [str(number(b))]] == [str(number(copy))]
    (c,) = pushed("C")
    os.mkdir(os.path.join(folder, "9999999999"))
    Path(a, "variables", "data").write_bytes(b"other")
    rows = {}
    for line in say("history").splitlines():
        cells = re.split(r"\s{2,}", line.strip())
        if cells[0].isdigit():
            rows[int(cells[0])] = cells[1:]
    assert list(rows) == [9999999999, *(number(v) for v in (c, copy, b, a))]
    assert rows[9999999999][-1] == "served, no model in it"
    assert rows[number(c)] == ["2026-01-02 03:04", "50.0 %", "c", "canary"]
    assert rows[number(copy)][-1] == f"stable, copy of {number(a)}"
    assert rows[number(copy)][1:3] == ["50.0 %", "a"]
    assert rows[number(b)][1:3] == ["60.0 %", "b"]
    assert rows[number(b)][-1] == f"replaced by {number(copy)}"
    assert rows[number(a)][-1] == "files were changed"


def test_what_older_code_or_something_else_pushed_is_shown_too(pushed, folder, say):
    a, b = pushed("AB")
    known = Path(a, "assets.extra", "provenance.json")
    older = json.loads(known.read_text())
    known.write_text(json.dumps({k: older[k] for k in ("made_from", "pipeline", "pushed_at")}))
    Path(b, "assets.extra", "provenance.json").unlink()
    first, second = (line for line in say("history").splitlines() if re.match(r"\s*\d", line))
    assert "not by this pipeline" in first
    assert re.search(r"2026-01-02 03:04\s+–\s+a\s+stable\s*$", second)


@pytest.mark.parametrize("verb", ["rollback", "promote", "history"])
def test_where_nothing_was_pushed_it_is_said(say, verb, output):
    with pytest.raises(ConfigError, match=r"expected versions in .*deeplab; got none; to fix, "):
        say(verb)
    assert not output.exists()


@pytest.mark.parametrize("verb", ["rollback", "promote"])
def test_not_beside_a_run(pushed, folder, say, verb, output):
    pushed("AB")
    before = versions.versions(folder), models_config.labels(folder)
    with only_run("there", output / ".run.lock"):
        with pytest.raises(ConfigError, match="expected one run at a time"):
            say(verb)
    assert (versions.versions(folder), models_config.labels(folder)) == before
    say("history")


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_what_failed_is_recorded_as_failed(store, output, error):
    output.mkdir()
    opened = store()
    with pytest.raises(error):
        with decisions.decision(opened, "Rollback", "deeplab-sample", {"served": "/s/1"}, {}):
            (state,) = (each[1] for each in executions(opened))
            assert state == "RUNNING"
            raise error
    assert [each[1] for each in executions(opened)] == ["FAILED"]


def test_the_environment_says_where(pushed, folder, tmp_path, capsys):
    pushed("AB")
    place = tmp_path / "there.toml"
    place.write_text(f'root = "{tmp_path / "output"}"\nmetadata = "sqlite:{{root}}/m.sqlite"\n')
    with pytest.raises(SystemExit) as ended:
        commands.main(["rollback", "--environment", str(place)])
    assert ended.value.code == 0
    assert (tmp_path / "output" / "m.sqlite").exists()
    with pytest.raises(SystemExit) as ended:
        commands.main(["rollback", "12", "--environment", str(place)])
    assert ended.value.code == 2
    assert "to fix, choose one by `python -m pipeline history`" in " ".join(
        capsys.readouterr().out.split()
    )
