"""What every saved state of a training measured, on disk: from its first step, also after a kill.

Plain JSON, no Keras: whoever judges a training reads it from the Trainer's `model_run`.
"""

import dataclasses
import json

from components.storage import paths

FILE = "history.json"
"""Its name in the folder of the training's states, and in the artifact `model_run`."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Means over the steps since the last saved state, and what the validation gave, if any."""

    step: int
    loss: float
    mean_iou: float
    """Of the training pictures, in [0, 1]; NaN without a labelled pixel."""
    change: float
    """Norm of how far the trained weights went since the last saved state, over their own norm."""
    val_mean_iou: float | None = None
    """In [0, 1]; None where no validation was due."""


def read(folder: str) -> list[State]:
    """The states in a folder, by step; none where no training has written there."""
    path = paths.join(folder, FILE)
    if not paths.exists(path):
        return []
    return [State(**values) for values in json.loads(paths.read_text(path))]


def write(folder: str, states: list[State]) -> None:
    """Writes them whole or not at all; the folder is made."""
    paths.make_folder(folder)
    content = json.dumps([dataclasses.asdict(state) for state in states], indent=1)
    paths.write_text(paths.join(folder, FILE), content)
