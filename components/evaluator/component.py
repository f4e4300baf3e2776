"""TFX's Evaluator, for which an empty baseline is none."""

import os

from tfx.components.evaluator.executor import Executor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.types.standard_component_specs import BASELINE_MODEL_KEY
from tfx.utils import path_utils

from components import tfx
from components.runtime import BeamOptions
from components.storage import paths


class EvaluatorExecutor(BeamOptions, Executor):
    """Measures a candidate alone where nothing is served yet.

    A component always gives its artifacts; TFX's executor would load an empty one as a model.
    """

    STEP = "Evaluator"

    def Do(self, input_dict, output_dict, exec_properties):
        """See the base class."""
        baselines = [
            model
            for model in input_dict.get(BASELINE_MODEL_KEY, [])
            if paths.exists(os.path.join(path_utils.serving_model_dir(model.uri), "saved_model.pb"))
        ]
        super().Do({**input_dict, BASELINE_MODEL_KEY: baselines}, output_dict, exec_properties)


class Evaluator(tfx.components.Evaluator):
    """See `tfx.components.Evaluator`."""

    EXECUTOR_SPEC = BeamExecutorSpec(EvaluatorExecutor)
