"""`python -m pipeline check FILE`: exit codes, all faults, nothing slow imported."""

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY
from tests.end_to_end.test_door import HEAVY
from tests.pipeline.kubeflow import small_pipeline


def run(*words: str, watched: bool = False) -> subprocess.CompletedProcess:
    watch = ["-X", "importtime"] if watched else []
    return subprocess.run(
        [sys.executable, *watch, "-m", "pipeline", "check", *words],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def written(tmp_path):
    def write(file: dict) -> str:
        path = tmp_path / "deeplab.yaml"
        path.write_bytes(small_pipeline.written(file))
        return str(path)

    return write


def test_a_fit_file_is_said_to_be_fit_without_tensorflow(written):
    path = written(small_pipeline.looped())
    done = run(path, watched=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{path} is fit for Kubeflow Pipelines" in done.stdout
    assert not HEAVY.findall(done.stderr)
    assert " kfp" not in done.stderr  # The package takes seconds.


def test_all_faults_of_a_file_are_said_with_their_places(written):
    file = small_pipeline.pipeline()
    file["pipelineInfo"]["name"] = "DeepLab"
    file["root"]["dag"]["tasks"]["Trainer"]["dependentTasks"] = ["Nowhere"]
    del file["deploymentSpec"]["executors"]["trainer"]["container"]["image"]
    done = run(written(file))
    assert done.returncode == 2 and "Traceback" not in done.stdout + done.stderr
    assert "3 faults" in done.stdout
    for place in (
        "pipelineInfo.name",
        "root.dag.tasks.Trainer.dependentTasks[0]",
        "deploymentSpec.executors.trainer.container.image",
    ):
        assert place in done.stdout


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ([], 2, "--parameter steps=VALUE"),
        (["--parameter", "steps=3"], 0, "is fit"),
        (["--parameter", "steps=many"], 2, "expected a whole number"),
        (["--parameter", "steps=3", "--parameter", "epochs=2"], 2, "'epochs'"),
        (["--parameter", "steps"], 2, "expected --parameter as NAME=VALUE"),
    ],
)
def test_a_run_with_parameters_is_judged(written, given, code, message):
    file = small_pipeline.pipeline()
    steps = {"parameters": {"steps": small_pipeline.parameter("NUMBER_INTEGER")}}
    file["root"]["inputDefinitions"] = steps
    done = run(written(file), *given)
    assert done.returncode == code and message in done.stdout, done.stdout + done.stderr


def test_a_file_of_another_suffix_is_refused_as_kubeflow_does(tmp_path):
    path = tmp_path / "deeplab.txt"
    path.write_bytes(small_pipeline.written(small_pipeline.pipeline()))
    done = run(str(path))
    assert done.returncode == 2 and "1 fault" in done.stdout and "(suffix: " in done.stdout


def test_what_is_no_file_is_one_line(tmp_path):
    done = run(str(tmp_path / "nowhere.yaml"))
    assert done.returncode == 2 and "expected a compiled file at" in done.stdout
    assert "Traceback" not in done.stderr
