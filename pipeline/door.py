"""What can be known before anything slow is imported: data sets, records, weights, what is served.

Neither TensorFlow nor TFX is needed to say that a path leads nowhere.
"""

import dataclasses
import os
from pathlib import Path

import schemas
from components.dataset.source import RecordsSource, find_records
from components.errors import ConfigError
from components.initial_weights import find
from components.serving import versions
from components.storage import paths
from pipeline.config import PipelineConfig
from pipeline.environment import Environment

_CHECKOUT = Path(__file__).resolve().parent.parent


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """A data set, as its folder describes it."""

    dataset: schemas.Dataset
    schema: str
    """`schema.pbtxt`."""


def describe(config: PipelineConfig, environment: Environment) -> Description:
    """Reads the description of the data set and checks the configuration against it.

    Raises:
        ConfigError: there are weights for another number of classes, or the code lies where TFX
            cannot read it.
        DatasetError: there is no such data set, or its description is wrong.
    """
    if paths.has_glob(str(_CHECKOUT)):
        raise ConfigError(
            "expected the code in a folder without * ? [ ], which TFX takes for a pattern; got "
            f"{_CHECKOUT}; to fix, move it"
        )
    name = config.data.dataset
    dataset = schemas.load(name, environment.schemas)
    check(config, dataset)
    return Description(dataset=dataset, schema=schemas.schema_text(name, environment.schemas))


def check(config: PipelineConfig, dataset: schemas.Dataset) -> None:
    """Checks a configuration against its data set.

    Raises:
        ConfigError: there are weights for another number of classes, or a search that cannot go
            through.
    """
    _check_class_weights(config, dataset)
    _check_search(config, dataset)


def _check_class_weights(config: PipelineConfig, dataset: schemas.Dataset) -> None:
    weights = config.training.class_weights
    if isinstance(weights, tuple) and len(weights) != dataset.num_classes:
        raise ConfigError(
            f"expected training.class_weights with {dataset.num_classes} numbers, one for each "
            f"class of {dataset.name}; got {len(weights)}; to fix, give as many"
        )


def _check_search(config: PipelineConfig, dataset: schemas.Dataset) -> None:
    """Refuses a search that some trial, or the training after it, could not go through."""
    if not config.tuner.trials:
        return
    wanted = (
        ("steps", "at least 1", config.training.steps, config.training.steps > 0),
        (
            "distribution",
            "one_device or mirrored",
            config.training.distribution,
            config.training.distribution != "multi_worker",
        ),
    )
    for name, expected, got, is_right in wanted:
        if not is_right:
            raise ConfigError(
                f"expected training.{name} to be {expected} with tuner.trials; got {got!r}; "
                "to fix, change it, or search nothing with tuner.trials=0"
            )
    try:
        config.tuner.check(config.trial_config(dataset), config.trainer_config(dataset))
    except ValueError as error:
        raise ConfigError(str(error)) from error


def require_place_for(description: Description, name: str, environment: Environment) -> None:
    """Refuses to push a model of other classes over the one that is served.

    Raises:
        ConfigError: see `components.serving.versions.require_same_classes`.
    """
    dataset = description.dataset
    folder = paths.join(environment.served, name)
    versions.require_same_classes(folder, dataset.class_names, dataset.name)


def require_signing_key(environment: Environment) -> None:
    """Refuses a run whose model could not be signed in the end.

    Raises:
        ConfigError: see `components.serving.signing.signer.require_key`.
    """
    if environment.signing is not None:
        # Imported here: few sign, and it takes a third of a second.
        from components.serving.signing import signer

        signer.require_key(environment.signing)


def records(
    config: PipelineConfig, environment: Environment, description: Description
) -> RecordsSource:
    """Where the records are, or from what they can be made; makes nothing yet.

    Raises:
        PipelineError: see `components.dataset.source.find_records`.
    """
    return find_records(
        description.dataset,
        config.data.source,
        Path(environment.records),
        patterns={"train": config.data.train_pattern, "val": config.data.val_pattern},
        limits={"train": config.data.train_limit, "val": config.data.val_limit},
        window=config.data.span_window,
    )


def weights_digest(config: PipelineConfig, environment: Environment) -> str:
    """Finds the initial weights, downloaded if need be; gives what tells them from others.

    Raises:
        ConfigError: there are none.
        DownloadFailedError: they cannot be downloaded.
    """
    return find.digest(
        find.find(config.initial_weights, served=environment.served, name=config.name)
    )


def with_absolute_paths(config: PipelineConfig) -> PipelineConfig:
    """With paths of this machine from its root on: what the steps see has no current folder."""
    source, weights = config.data.source, config.initial_weights.source
    changes = {}
    if source is not None:
        changes["data"] = config.data.model_copy(update={"source": paths.absolute(source)})
    if weights is not None and os.path.exists(os.path.expanduser(weights)):
        changes["initial_weights"] = config.initial_weights.model_copy(
            update={"source": paths.absolute(weights)}
        )
    return config.model_copy(update=changes)
