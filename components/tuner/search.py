"""The search itself: KerasTuner's choice of values around the Trainer's own training."""

import functools
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import keras
import keras_tuner
import numpy as np
import tensorflow as tf
from tfx.components.tuner.component import TunerFnResult

from components import runtime
from components.errors import PipelineError
from components.trainer import distribution
from components.trainer.options import TrainerConfig
from components.trainer.run import Records, run_id, train_network
from components.tuner.options import TunerOptions, Values

OBJECTIVE = "val_mean_iou"
"""The mean IoU of a trial's best epoch on the validation split; higher is better."""


def tuner_fn(fn_args) -> TunerFnResult:
    """Called by TFX's Tuner.

    Args:
        fn_args: `tfx.components.FnArgs`; `custom_config["config"]` is the `TrainerConfig` of a
            trial, `custom_config["options"]` a `TunerOptions`.
    """
    options = TunerOptions.from_json(fn_args.custom_config["options"])
    config = TrainerConfig.from_json(fn_args.custom_config["config"])
    search = Search(
        build_oracle(options, config),
        functools.partial(train_trial, config, Records.of(fn_args), fn_args.base_model),
        os.path.join(runtime.current().training_states, f"tuner-{run_id(fn_args)}"),
    )
    return TunerFnResult(tuner=search, fit_kwargs={"verbose": 0})


def build_oracle(options: TunerOptions, config: TrainerConfig) -> keras_tuner.Oracle:
    """What chooses the values of the next trial; it never gives up before the last."""
    arguments = {
        "objective": keras_tuner.Objective(OBJECTIVE, "max"),
        "max_trials": options.trials,
        "hyperparameters": hyperparameters(options.space, config),
        # KerasTuner takes 0 for none.
        "seed": options.seed + 1,
        "max_consecutive_failed_trials": options.trials + 1,
    }
    if options.algorithm == "random":
        return keras_tuner.oracles.RandomSearchOracle(**arguments)
    return _Bayesian(
        # Its own default, three for each path, leaves nothing of a short search.
        num_initial_points=max(2, options.trials // 3),
        **arguments,
    )


class _Bayesian(keras_tuner.oracles.BayesianOptimizationOracle):
    """KerasTuner's, of which a killed search goes on with the values of one that was not killed."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """See `keras_tuner.Oracle.populate_space`."""
        # It does not save this generator's state with the rest: once reloaded, it would look for
        # the best values from other starting points, and find others.
        self._random_state = np.random.RandomState([self.seed, int(trial_id)])
        return super().populate_space(trial_id)


def hyperparameters(space: dict[str, Values], config: TrainerConfig) -> keras_tuner.HyperParameters:
    """The space in KerasTuner's terms, by the same paths."""
    found = keras_tuner.HyperParameters()
    for path, values in space.items():
        if values.choices:
            kinds = {type(choice) for choice in values.choices}
            if kinds == {bool}:
                # Its Choice would make 0 and 1 of them.
                found.Boolean(path)
                continue
            convert = float if kinds == {int, float} else (lambda choice: choice)
            found.Choice(path, [convert(choice) for choice in values.choices])
            continue
        whole = values.is_whole(config.value(path))
        arguments = {"sampling": values.scale, "step": values.step}
        if whole and values.scale == "linear":
            arguments["step"] = values.step or 1
        (found.Int if whole else found.Float)(path, values.min, values.max, **arguments)
    return found


def train_trial(
    config: TrainerConfig,
    records: Records,
    initial_weights: str,
    values: Mapping[str, Any],
    folder: str,
) -> float:
    """Trains as the Trainer does, from the initial weights.

    Args:
        config: of a trial, before the values go over it.
        records: of both splits.
        initial_weights: folder of the weights to start from.
        values: of the trial, by path.
        folder: of the saved states.

    Returns:
        The mean IoU of the best epoch on the validation split.

    Raises:
        PipelineError: the values do not train.
    """
    # Else every trial's network stays in memory. Not after the training: where it failed, the error
    # holds the network.
    keras.backend.clear_session()
    config = config.with_values(values)
    strategy = distribution.build_strategy(config.training.distribution, config.training.batch_size)
    _, description = train_network(config, strategy, records, initial_weights, folder)
    return description["validation_mean_iou"]


class Search(keras_tuner.engine.base_tuner.BaseTuner):
    """Trains once for every trial, and keeps only what it measured.

    A killed search goes on with the trial that it was in, and that from its last saved state.

    Args:
        oracle: chooses the values.
        train: takes a trial's values and a folder for its saved states; gives its score.
        folder: for what outlives a killed run.
    """

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        train: Callable[[Mapping[str, Any], str], float],
        folder: str,
    ):
        self._train = train
        oracle.verbose = 0
        super().__init__(
            oracle,
            directory=os.path.dirname(folder),
            project_name=os.path.basename(folder),
            # KerasTuner does not write its files at once: a kill may have left half of one.
            overwrite=not _is_readable(folder),
        )
        # Reloaded in any order, while equal scores and rounding make the order matter.
        oracle.trials = dict(sorted(oracle.trials.items()))

    def run_trial(self, trial, **_) -> dict[str, float]:
        """Trains with the trial's values.

        Raises:
            FailedTrialError: the values do not train, or need more memory than there is; the
                search goes on.
            FatalError: anything else, which ends it.
        """
        folder = os.path.join(self.get_trial_dir(trial.trial_id), "training")
        try:
            score = self._train(trial.hyperparameters.values, folder)
        except (PipelineError, tf.errors.ResourceExhaustedError) as error:
            raise keras_tuner.errors.FailedTrialError(str(error)) from error
        except Exception as error:
            raise keras_tuner.errors.FatalError(str(error)) from error
        return {OBJECTIVE: score}

    def on_trial_end(self, trial) -> None:
        """Records the trial, then removes its saved states."""
        super().on_trial_end(trial)
        folder = os.path.join(self.get_trial_dir(trial.trial_id), "training")
        if tf.io.gfile.exists(folder):
            tf.io.gfile.rmtree(folder)

    def search(self, *fit_args, **fit_kwargs) -> None:
        """Runs all trials.

        Raises:
            PipelineError: not one of them gave a score.
        """
        super().search(*fit_args, **fit_kwargs)
        trials = self.oracle.trials.values()
        # Where none is complete, KerasTuner calls failed ones the best.
        if not any(trial.status == "COMPLETED" for trial in trials):
            last = next((trial.message or "" for trial in trials), "").strip().rsplit("\n", 1)[-1]
            raise PipelineError(
                f"expected at least one of {len(self.oracle.trials)} trials to give a score; got "
                f"none, the last line of one is {last!r}; to fix, narrow tuner.space"
            )


def _is_readable(folder: str) -> bool:
    """Whether all that a search has left in a folder is whole."""
    for path in tf.io.gfile.glob([f"{folder}/*.json", f"{folder}/trial_*/trial.json"]):
        with tf.io.gfile.GFile(path) as file:
            try:
                json.load(file)
            except ValueError:
                return False
    return True
