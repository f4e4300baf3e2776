"""The command line of a replay."""

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY
from tests.pipeline.kubeflow.replay.small_files import Files
from tests.pipeline.kubeflow.small_pipeline import parameter


@pytest.fixture
def run(tmp_path):
    def run(*words, env=None) -> subprocess.CompletedProcess:
        store = "--store", str(tmp_path / "store")
        return subprocess.run(
            [sys.executable, "-m", "pipeline", "replay", *store, *words],
            cwd=REPOSITORY, env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


@pytest.fixture
def file(tmp_path) -> str:
    files = Files({"number": parameter("NUMBER_INTEGER", defaultValue=1)})
    settings = {
        "secretAsEnv": [{"secretName": "s", "keyToEnv": [{"secretKey": "k", "envVar": "TOKEN"}]}]
    }
    files.add("step", 'test "$TOKEN" = hidden; echo "$number" > $made; exit $(cat $made)',
              inputs={"number": parameter("NUMBER_INTEGER")}, settings=settings,
              values={"number": {"componentInputParameter": "number"}})  # fmt: skip
    return str(files.write(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--volume", "disk"], "expected --volume as NAME=DIR; got 'disk'"),
        (["--volume", "disk=/no/such"], "expected a folder for --volume disk"),
        (["--secret", "s=V"], "expected --secret as NAME/KEY=VARIABLE; got 's'"),
        (["--secret", "s/k=NO_SUCH_VARIABLE"], "expected the variable NO_SUCH_VARIABLE"),
        (["--parameter", "number"], "expected --parameter as NAME=VALUE"),
        (["--parameter", "number=1.5"], "number"),
        (["--parameter", "other=1"], "other"),
        ([], "expected the key k of the secret s;"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence_before_anything_is_made(
    words, expected, run, file, tmp_path
):
    done = run(file, *words)
    assert done.returncode == 2 and "Traceback" not in done.stdout + done.stderr
    assert expected in " ".join(done.stdout.split())
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
def test_the_exit_code_is_the_steps_and_its_value_of_a_secret_is_nowhere(run, file, tmp_path):
    env = {"PATH": "/usr/bin:/bin", "MINE": "hidden"}
    words = file, "--secret", "s/k=MINE", "--parameter"
    done = run(*words, "number=23", env=env)
    assert done.returncode == 23, done.stdout + done.stderr
    assert "step: its command ended with exit code 23" in done.stdout
    assert "the step step: its command ended with exit code 23" in " ".join(done.stdout.split())
    done = run(*words, "number=0", env=env)
    assert done.returncode == 0 and "Steps: 1 done" in done.stdout
    left = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert left and not any(b"hidden" in path.read_bytes() for path in left)
    assert "hidden" not in done.stdout + done.stderr
