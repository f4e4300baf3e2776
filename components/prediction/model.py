"""A pushed model that answers in this process, by TensorFlow's C++ loader: it starts in seconds."""

import dataclasses
import os
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from components.errors import ConfigError, ServingError
from components.serving import exported, interface, versions
from components.serving.server.loader import SavedModel
from components.serving.server.statuses import Refusal
from components.serving.tensors import strings
from components.storage import paths


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a model says of one picture."""

    mask: bytes
    """A grey PNG of class ids; empty where there is an error."""
    error: str
    confidence: bytes = b""
    """A grey PNG, the probability of each pixel's class times 255; empty where none is known."""
    mean_confidence: float = 0.0
    class_ids: tuple[int, ...] = ()


def version_folder(folder: str, version: str | None = None) -> str:
    """The folder of one version of a model.

    Args:
        folder: of a version, or of a model's versions.
        version: of several, a number or a label of `models.config`; None for the highest.

    Raises:
        ConfigError: there is none, or it does not lie on this machine.
    """
    folder = paths.absolute(folder)
    if paths.is_remote(folder):
        raise ConfigError(
            f"expected a model in a folder of this machine; got {folder}; to fix, copy it here"
        )
    if exported.is_exported(folder) and version is None:
        return folder
    number = version
    if version is not None and not version.isdecimal():
        # Imported here: its messages take a second, and a number needs no file of labels.
        from components.serving import models_config

        labels = models_config.labels(folder)
        if version not in labels:
            raise ConfigError(
                f"expected a label of {folder}, one of {', '.join(labels) or 'none'}; got "
                f"{version!r}; to fix, give one of them, or a number"
            )
        number = str(labels[version])
    known = {os.path.basename(path): path for path in versions.versions(folder)}
    found = known.get(number) if number is not None else next(iter(known.values()), None)
    if found is None:
        raise ConfigError(
            f"expected {'versions of a model' if number is None else f'version {number}'} in "
            f"{folder}; got {', '.join(known) or 'none'}; to fix, run the pipeline first, or give "
            "the folder of a model"
        )
    return found


class Model:
    """A loaded model; used by any thread.

    Args:
        folder: of a version.

    Raises:
        ConfigError: the pipeline did not export it.
        ServingError: it does not load.
    """

    def __init__(self, folder: str):
        self.folder = folder
        about = exported.read_description(folder)
        self.class_names = tuple(about["classes"])
        self.dataset = about.get("dataset", "")
        self.identity = about["identity"]
        self._canvas_size = about.get("canvas_size")
        try:
            self._model = SavedModel(folder)
        except Refusal as error:
            raise ServingError(
                f"expected a model that loads in {folder}; got {error.message}; to fix, push it "
                "again"
            ) from error

    @cached_property
    def canvas_size(self) -> int:
        """Side of what the network sees, in pixels.

        Raises:
            ConfigError: the model does not say it.
        """
        if self._canvas_size is None:
            raise ConfigError(
                f"expected a model that names its canvas_size in {self.folder}; got none; to fix, "
                "push it again"
            )
        return self._canvas_size

    @property
    def has_confidence(self) -> bool:
        """Whether it answers with the confidence of every pixel; older models do not."""
        return interface.MASKS_AND_CONFIDENCE in self._model.signatures

    def require_logits(self) -> None:
        """Refuses a model that cannot be asked for tiles.

        Raises:
            ConfigError: it has no such signature.
        """
        if interface.LOGITS_FROM_TENSORS not in self._model.signatures:
            raise ConfigError(
                f"expected a model with the signature {interface.LOGITS_FROM_TENSORS} in "
                f"{self.folder}; got only {', '.join(sorted(self._model.signatures))}; to fix, "
                "push the model again, or leave out --tiles"
            )

    def segment(self, pictures: Sequence[bytes], *, confidence: bool = False) -> list[Answer]:
        """The masks of JPEG, PNG, GIF or BMP files of any sizes, in one call.

        Args:
            pictures: the files.
            confidence: whether the confidence of every pixel is asked for.

        Raises:
            ServingError: the model fails on all of them together.
        """
        name = interface.MASKS_AND_CONFIDENCE if confidence else interface.SERVING
        signature = self._model.signatures[name]
        wanted = [
            interface.CONFIDENCE_BYTES,
            interface.MASK_BYTES,
            interface.ERROR,
            interface.MEAN_CONFIDENCE,
            interface.CLASS_IDS,
        ]
        found = self._run(
            name,
            {interface.IMAGE_BYTES: strings(list(pictures))},
            [output for output in wanted if output in signature.outputs],
        )
        rows = range(len(pictures))
        nothing = {
            interface.CONFIDENCE_BYTES: strings([b""] * len(pictures)),
            interface.MEAN_CONFIDENCE: np.zeros(len(pictures)),
            interface.CLASS_IDS: np.full((len(pictures), 1), -1),
        }
        found = nothing | found
        return [
            Answer(
                found[interface.MASK_BYTES][row],
                found[interface.ERROR][row].decode(errors="replace"),
                found[interface.CONFIDENCE_BYTES][row],
                float(found[interface.MEAN_CONFIDENCE][row]),
                tuple(int(label) for label in found[interface.CLASS_IDS][row] if label >= 0),
            )
            for row in rows
        ]

    def segment_each(self, pictures: Sequence[bytes], *, confidence: bool = False) -> list[Answer]:
        """As `segment`, but a picture that makes the model fail has an error of its own."""
        try:
            return self.segment(pictures, confidence=confidence)
        except ServingError as error:
            if len(pictures) == 1:
                return [Answer(b"", str(error))]
        return [self.segment_each([one], confidence=confidence)[0] for one in pictures]

    def logits(self, images_BHW3: np.ndarray) -> np.ndarray:
        """The scores of every pixel, float32 `[B, H, W, C]`, of pictures uint8 of one size.

        Raises:
            ServingError: the model fails.
        """
        return self._run(
            interface.LOGITS_FROM_TENSORS, {interface.IMAGE_TENSOR: images_BHW3}, [interface.LOGITS]
        )[interface.LOGITS]

    def _run(self, name: str, inputs: dict, outputs: list[str]) -> dict[str, np.ndarray]:
        try:
            return self._model.run(self._model.signatures[name], inputs, outputs)
        except Refusal as error:
            raise ServingError(
                f"expected an answer of {self.folder} by {name}; got {error.message}; to fix, "
                "leave the pictures out that it fails on, or push the model again"
            ) from error
