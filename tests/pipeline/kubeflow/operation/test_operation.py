"""Submit, watch, stop, against a server that judges every request by the API's definition."""

import importlib
import re
import subprocess
import sys

import pytest
from rich.console import Console

from pipeline import commands
from pipeline.kubeflow.operation import service as services
from tests.conftest import REPOSITORY
from tests.pipeline.kubeflow import small_pipeline
from tests.pipeline.kubeflow.operation.fake_api import FakeApi

pytestmark = pytest.mark.slow

TOKEN = "very-secret-token"


@pytest.fixture
def fake():
    server = FakeApi()
    yield server
    server.close()
    assert not server.faults


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(services, "_FIRST_PAUSE", 0.001)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "deeplab.yaml"
    path.write_bytes(small_pipeline.written(small_pipeline.pipeline()))
    return path


def run(*words: str) -> tuple[int, str]:
    """Exit code and output of a command, in this process: what is said comes from its errors."""
    arguments = commands.parser().parse_args(list(words))
    console = Console(record=True, width=10_000, file=open("/dev/null", "w"))
    module = importlib.import_module(f"pipeline.commands.{arguments.verb}")
    try:
        module.main(arguments, console)
        code = 0
    except Exception as error:
        code = getattr(error, "exit_code", 1)
        console.print(str(error), markup=False)
    return code, console.export_text()


def submit(fake, file, *words: str) -> tuple[int, str]:
    return run("submit", str(file), "--host", fake.address, "--poll-seconds", "0", *words)


def test_the_same_file_is_one_version_and_a_changed_one_another(fake, file):
    for count in (1, 2):
        code, said = submit(fake, file)
        assert code == 0, said
        assert len(fake.versions) == 1 and len(fake.runs) == count
    (kept,) = fake.files.values()
    assert kept == file.read_bytes()
    file.write_bytes(file.read_bytes() + b"# changed\n")
    assert submit(fake, file)[0] == 0
    assert len(fake.pipelines) == 1 and len(fake.versions) == 2 and len(fake.runs) == 3
    first, *_, last = fake.runs.values()
    versions = [r["pipeline_version_reference"]["pipeline_version_id"] for r in (first, last)]
    assert versions == list(fake.versions)
    root = small_pipeline.pipeline()["defaultPipelineRoot"]
    for each in fake.runs.values():
        assert each["runtime_config"]["pipeline_root"] == root


@pytest.mark.parametrize(
    "method",
    [
        "pipeline_service_get_pipeline_by_name",
        "pipeline_service_create_pipeline",
        "pipeline_service_list_pipeline_versions",
        "upload_pipeline_version",
        "run_service_create_run",
        "experiment_service_create_experiment",
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("fault", [(500, {}), (503, {}), (429, {}), ("drop", b"")])
def test_one_fault_of_any_request_is_overcome_and_nothing_is_made_twice(
    fake, file, method, when, fault
):
    hook = lambda name, count: fault if name == method and count == 1 else None  # noqa: E731
    setattr(fake, when, hook)
    code, said = submit(fake, file, "--experiment", "nightly")
    assert code == 0, said
    counts = [len(t) for t in (fake.pipelines, fake.versions, fake.runs, fake.experiments)]
    assert counts == [1, 1, 1, 1]
    (made,) = fake.runs.values()
    assert made["experiment_id"] in fake.experiments


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ((401, {"message": "no"}), 2, "export a fresh token"),
        ((403, {"message": "no"}), 2, "may use the namespace"),
        ((400, {"message": "bad filter"}), 2, "bad filter"),
        ((500, {"message": "database"}), 7, "see the log of ml-pipeline"),
        ((429, {}), 7, "wait, and submit again"),
        (("drop", b""), 7, "see that the address is right"),
        ((200, b"<html>Log in</html>"), 7, "perhaps a login"),
    ],
)
def test_a_fault_that_stays_has_its_sentence_and_makes_nothing(fake, file, answer, code, words):
    fake.before = lambda name, count: answer
    found, said = submit(fake, file)
    assert found == code and words in said and "to fix" in said
    assert not fake.runs and not fake.versions


def test_a_host_that_is_not_there(file):
    code, said = run("submit", str(file), "--host", "http://127.0.0.1:1")
    assert code == 7 and "Connection refused" in said
    code, said = run("submit", str(file), "--host", "localhost:8080")
    assert code == 2 and "expected --host as http://" in said


def test_a_token_is_sent_and_never_said(file, monkeypatch, caplog):
    fake = FakeApi(token=TOKEN)
    monkeypatch.setenv("KUBEFLOW_TOKEN", TOKEN)
    try:
        code, said = submit(fake, file, "--token-variable", "KUBEFLOW_TOKEN")
        assert code == 0, said
        monkeypatch.setenv("KUBEFLOW_TOKEN", TOKEN + "old")
        refused, complaint = submit(fake, file, "--token-variable", "KUBEFLOW_TOKEN")
        assert refused == 2 and "fresh token" in complaint
        assert TOKEN not in said + complaint + caplog.text
        assert run("status", "--host", fake.address, "--token-variable", "NOWHERE")[0] == 2
    finally:
        fake.close()


def test_nothing_is_sent_of_a_file_or_parameters_that_are_not_fit(fake, file):
    code, said = submit(fake, file, "--parameter", "unheard=1")
    assert code == 2 and "unheard" in said
    file.write_text(file.read_text().replace("schemaVersion: 2.1.0", "schemaVersion: 2.0.0"))
    assert submit(fake, file)[0] == 2
    assert not fake.requests


