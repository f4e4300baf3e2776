"""The weights that a run starts from: found, or downloaded, before any step runs."""

import dataclasses
import glob
import hashlib
import os

from components.errors import ConfigError, DownloadFailedError
from pipeline.config import PipelineConfig


def located(config: PipelineConfig) -> PipelineConfig:
    """The configuration with the place on this machine of what `initial_weights` stands for.

    Raises:
        ConfigError: there is no checkpoint.
        DownloadFailedError: it cannot be downloaded.
    """
    path = config.training.initial_weights
    if path is None:
        return config
    # Imported here: Keras takes seconds, and most errors come before.
    from components.storage.downloads import DownloadError
    from models.checkpoints import locate

    try:
        place = os.path.abspath(locate(path))
    except DownloadError as error:
        raise DownloadFailedError(f"training.initial_weights: {error}") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"training.initial_weights: {error}") from error
    training = dataclasses.replace(config.training, initial_weights=place)
    return dataclasses.replace(config, training=training)


def stamp(path: str | None) -> str:
    """A hash of name, size and time of a checkpoint's files, so that other files train anew.

    Empty where the files are not on this machine.
    """
    digest = hashlib.sha256()
    files = sorted(glob.glob(f"{glob.escape(path)}*")) if path else []
    for file in files:
        status = os.stat(file)
        line = f"{os.path.basename(file)} {status.st_size} {status.st_mtime_ns}\n"
        digest.update(line.encode())
    return digest.hexdigest()[:16] if files else ""
