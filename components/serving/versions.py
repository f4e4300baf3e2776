"""What lies in the folder that models are pushed to, as a server sees it."""

import json
from pathlib import Path

from components.errors import ConfigError, PipelineError
from components.serving.signatures import MODEL_DESCRIPTION
from schemas import Dataset


def newest_version(folder: Path) -> Path | None:
    """The version that a server answers with: that of the highest number; None where none is."""
    versions = [
        path.parent for path in folder.glob("*/saved_model.pb") if path.parent.name.isdigit()
    ]
    return max(versions, key=lambda path: int(path.name), default=None)


def require_same_classes(folder: Path, dataset: Dataset) -> None:
    """Refuses to push a model of other classes over the one that is served.

    Args:
        folder: of the versions of a served model, which need not be there.
        dataset: what the run learns.

    Raises:
        ConfigError: the newest version answers with other classes.
    """
    version = newest_version(folder)
    if version is None:
        return
    served = json.loads((version / "assets.extra" / MODEL_DESCRIPTION).read_text())
    if served["classes"] == list(dataset.class_names):
        return
    raise ConfigError(
        f"expected to serve the {dataset.num_classes} classes of {dataset.name} in {folder}; got a "
        f"model of the {len(served['classes'])} classes of {served['dataset']} there, which could "
        "neither be compared nor replaced; to fix, give another --output, or the model a name of "
        "its own with --set name=…"
    )


def require_newest(version: Path, folder: Path) -> None:
    """Refuses to call a model served that an earlier run pushed, and a later one replaced.

    Args:
        version: where the earlier run pushed it.
        folder: of the versions of the served model.

    Raises:
        PipelineError: another version is newer, or it is gone.
    """
    newest = newest_version(folder)
    if newest is None or newest.resolve() != version.resolve():
        raise PipelineError(
            f"expected {folder} to serve this blessed model, which an earlier run pushed to "
            f"{version}; got {newest or 'no version there'}; to fix, push it again: the same "
            "command with --from-node Pusher --no-cache"
        )
