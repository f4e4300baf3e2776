"""A folder in the place of the stores that artifacts lie in, and what earlier runs have left there.

`minio://bucket/key` lies at `<folder>/minio/bucket/key`, which is also where the launcher puts it
for a step, with `/` for the folder.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from components.storage import paths
from pipeline.kubeflow.check import names
from pipeline.kubeflow.check.compiled import Component, Task
from pipeline.kubeflow.replay.driving import Outputs
from pipeline.kubeflow.replay.sandbox import Sandbox
from pipeline.kubeflow.step import places


class Store:
    """The store, and the cache of finished steps.

    Args:
        folder: made if it is not there.
    """

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.cache = folder / "cache"

    @staticmethod
    def local(uri: str, root: Path) -> Path:
        """The launcher's path of an artifact, below a folder in the place of `/`."""
        return root / places.local(uri).lstrip("/")

    def path(self, uri: str) -> Path:
        """Where an artifact lies in the store."""
        return self.local(uri, self.folder)

    @staticmethod
    def is_below(uri: str, folder: str) -> bool:
        """Whether an artifact's path, as the launcher has it, lies below a folder.

        Args:
            uri: of the artifact, as a step gives it.
            folder: absolute path.
        """
        if not uri.startswith(names.SCHEMES):
            return False
        return os.path.normpath(places.local(uri)).startswith(folder.rstrip("/") + "/")

    def download(self, uri: str, root: Path) -> bool:
        """Copies an artifact to the launcher's path below a folder.

        Returns:
            Whether it is in the store.
        """
        source, target = self.path(uri), self.local(uri, root)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        return source.exists()

    def upload(self, uri: str, sandbox: Sandbox) -> bool:
        """Moves an artifact from the launcher's path; folders without files vanish.

        Returns:
            Whether there was a file.

        Raises:
            StepFailedError: there is a link.
        """
        source, target = self.local(uri, sandbox.root), self.path(uri)
        sandbox.require_no_links(source)
        found = sorted(source.rglob("*")) if source.is_dir() else [source]
        for path in found:
            sandbox.require_no_links(path)
        files = [path for path in found if path.is_file()]
        for file in files:
            into = target / file.relative_to(source)
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(file, into)
        return bool(files)

    def found(self, fingerprint: str) -> Outputs | None:
        """The outputs of a finished step; None where none such has finished."""
        with contextlib.suppress(FileNotFoundError):
            return Outputs(**json.loads((self.cache / f"{fingerprint}.json").read_text()))
        return None

    def keep(self, fingerprint: str, outputs: Outputs) -> None:
        """Remembers a step whose outputs are in the store, whole."""
        self.cache.mkdir(exist_ok=True)
        text = json.dumps({"artifacts": outputs.artifacts, "parameters": outputs.parameters})
        paths.write_text(str(self.cache / f"{fingerprint}.json"), text)


def fingerprint(
    pipeline: str,
    task: Task,
    component: Component,
    executor_input: dict[str, Any],
    container: dict[str, Any],
    claims: Iterable[str],
) -> str:
    """What Kubeflow finds a finished step by; see `driver/cache.go` and `cacheutils/cache.go`.

    Defaults of the component, addresses, types of inputs, resources and variables are no part of
    it; the image is by its name.

    Args:
        pipeline: the name of the pipeline: others share nothing.
        task: with a key of its own in place of all the rest, if it has one.
        component: that is run.
        executor_input: the driver's.
        container: of the executor.
        claims: names of the volumes' claims.
    """
    inputs, outputs = executor_input["inputs"], executor_input["outputs"]
    key = task.message.get("cachingOptions", {}).get("cacheKey", "")
    parts: list[Any] = [pipeline, key, task.component]
    if not key:
        made = component.outputs("parameters")
        parts = [
            pipeline,
            {
                name: [artifact["name"] for artifact in found["artifacts"]]
                for name, found in inputs["artifacts"].items()
            },
            inputs["parameterValues"],
            {
                name: [{**artifact, "uri": ""} for artifact in found["artifacts"]]
                for name, found in outputs["artifacts"].items()
            },
            {name: made[name]["parameterType"] for name in outputs["parameters"]},
            container["image"],
            [*container.get("command", ()), *container.get("args", ())],
            sorted(set(claims)),
        ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