def test_a_recurring_run_is_changed_and_not_doubled(fake, file):
    every = ("--every", "0 3 * * *")
    assert submit(fake, file, *every)[0] == 0
    (first,) = fake.recurring
    assert fake.recurring[first]["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * *"
    code, said = submit(fake, file, *every)
    assert code == 0 and "unchanged" in said and list(fake.recurring) == [first]
    file.write_bytes(file.read_bytes() + b"# changed\n")
    assert submit(fake, file, *every)[0] == 0
    (second,) = fake.recurring
    assert second != first
    assert submit(fake, file, "--every", "30 4 * * 1-5")[0] == 0
    (third,) = fake.recurring.values()
    assert third["trigger"]["cron_schedule"]["cron"] == "0 30 4 * * 1-5"
    assert not fake.runs


def test_a_submission_killed_between_two_recurring_runs_is_mended_by_the_next(fake, file):
    assert submit(fake, file, "--every", "0 3 * * *")[0] == 0
    deletion = "recurring_run_service_delete_recurring_run"
    fake.before = lambda name, count: (403, {}) if name == deletion else None
    assert submit(fake, file, "--every", "0 4 * * *")[0] == 2
    assert len(fake.recurring) == 2
    fake.before = lambda name, count: None
    assert submit(fake, file, "--every", "0 4 * * *")[0] == 0
    (left,) = fake.recurring.values()
    assert left["trigger"]["cron_schedule"]["cron"] == "0 0 4 * * *"


@pytest.mark.parametrize("cron", ["", "0 3 * *", "0 0 3 * * *", "now", "0 3 * * * ; rm"])
def test_what_is_no_schedule_is_refused(fake, file, cron):
    if cron:
        code, said = submit(fake, file, "--every", cron)
        assert code == 2 and "five fields" in said
    assert not fake.requests


def task(name: str, state: str, number: int, **more) -> dict:
    stamp = f"2026-01-01T00:00:{number:02}Z"
    return {
        "display_name": name,
        "state": state,
        "pod_name": f"pod-{number}",
        "create_time": stamp,
    } | more


STATES = [
    ("RUNNING", [task("train", "RUNNING", 1), task("root-driver", "SUCCEEDED", 0)]),
    ("RUNNING", [task("train", "SUCCEEDED", 1), task("push", "RUNNING", 2)]),
]


def play(fake, states):
    """Has every look at a run find the next state."""
    waiting = list(states)

    def before(name, count):
        if name == "run_service_get_run" and waiting:
            state, tasks = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            for each in fake.runs.values():
                each |= {"state": state, "run_details": {"task_details": tasks}}
        return None

    fake.before = before


def test_watching_prints_a_line_for_each_change_until_the_end(fake, file):
    end = [task("train", "SUCCEEDED", 1), task("push", "SUCCEEDED", 2)]
    play(fake, [*STATES, ("SUCCEEDED", end)])
    code, said = submit(fake, file, "--watch")
    assert code == 0
    lines = [line.split() for line in said.splitlines()]
    shown = [line for line in lines if line and line[0] in ("train", "push", "root-driver")]
    assert shown == [
        ["train", "running"],
        ["train", "succeeded"],
        ["push", "running"],
        ["push", "succeeded"],
    ]
    assert "Verdict" in said


@pytest.mark.parametrize(
    ("message", "code"), [("Error (exit code 4)", 4), ("Error (exit code 3): x", 3), ("OOM", 1)]
)
def test_a_failed_run_ends_with_the_exit_code_of_its_step(fake, file, message, code):
    failed = task("train", "FAILED", 1, error={"message": message})
    play(fake, [*STATES, ("FAILED", [failed])])
    found, said = submit(fake, file, "--watch")
    assert found == code and message in said and "pipeline logs train" in said


def test_status_logs_and_stop(fake, file):
    assert run("status", "--host", fake.address)[0] == 2  # Nothing has run.
    submit(fake, file)
    child = [{"pod_name": "pod-7"}]
    tasks = [
        task("train", "RUNNING", 1, child_tasks=child),
        task("executor", "RUNNING", 7),
    ]
    play(fake, [("RUNNING", tasks)])
    code, said = run("status", "--host", fake.address)
    assert code == 0 and "train" in said and "running" in said and "executor" not in said
    fake.logs["pod-7"] = "line one\n[red]not a colour[/red]\n"
    code, said = run("logs", "train", "--host", fake.address)
    assert code == 0 and said.splitlines() == ["line one", "[red]not a colour[/red]"]
    code, said = run("logs", "trian", "--host", fake.address)
    assert code == 2 and "one of train" in said
    code, said = run("stop", "--host", fake.address)
    assert code == 0 and next(iter(fake.runs)) in said
    assert "run_service_terminate_run" in fake.requests
    play(fake, [("SUCCEEDED", tasks)])
    assert run("stop", "--host", fake.address)[0] == 2
    assert run("status", "nowhere", "--host", fake.address)[0] == 2


def test_bad_arguments_are_said_without_kubeflows_client(file):
    words = [sys.executable, "-X", "importtime", "-m", "pipeline", "submit", str(file)]
    done = subprocess.run(
        [*words, "--every", "never"], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 2 and "five fields" in done.stdout
    assert not re.search(r"\b(kfp_server_api|tensorflow|tfx)$", done.stderr, re.MULTILINE)
