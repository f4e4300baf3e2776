"""The end of a replay of a pipeline of ours: what the local runner prints and how it ends."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from components.metadata import runs
from pipeline import summary
from pipeline.kubeflow.replay.stores import Store
from pipeline.kubeflow.replay.walking import Ended, Replayed

_DESTINATION = "pushed_destination"


def conclude(replayed: Replayed, console: Console) -> None:
    """Prints scores, places, times and the verdict; of a model in a bucket, only where it is.

    Args:
        replayed: without a failure, with an Evaluator and a Pusher.
        console: where to print.

    Raises:
        PipelineError: see `summary.conclude`.
    """
    found = {
        each.name: _step(number, each, replayed.store)
        for number, each in enumerate(replayed.ended, 1)
    }
    pushed = found["Pusher"].outputs["pushed_model"][0].properties
    destination = pushed.get(_DESTINATION, "")
    if destination and not os.path.isdir(destination):
        # A bucket: the steps were let in, and this process may not be.
        console.print(
            f"Verdict      blessed, proven to serve and pushed to {destination}, which a replay "
            "does not look at",
            soft_wrap=True,
            highlight=False,
        )
        return
    summary.conclude(console, found, "", os.path.dirname(destination))


def _step(number: int, ended: Ended, store: Store) -> runs.Step:
    outputs = {
        name: [
            runs.Output(
                number, str(store.path(artifact["uri"])), _properties(artifact, ended.place.mounts)
            )
        ]
        for name, artifact in ended.outputs.artifacts.items()
    }
    state = "cached" if ended.state == "cached" else "complete"
    return runs.Step(ended.name, number, state, ended.started, ended.seconds, outputs)


def _properties(artifact: Mapping[str, Any], mounts: Mapping[str, Path]) -> dict[str, Any]:
    """Of an artifact, with this machine's path of what was pushed to a volume."""
    found = dict(artifact["metadata"])
    pushed = found.get(_DESTINATION, "")
    for place in sorted(mounts, key=len, reverse=True):
        if pushed.startswith(place.rstrip("/") + "/"):
            inside = os.path.relpath(pushed, place)
            return found | {_DESTINATION: str(mounts[place] / inside)}
    return found
