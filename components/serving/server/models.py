"""Which versions of which models are served: what the configuration and the folders say now.

As in TensorFlow Serving: names of whole numbers are versions, the highest is served unless the
policy says otherwise, a new one is loaded before the old one goes, one that does not load leaves
the old one where it is and is tried again, and what changes within a version's folder is not seen.
"""

import dataclasses
import threading
import time

import grpc
from absl import logging
from google.protobuf import text_format

from components.errors import ConfigError
from components.observation.request_log import RequestLog
from components.serving import versions
from components.serving.protos import ModelConfig, ModelServerConfig, ModelSpec, ModelVersionStatus
from components.serving.server.batching import Batching, Joined
from components.serving.server.loader import SavedModel
from components.serving.server.statuses import Refusal, invalid
from components.storage import paths

State = ModelVersionStatus.State


@dataclasses.dataclass(slots=True)
class _Version:
    """One version of one model."""

    path: str
    state: int = State.START
    error: Refusal | None = None
    """Why it did not load."""
    model: SavedModel | Joined | None = None
    tries_left: int = 0
    next_try: float = 0.0
    """On the monotonic clock."""


class Models:
    """All versions of all models of a configuration; used by any thread.

    Args:
        config: which models, their folders, policies and labels.
        retries: how often a version that does not load is tried again.
        retry_seconds: after so long.
        log: of the requests for pictures.
        batching: how requests are joined; None: not at all.
    """

    def __init__(
        self,
        config: ModelServerConfig,
        *,
        retries: int,
        retry_seconds: float,
        log: RequestLog | None = None,
        batching: Batching | None = None,
    ):
        self._config, self.log, self._batching = config, log, batching
        self._retries, self._retry_seconds = retries, retry_seconds
        self._versions: dict[str, dict[int, _Version]] = {}
        self._lock = threading.Lock()

    def configure(self, config: ModelServerConfig) -> None:
        """Takes another configuration, which is the whole truth from the next `refresh` on."""
        self._config = config

    def refresh(self) -> None:
        """Looks into the folders, loads and unloads; called by one thread."""
        configs = {config.name: config for config in self._config.model_config_list.config}
        for name in self._versions.keys() - configs.keys():
            self._unload(name, set(self._versions[name]))
        for name, config in configs.items():
            self._refresh_one(name, config)

    def _refresh_one(self, name: str, config: ModelConfig) -> None:
        aspired = _aspired(config)
        with self._lock:
            known = self._versions.setdefault(name, {})
            for number, path in aspired.items():
                before = known.get(number)
                if before is None or (before.state == State.END and before.error is None):
                    known[number] = _Version(path, tries_left=self._retries + 1)
        for number in sorted(aspired, reverse=True):
            self._load(name, number, known[number])
        # Old ones stay while nothing is there to take their place.
        if not aspired or any(known[number].model for number in aspired):
            self._unload(name, known.keys() - aspired.keys())

    def _load(self, name: str, number: int, version: _Version) -> None:
        if version.model or not version.tries_left or time.monotonic() < version.next_try:
            return
        version.tries_left -= 1
        version.state = State.LOADING
        try:
            model = SavedModel(version.path)
            if self._batching is not None:
                model = self._batching.of(model, version.path)
        except Refusal as error:
            version.error, version.state = error, State.END
            version.next_try = time.monotonic() + self._retry_seconds
            logging.error("Loading {name: %s version: %d} failed: %s", name, number, error)
            return
        with self._lock:
            version.model, version.error, version.state = model, None, State.AVAILABLE
        logging.info("Successfully loaded servable version {name: %s version: %d}", name, number)

    def _unload(self, name: str, numbers: set[int]) -> None:
        with self._lock:
            for number in numbers:
                version = self._versions[name][number]
                if version.model:
                    logging.info("Unloading servable version {name: %s version: %d}", name, number)
                # Requests that are under way hold it until they are answered.
                version.model, version.error, version.state = None, None, State.END
                version.tries_left = 0

    def find(self, spec: ModelSpec) -> tuple[int, SavedModel | Joined]:
        """The number and the model that a request is for.

        Raises:
            Refusal: there is none, or it is not loaded.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        number = self._number(spec)
        with self._lock:
            loaded = {
                number: version.model
                for number, version in self._versions.get(spec.name, {}).items()
                if version.model
            }
        wanted = max(loaded, default=None) if number is None else number
        if wanted not in loaded:
            asked = f"Latest({spec.name})" if number is None else f"Specific({spec.name}, {number})"
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {asked}")
        return wanted, loaded[wanted]

    def _number(self, spec: ModelSpec) -> int | None:
        """The version that a request names; None for the highest."""
        kind = spec.WhichOneof("version_choice")
        if kind == "version":
            return spec.version.value
        if kind is None:
            return None
        for config in self._config.model_config_list.config:
            if config.name == spec.name and spec.version_label in config.version_labels:
                return config.version_labels[spec.version_label]
        raise invalid(f"Unrecognized servable version label: {spec.version_label}")

    def statuses(self, spec: ModelSpec) -> list[ModelVersionStatus]:
        """The states of the versions of a model, the lowest first, or of the one that is named.

        Raises:
            Refusal: there is none.
        """
        number = self._number(spec)
        with self._lock:
            known = dict(self._versions.get(spec.name, {}))
        if number is not None:
            if number not in known:
                raise Refusal(
                    grpc.StatusCode.NOT_FOUND,
                    f"Could not find version {number} of model {spec.name}",
                )
            known = {number: known[number]}
        if not known:
            raise Refusal(
                grpc.StatusCode.NOT_FOUND, f"Could not find any versions of model {spec.name}"
            )
        found = []
        for number, version in sorted(known.items()):
            status = ModelVersionStatus(version=number, state=version.state)
            status.status.SetInParent()
            if version.error:
                status.status.error_code = version.error.code.value[0]
                status.status.error_message = version.error.message
            found.append(status)
        return found


def read_config(path: str) -> ModelServerConfig:
    """A configuration in protobuf's text format, as TensorFlow Serving reads it.

    Raises:
        ConfigError: there is none, or it says nothing of models.
    """
    try:
        with open(path, encoding="utf-8") as file:
            config = text_format.Parse(file.read(), ModelServerConfig())
    except (OSError, ValueError, text_format.ParseError) as error:
        raise ConfigError(
            f"expected a configuration of models in {path}; got {error}; to fix, see "
            "ModelServerConfig in TensorFlow Serving's documentation"
        ) from error
    for model in config.model_config_list.config:
        if not model.name or not model.base_path:
            raise ConfigError(
                f"expected a name and a base_path of every model in {path}; got {model}; to fix, "
                "write both"
            )
    return config


def _aspired(config: ModelConfig) -> dict[int, str]:
    """Paths of the versions that the policy asks for, by number."""
    try:
        numbered = versions.numbered(config.base_path)
    except OSError as error:
        logging.warning("No versions of servable %s found: %s", config.name, error)
        return {}
    found = {int(path.rsplit("/", 1)[-1]): path for path in numbered if paths.is_folder(path)}
    policy = config.model_version_policy
    match policy.WhichOneof("policy_choice"):
        case "all":
            return found
        case "specific":
            return {n: path for n, path in found.items() if n in policy.specific.versions}
    newest = sorted(found, reverse=True)[: max(1, policy.latest.num_versions)]
    return {number: found[number] for number in newest}
