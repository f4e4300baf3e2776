"""What a step is told of the place it runs at."""

import os
import subprocess
import sys

import pydantic
import pytest

from components import runtime
from components.evaluator.component import EvaluatorExecutor
from components.runtime import Runtime
from components.statistics_gen import StatisticsGenExecutor
from pipeline import steps

HERE = Runtime(
    served="gs://bucket/serving",
    training_states="/states",
    beam_options={"DataGate": ("--runner=FlinkRunner", "--parallelism=2"), "Evaluator": ()},
)


def test_what_is_handed_on_reaches_this_process_and_its_children():
    script = "from components import runtime; print(runtime.current().model_dump_json())"
    with HERE.handed_on():
        assert runtime.current() == HERE
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
    assert Runtime.model_validate_json(done.stdout) == HERE


@pytest.mark.parametrize("before", [None, HERE.model_copy(update={"served": "earlier"})])
def test_what_was_there_before_is_there_again_afterwards(monkeypatch, before):
    if before is None:
        monkeypatch.delenv(runtime.VARIABLE, raising=False)
    else:
        monkeypatch.setenv(runtime.VARIABLE, before.model_dump_json())
    with pytest.raises(ZeroDivisionError), HERE.handed_on():
        _ = 1 / 0
    if before is None:
        assert runtime.VARIABLE not in os.environ
    else:
        assert runtime.current() == before


def test_a_step_that_something_else_started_says_what_is_missing(monkeypatch):
    monkeypatch.delenv(runtime.VARIABLE, raising=False)
    with pytest.raises(RuntimeError, match=r"expected DEEPLAB_RUNTIME .*; got none; to fix, start"):
        runtime.current()


def test_unknown_fields_are_refused():
    with pytest.raises(pydantic.ValidationError, match="extra"):
        Runtime.model_validate(HERE.model_dump() | {"server": "x"})


@pytest.mark.parametrize("executor", [EvaluatorExecutor, StatisticsGenExecutor])
def test_an_executor_takes_its_own_options_of_beam_in_place_of_the_runners(executor, tmp_path):
    context = executor.Context(
        beam_pipeline_args=["--runner=another"], tmp_dir=str(tmp_path), unique_id="1"
    )
    options = ("--runner=DirectRunner", "--direct_num_workers=2")
    beam_options = {"DataGate": (), executor.STEP: options}
    with HERE.model_copy(update={"beam_options": beam_options}).handed_on():
        made = executor(context)
    assert executor.STEP in steps.ON_BEAM
    # This is how TFX's own executors make the pipelines that they run.
    found = made._make_beam_pipeline().options.get_all_options(drop_default=True)
    assert (found["runner"], found["direct_num_workers"]) == ("DirectRunner", 2)
    assert "extra_packages" not in found
