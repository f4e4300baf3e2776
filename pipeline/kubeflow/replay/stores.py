"""A folder in the place of the stores that artifacts lie in, and what earlier runs have left there.

`minio://bucket/key` lies at `<folder>/minio/bucket/key`, which is also where the launcher puts it
for a step, with `/` for the folder.
"""

import contextlib
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from components.storage import paths
from pipeline.kubeflow.step import places


class Store:
    """The store, and the cache of finished steps.

    Args:
        folder: made if it is not there.
    """

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._cache = folder / "cache"

    def path(self, uri: str) -> Path:
        """Where an artifact lies."""
        return self.folder / places.local(uri).lstrip("/")

    def download(self, uri: str, root: Path) -> None:
        """Copies an artifact to the launcher's path below a folder, as far as it is there."""
        source, target = self.path(uri), root / places.local(uri).lstrip("/")
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)

    def upload(self, uri: str, root: Path) -> bool:
        """Moves an artifact from the launcher's path below a folder; folders without files vanish.

        Returns:
            Whether there was a file.
        """
        source, target = root / places.local(uri).lstrip("/"), self.path(uri)
        if source.is_dir():
            files = [path for path in sorted(source.rglob("*")) if path.is_file()]
        else:
            files = [source] if source.is_file() else []
        for file in files:
            into = target / file.relative_to(source) if file != source else target
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(file, into)
        return bool(files)

    def cached(self, fingerprint: str) -> dict[str, Any] | None:
        """The outputs of a finished step; None where none of it has finished."""
        with contextlib.suppress(FileNotFoundError):
            return json.loads((self._cache / f"{fingerprint}.json").read_text())
        return None

    def keep(self, fingerprint: str, outputs: dict[str, Any]) -> None:
        """Remembers a step whose outputs are in the store, whole."""
        self._cache.mkdir(exist_ok=True)
        paths.write_text(str(self._cache / f"{fingerprint}.json"), json.dumps(outputs))


def fingerprint(
    pipeline: str, executor_input: dict, container: dict, claims: list[str], cache_key: str
) -> str:
    """What Kubeflow finds a finished step by (`backend/src/v2/cacheutils`).

    Addresses of outputs, resources and variables are no part of it; the image is by its name.

    Args:
        pipeline: the name of the pipeline: others share nothing.
        executor_input: see `driving`.
        container: of the executor.
        claims: names of the volumes' claims.
        cache_key: of the task; in place of all but the pipeline, if there is one.
    """
    inputs, outputs = executor_input["inputs"], executor_input["outputs"]
    parts: dict[str, Any] = {"pipeline": pipeline, "key": cache_key}
    if not cache_key:
        parts |= {
            "artifacts": {
                key: [artifact["name"] for artifact in found["artifacts"]]
                for key, found in inputs["artifacts"].items()
            },
            "parameters": inputs["parameterValues"],
            "outputs": {
                key: [{**artifact, "uri": ""} for artifact in found["artifacts"]]
                for key, found in outputs["artifacts"].items()
            },
            "output_parameters": sorted(outputs["parameters"]),
            "image": container["image"],
            "command": [*container.get("command", ()), *container.get("args", ())],
            "claims": sorted(set(claims)),
        }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def free_folder(folder: Path, name: str) -> Path:
    """Makes a folder for a step of a run and gives its path."""
    path = folder / name
    os.makedirs(path)
    return path
