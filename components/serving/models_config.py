"""`models.config` beside the served models, which a server of TensorFlow's polls: the labels.

`stable` and `canary` are names that clients ask by, so that a person decides when a pushed version
becomes theirs. An unlabelled request is answered by the highest number in any case.

Why the policy is `latest`, and of one version more than the labels need: a server refuses a whole
file, for all of its models, that moves a label to a version which is not loaded yet, and asks again
at the next poll (`ServerCore::ReloadConfig` and `UpdateModelVersionLabelMap`). A version that the
file itself had to name, by `specific`, would never be loaded. By `latest` it is found on the disk,
and until it answers the label stays where it is, at a version that stays loaded.
"""

import os
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from components.errors import ConfigError
from components.serving import versions
from components.storage import claims, paths
from components.storage.locks import locked

FILE = "models.config"
STABLE = "stable"
CANARY = "canary"
MOUNTED = "/models"
"""Where `deploy/serving` shows a server the folder of all models."""

_HEADER = (
    "# Written by each push, by `python -m pipeline promote` and by `rollback`; servers poll it.\n"
    "# Where a server sees the models elsewhere, change base_path: it is kept.\n"
)


def path(folder: str) -> str:
    """Of the file that lists the model whose versions lie in a folder."""
    return paths.join(_split(folder)[0], FILE)


def labels(folder: str) -> dict[str, int]:
    """The numbers of a model's labelled versions; empty where the file does not list it.

    Args:
        folder: of the versions of a served model.

    Raises:
        ConfigError: the file is not one that a server would read.
    """
    model = _find(_read(path(folder)), _split(folder)[1])
    return dict(model.version_labels) if model else {}


def pinned(folder: str) -> set[int] | None:
    """The only versions that servers may load, where somebody wrote them into the file; else None.

    Args:
        folder: of the versions of a served model.

    Raises:
        ConfigError: see `labels`.
    """
    model = _find(_read(path(folder)), _split(folder)[1])
    if model is None or not model.model_version_policy.HasField("specific"):
        return None
    return set(model.model_version_policy.specific.versions)


def label(folder: str, number: int, name: str) -> None:
    """Gives a version a label, in place of the one that had it.

    A stable one ends what was a canary beside it. A canary without a stable one is stable itself:
    whoever asks for that must get an answer. One that is stable already stays so.

    Args:
        folder: of the versions of a served model.
        number: of the version, which is complete.
        name: `STABLE` or `CANARY`.

    Raises:
        ConfigError: see `labels`.
    """
    file, model_name = path(folder), _split(folder)[1]
    # Two models may be pushed at once.
    is_remote = paths.is_remote(file)
    with claims.turn(_split(folder)[0], FILE) if is_remote else locked(Path(file)):
        config = _read(file)
        model = _find(config, model_name)
        if model is None:
            model = config.model_config_list.config.add(
                name=model_name,
                base_path=folder if paths.is_remote(folder) else f"{MOUNTED}/{model_name}",
                model_platform="tensorflow",
            )
        there = {int(os.path.basename(version)) for version in versions.numbered(folder)}
        # A label of a version that is gone would keep servers from taking any change.
        for gone in [known for known, at in model.version_labels.items() if at not in there]:
            del model.version_labels[gone]
        stable = model.version_labels.get(STABLE)
        if name == STABLE or stable in (None, number):
            model.version_labels.clear()
            model.version_labels[STABLE] = number
        else:
            model.version_labels[CANARY] = number
        oldest = min(model.version_labels.values())
        needed = sum(at >= oldest for at in there)
        model.model_version_policy.latest.num_versions = needed + 1
        paths.write_text(file, _HEADER + text_format.MessageToString(config))


def _split(folder: str) -> tuple[str, str]:
    """The folder of all models, and the name of this one."""
    return os.path.split(folder.rstrip("/"))


def _read(file: str) -> model_server_config_pb2.ModelServerConfig:
    config = model_server_config_pb2.ModelServerConfig()
    if not paths.exists(file):
        return config
    try:
        return text_format.Parse(paths.read_text(file), config)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"expected {file} to be a ModelServerConfig in protobuf's text format; got {error}; to "
            "fix, correct it, or remove it and push again"
        ) from error


def _find(
    config: model_server_config_pb2.ModelServerConfig, name: str
) -> model_server_config_pb2.ModelConfig | None:
    return next((m for m in config.model_config_list.config if m.name == name), None)
