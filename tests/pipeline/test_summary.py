"""Why nothing was pushed: the model, its files for phones, or both, all said at once."""

import pytest

from components.evaluator.results import Evaluation
from components.metadata.runs import Output, Step
from components.tflite.results import TFLiteReport
from pipeline.summary import refusals


def steps(folder: str) -> dict[str, Step]:
    outputs = {"models": [Output(id=1, uri=folder, properties={})]}
    return {
        "TFLite": Step(
            node_id="TFLite",
            execution_id=1,
            state="complete",
            started=0.0,
            seconds=1.0,
            outputs=outputs,
        )
    }


@pytest.mark.parametrize("of_model", [(), ("mean_iou is low",)])
@pytest.mark.parametrize("of_files", [(), ("the int8 file is bad",), ("one", "two")])
def test_all_that_was_refused_is_said(tmp_path, of_model, of_files):
    evaluation = Evaluation(candidate={}, baseline=None, slices={}, reasons=of_model)
    report = TFLiteReport(pictures=1, threads=1, mean_iou=0.5, kinds=(), reasons=of_files)
    report.write(str(tmp_path))
    assert refusals(steps(str(tmp_path)), evaluation) == [*of_model, *of_files]
    assert refusals({}, evaluation) == list(of_model)
