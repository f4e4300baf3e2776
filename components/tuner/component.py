"""TFX's Tuner, quieter, and with the best values in ML Metadata."""

import json

import keras
import tensorflow as tf
from tfx.components.tuner import executor
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec

from components import tfx

VALUES, SCORE, TRIALS, FAILED = "values", "score", "trials", "failed"
"""Custom properties of the artifact `best_hyperparameters`; the first is JSON."""


class TunerExecutor(executor.Executor):
    """TFX's, which prints nothing and describes the best values on their artifact."""

    def Do(self, input_dict, output_dict, exec_properties):
        """See `tfx.components.tuner.executor.Executor.Do`."""
        # Without TFX's folder: what outlives a killed run is in one of the search's own.
        tuner = executor.search(input_dict, exec_properties, "", print_tuning_summary=False)
        # The Trainer may follow in this process, and needs the memory of the last trial.
        keras.backend.clear_session()
        executor.write_best_hyperparameters(tuner, output_dict)
        (best,) = tuner.oracle.get_best_trials(1)
        statuses = [trial.status for trial in tuner.oracle.trials.values()]
        (artifact,) = output_dict["best_hyperparameters"]
        artifact.set_string_custom_property(VALUES, json.dumps(best.hyperparameters.values))
        artifact.set_float_custom_property(SCORE, best.score)
        artifact.set_int_custom_property(TRIALS, len(statuses))
        artifact.set_int_custom_property(FAILED, len(statuses) - statuses.count("COMPLETED"))
        tf.io.gfile.rmtree(tuner.project_dir)


class Tuner(tfx.components.Tuner):
    """See `tfx.components.Tuner`."""

    EXECUTOR_SPEC = ExecutorClassSpec(TunerExecutor)
