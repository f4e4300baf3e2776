"""The weights that a run starts from: found, or downloaded, before any step runs."""

import dataclasses

from components.initial_weights.find import Found, digest, find
from components.initial_weights.options import InitialWeightsOptions
from components.storage.paths import is_remote
from pipeline.config import PipelineConfig


def located(config: PipelineConfig) -> PipelineConfig:
    """The configuration with the place on this machine of what `initial_weights` stands for.

    Raises:
        ConfigError: there is no checkpoint.
        DownloadFailedError: it cannot be downloaded.
    """
    options = InitialWeightsOptions(
        source=config.training.initial_weights, scope=config.training.initial_weights_scope
    )
    found = find(options, served="", name=config.name)
    if found is None:
        return config
    training = dataclasses.replace(config.training, initial_weights=found.path)
    return dataclasses.replace(config, training=training)


def stamp(path: str | None) -> str:
    """A hash of name, size and time of a checkpoint's files, so that other files train anew.

    Empty where the files are not on this machine.
    """
    return "" if path is None or is_remote(path) else digest(Found(source=path, path=path))
