"""Where a run happens: everything that differs between places and changes no result.

What a run computes is `pipeline.config`; a change here voids no cache of a step. An environment is
a small TOML file, see `pipeline/environments/`.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from components.errors import ConfigError
from components.metadata import addresses
from components.runtime import MODEL_SERVER, Runtime, Signing
from components.storage import paths
from pipeline import environment_faults, steps
from pipeline.placement import OnCluster
from pipeline.placement.kubernetes import VARIABLE
from pipeline.placement.resources import Section

_SHIPPED = Path(__file__).parent / "environments"

_BeamStep = Literal[steps.ON_BEAM]
_SecretName = Annotated[str, Field(pattern=rf"^{VARIABLE}$")]


class Beam(Section):
    """The engine of the steps that run on Beam."""

    options: tuple[str, ...] = (
        # The same engine as the DirectRunner of every Beam version, without the attempt of newer
        # ones to fetch another engine from the network.
        "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",
    )
    """Of every step, as on Beam's command line."""

    steps: Mapping[_BeamStep, tuple[str, ...]] = {}
    """Of single steps, in place of `options`."""

    @pydantic.model_validator(mode="after")
    def _are_options(self):
        for options in (self.options, *self.steps.values()):
            for option in options:
                if not option.startswith("--"):
                    raise ValueError(
                        f"expected options of Beam that start with --; got {option!r}; to fix, "
                        'write for example "--runner=FlinkRunner"'
                    )
        return self


class Environment(OnCluster):
    """Where a run happens. In paths, `{root}` stands for `root`."""

    name: str
    """That of its file."""

    root: str
    """Folder or bucket below which everything else lies that is not said to lie elsewhere."""

    artifacts: str = "{root}/artifacts"
    """What every step gives."""

    served: str = "{root}/serving"
    """Pushed models, `<served>/<name>/<version>/`."""

    training_states: str = "{root}/training"
    """States of training that outlive a killed run."""

    records: str = "{root}/data"
    """Records that a run converts or renders."""

    metadata: str = ""
    """ML Metadata: `sqlite:PATH`, `postgresql://USER@HOST:PORT/DATABASE`, `mysql://…` or
    `grpc://HOST:PORT`; empty where only the orchestrator keeps a record."""

    beam: Beam = Beam()

    schemas: tuple[str, ...] = ()
    """Folders of data set descriptions, beside those that ship."""

    serving_program: str = MODEL_SERVER
    """TensorFlow Serving, found on the path or at its own; where there is none of that name, the
    stand-in in `components.serving.server` is started in its place."""

    min_free_disk_gb: Annotated[float, Field(ge=0)] = 2.0
    """A run does not start with less free space than this at its root, in GB of 1e9 bytes."""

    signing: Signing | None = None
    """With what pushed versions are signed; None: they are not."""

    secrets: Mapping[str, _SecretName] = {}
    """Names of environment variables that hold secrets, never a secret itself: `metadata_password`
    is that of the database's user."""

    @pydantic.model_validator(mode="after")
    def _complete(self):
        """Fills in `{root}`; refuses paths that TFX and Beam would take for patterns."""
        for field in ("artifacts", "served", "training_states", "records", "metadata"):
            object.__setattr__(self, field, self._below_root(getattr(self, field)))
        if self.signing is not None:
            object.__setattr__(self, "signing", self.signing.moved(self._below_root))
        wrong = [
            f"expected {field} without * ? [ ], which TFX and Beam take for a pattern; got "
            f"{value}; to fix, choose another folder"
            for field, value in self._paths().items()
            if paths.has_glob(value)
        ]
        wrong += self._wrong_metadata()
        wrong += self.placement_faults()
        if wrong:
            raise ValueError("\n".join(wrong))
        return self

    def _below_root(self, path: str) -> str:
        return path.replace("{root}", self.root.rstrip("/"))

    def _paths(self) -> dict[str, str]:
        named = ("root", "artifacts", "served", "training_states", "records")
        found = {field: getattr(self, field) for field in named}
        if self.metadata.startswith("sqlite:"):
            found["metadata"] = self.metadata.removeprefix("sqlite:")
        found |= {f"schemas[{index}]": folder for index, folder in enumerate(self.schemas)}
        return found

    def _wrong_metadata(self) -> list[str]:
        if not self.metadata:
            return []
        try:
            addresses.parse(self.metadata)
        except ValueError as error:
            return str(error).split("\n")
        return []

    def require_local(self) -> None:
        """Refuses an environment that a run on this machine cannot use.

        Raises:
            ConfigError: its ML Metadata is none that a run here can write.
        """
        if not self.metadata or paths.is_remote(self.root):
            raise ConfigError(
                "expected metadata and a root on this machine for a run here; got "
                f"{self.metadata or 'no metadata'} and {self.root}; to fix, choose "
                '--environment local, or write metadata = "sqlite:…"'
            )

    def made_absolute(self) -> "Environment":
        """With paths of this machine as they are from its root on, those of buckets as they are."""
        changed: dict[str, Any] = {
            field: paths.absolute(value)
            for field, value in self._paths().items()
            if not field.startswith(("schemas", "metadata"))
        }
        changed["schemas"] = tuple(map(paths.absolute, self.schemas))
        if self.metadata.startswith("sqlite:"):
            database = paths.absolute(self.metadata.removeprefix("sqlite:"))
            changed["metadata"] = f"sqlite:{database}"
        if self.signing is not None:
            changed["signing"] = self.signing.moved(paths.absolute)
        return self.model_copy(update=changed)

    def runtime(self) -> Runtime:
        """What the steps have to know of it."""
        return Runtime(
            served=self.served,
            training_states=self.training_states,
            serving_program=self.serving_program,
            signing=self.signing,
            metadata=self.metadata,
            metadata_password=self.secrets.get("metadata_password", ""),
            beam_options={
                step: self.beam.steps.get(step, self.beam.options) for step in steps.ON_BEAM
            },
        )


def available() -> tuple[str, ...]:
    """Names of the environments that ship, sorted."""
    return tuple(sorted(path.stem for path in _SHIPPED.glob("*.toml")))


def load(name: str, **changes: str | bool | None) -> Environment:
    """Reads an environment.

    Args:
        name: one of `available()`, or the path of a TOML file.
        **changes: values of the command line, in place of the file's where they are not None.

    Raises:
        ConfigError: there is no such file, or it has faults: all of them are named.
    """
    is_file = name.endswith(".toml") or os.sep in name
    if not is_file and name not in available():
        raise ConfigError(
            f"expected an environment, one of {', '.join(available())}, or a TOML file; got "
            f"{name!r}; to fix, choose one, or give the path of a file that ends with .toml"
        )
    path = Path(name) if is_file else _SHIPPED / f"{name}.toml"
    try:
        # Editors of Windows put a mark before the first line.
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            f"expected an environment as TOML in {path}; got {error}; to fix, start from a copy of "
            "pipeline/environments/local.toml"
        ) from error
    values |= {"name": path.stem} | {key: v for key, v in changes.items() if v is not None}
    try:
        return Environment.model_validate(values)
    except pydantic.ValidationError as error:
        raise ConfigError("\n".join(environment_faults.lines(error, path))) from error
