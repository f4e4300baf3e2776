"""What a compiled file knows of its runs, and the configuration that given values make."""

import json
import os
from collections.abc import Mapping
from typing import Any

import pydantic

import schemas
from components.errors import ConfigError
from components.storage import paths
from pipeline import door
from pipeline.config import PipelineConfig, override
from pipeline.kubeflow.run_parameters import options
from pipeline.kubeflow.run_parameters.options import RunParameter

VARIABLE = "DEEPLAB_RUN"
"""The environment variable of the first step that holds a `Run` as JSON."""

FIRST = "Sources"
"""The step that every other waits for."""

_DATA, _WEIGHTS = "data.source", "initial_weights.source"

_RECORDS = (
    "Folder of TFRecords, or of span-1/, span-2/, … of them. As --set data.source, but without "
    "pictures, which are converted before a run: an absolute path or a bucket's address."
)


class Run(pydantic.BaseModel, frozen=True, extra="forbid"):
    """All that the graph of a run is made of, but what it is given."""

    recipe: dict[str, Any]
    """The configuration that the command line started from."""

    assignments: tuple[str, ...]
    """What it changed, as `path=value`; what a run is given is added."""

    dataset: str
    """Description of the data set, JSON."""

    schema_text: str
    """Its `schema.pbtxt`."""

    records: str
    """Folder of the records where none is given."""

    def parameters(self) -> list[RunParameter]:
        """What a run may be given, in the order of the configuration.

        Raises:
            ConfigError: the recipe is of a version of this project with other options.
        """
        # The folder that is read is shown, and not that the environment has chosen it.
        shown = {"value": self.records, "is_nullable": False, "description": _RECORDS}
        return [
            RunParameter(**(vars(each) | shown)) if each.path == _DATA else each
            for each in options.of(self._override([]))
        ]

    def config(self, given: Mapping[str, Any]) -> PipelineConfig:
        """The configuration of a run, checked as by the command line.

        Args:
            given: values by the names of parameters. Kubeflow gives every one, so that one which
                equals the default counts as not given; see `pipeline.following`.

        Raises:
            ConfigError: a line for each value that does not fit.
        """
        known = {parameter.name: parameter for parameter in self.parameters()}
        if unknown := sorted(given.keys() - known.keys()):
            raise ConfigError(
                f"expected parameters of a run among {', '.join(known)}; got "
                f"{', '.join(unknown)}; to fix, compile with --set for everything else"
            )
        changed = {}
        for name, value in given.items():
            new, old = known[name].read(value), known[name].read(known[name].value)
            if _text(new) != _text(old):
                changed[known[name].path] = new
        faults = _unreachable(changed)
        try:
            config = self._override([f"{path}={json.dumps(new)}" for path, new in changed.items()])
            door.check(config, schemas.from_json(self.dataset))
        except ConfigError as error:
            faults += str(error).split("\n")
        if faults:
            raise ConfigError("\n".join(faults))
        return config

    def _override(self, assignments: list[str]) -> PipelineConfig:
        try:
            recipe = PipelineConfig(**self.recipe)
        except ValueError as error:
            raise _other_version(error) from error
        return override(recipe, [*self.assignments, *assignments])


def _text(value: Any) -> str:
    """By which values are compared: true is not 1, and Kubeflow sorts the keys of objects."""
    return json.dumps(value, sort_keys=True)


def _unreachable(changed: Mapping[str, Any]) -> list[str]:
    """Places that no step on another machine could find; a published name of weights is none."""
    seen = {path: value for path, value in changed.items() if path in (_DATA, _WEIGHTS)}
    return [
        f"expected {path} to be an absolute path or a bucket's address, for the steps run on "
        f"other machines; got {value!r}; to fix, write it in full"
        for path, value in seen.items()
        if isinstance(value, str) and (path == _DATA or "/" in value)
        if not paths.is_remote(value) and not os.path.isabs(value)
    ]


def _other_version(error: Exception) -> ConfigError:
    return ConfigError(
        f"expected {VARIABLE} as this version of the project writes it; got {error}; to fix, "
        "compile the file with the version that is in the image"
    )


def _read(text: str) -> Run:
    try:
        return Run.model_validate_json(text)
    except pydantic.ValidationError as error:
        raise _other_version(error) from error


def current() -> Run | None:
    """What the compiled file says to this step; None for all but the first one.

    Raises:
        ConfigError: it is of another version of this project.
    """
    return _read(os.environ[VARIABLE]) if VARIABLE in os.environ else None


def require_valid(spec: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuses what the first step of a run would refuse, in the same words.

    Args:
        spec: of a file that the check has found fit with these parameters; that of another compiler
            is left to it.
        given: values by the names of parameters.

    Raises:
        ConfigError: a line for each value that does not fit.
    """
    for executor in spec.get("deploymentSpec", {}).get("executors", {}).values():
        for variable in executor.get("container", {}).get("env", ()):
            if variable["name"] == VARIABLE:
                _read(variable["value"]).config(given)
