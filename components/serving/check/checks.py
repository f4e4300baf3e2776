"""What a served model must answer: plain functions, no TFX."""

import contextlib
import dataclasses
import io
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from components import texts
from components.dataset import records
from components.errors import AnswerError, ServingError
from components.serving import interface, protos, warm_up
from components.serving.check import load
from components.serving.check.options import ServingOptions
from components.serving.client import Client
from components.serving.server import launch
from components.storage import paths

_NAME = "candidate"
_NOT_A_PICTURE = b"these bytes are not a picture"
_SAME_PIXELS = 0.001
"""So large a share of pixels may differ: batches of other sizes are computed in another order."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What the check found of a model that serves."""

    pictures: int
    sizes: list[tuple[int, int]]
    """Widths and heights, each once."""
    signatures: list[str]
    load: load.Load


def check_serving(
    model: str,
    examples: list[bytes],
    num_classes: int,
    ignore_label: int,
    options: ServingOptions,
    program: str | None = None,
    warm_up_requests: bytes = b"",
) -> Measured:
    """Starts a server of `model` and sends it the pictures of `examples`, and one bad file.

    All pictures go in one batch, whatever their sizes. Checked are: the model loads; every
    signature answers what it says, one value for each that was sent; each mask is a PNG as large as
    its picture with known classes; the file that is no picture gets an error and fails no other;
    the masks are those that the evaluation has judged, and those of every other signature that says
    what is in a picture; REST answers as gRPC; requests that are to warm a server up are answered;
    latency, memory and its growth stay within the limits.

    Args:
        model: folder of the SavedModel; of one in a store, a copy on this machine is loaded.
        examples: serialized records.
        num_classes: the number of classes that a mask may hold.
        ignore_label: of the pixels that are not judged.
        options: the limits.
        program: TensorFlow Serving; None for the stand-in.
        warm_up_requests: see `components.serving.warm_up`.

    Raises:
        ServingError: naming what was expected and what came.
    """
    parsed = [protos.Example.FromString(example).features.feature for example in examples]
    pictures = [features[records.IMAGE].bytes_list.value[0] for features in parsed]
    labels = [_label(features[records.LABEL].bytes_list.value[0]) for features in parsed]
    with _server(model, program) as server:
        server.wait_until_available(options.timeout_seconds)
        with _blaming(server, model):
            by_grpc, by_rest = (
                Client(address, _NAME, timeout=options.timeout_seconds)
                for address in (server.grpc_address, server.rest_address)
            )
            answers = load.ask_all(
                by_grpc, _signatures(server), [*pictures, _NOT_A_PICTURE], examples
            )
            masks = _check_masks(answers[interface.SERVING], labels, num_classes)
            _check_parity(answers[interface.EVALUATE], labels, masks, num_classes, ignore_label)
            _check_agreement(answers, masks)
            _check_rest(by_rest, pictures[0], answers[interface.SERVING][interface.MASK_BYTES][0])
            warm_up.replay(by_grpc.predict, warm_up_requests)
            measured = load.measure(by_grpc, server.process.pid, pictures[0], options)
    return Measured(
        pictures=len(pictures),
        sizes=sorted({(mask.shape[1], mask.shape[0]) for mask in masks}),
        signatures=sorted(answers),
        load=measured,
    )


@contextlib.contextmanager
def _server(model: str, program: str | None) -> Iterator[launch.Server]:
    """A server of this model alone, in a folder of versions."""
    with tempfile.TemporaryDirectory() as folder:
        base_path = os.path.join(folder, _NAME)
        os.mkdir(base_path)
        version = os.path.join(base_path, "1")
        if paths.is_remote(model):
            paths.copy_tree(model, version)
        else:
            os.symlink(os.path.abspath(model), version)
        log = Path(folder, "log.txt")
        with launch.running(base_path, _NAME, program=program, log=log, retries=0) as server:
            yield server


def _signatures(server: launch.Server) -> load.Signatures:
    metadata = server.get("/metadata")["metadata"]
    return metadata["signature_def"]["signature_def"]


@contextlib.contextmanager
def _blaming(server: launch.Server, model: str) -> Iterator[None]:
    """Says which model has not answered, and whether the server has ended over it."""
    try:
        yield
    except AnswerError as error:
        code = server.process.poll()
        ended = "" if code is None else f" and the server ended with status {code}"
        raise ServingError(
            f"expected {model} to answer in a server's process; got: {error}{ended}; to fix, see "
            "the export in components/serving/signatures.py"
        ) from error


def _label(file: bytes) -> np.ndarray:
    """Class ids of a label's PNG, upright; a palette's are its numbers."""
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(file))))


def _check_masks(
    served: Mapping[str, np.ndarray], labels: Sequence[np.ndarray], num_classes: int
) -> list[np.ndarray]:
    """The masks, uint8 `[height, width]`, each as large as the label of its picture."""
    *masks, none = served[interface.MASK_BYTES]
    *errors, problem = served[interface.ERROR]
    if none or not problem:
        raise ServingError(
            "expected an error and no mask for a file that is no picture; got "
            f"a mask of {texts.counted(len(none), 'byte')} and the error {problem!r}; "
            "to fix, see the serving signature"
        )
    found = []
    for mask, error, label in zip(masks, errors, labels, strict=True):
        if error:
            raise ServingError(f"expected a mask for a picture of the data; got {error.decode()}")
        ids = _image(mask, "a mask")
        if ids.shape != label.shape or ids.dtype != np.uint8:
            raise ServingError(
                f"expected a grey mask of height and width {label.shape}; got {ids.shape} of "
                f"{ids.dtype}"
            )
        if ids.max() >= num_classes:
            raise ServingError(f"expected classes 0-{num_classes - 1} in a mask; got {ids.max()}")
        found.append(ids)
    return found


def _check_parity(
    evaluated: Mapping[str, np.ndarray],
    labels: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    num_classes: int,
    ignore_label: int,
) -> None:
    """Refuses masks that are not those that the evaluation has counted."""
    # A single picture may have no labels: masks of nothing can be accepted at the data gate.
    if not evaluated[interface.CONFUSION_MATRIX].any():
        raise ServingError(
            f"expected labelled pixels in {texts.counted(len(labels), 'picture')} from the "
            "evaluation signature; got confusion matrices of zeros; to fix, see that signature"
        )
    for judged, label, mask in zip(
        evaluated[interface.CONFUSION_MATRIX], labels, masks, strict=True
    ):
        known = (label < num_classes) & (label != ignore_label)
        pairs = num_classes * label[known].astype(np.int64) + mask[known]
        served = np.bincount(pairs, minlength=num_classes**2)
        # A pixel in another class is one too many here and one too few there.
        other = np.abs(judged - served).sum() / 2 / max(1, served.sum())
        if other > _SAME_PIXELS:
            raise ServingError(
                f"expected masks with the classes that the evaluation has judged; got "
                f"{texts.percent(other, 1)} of a picture's labelled pixels in others; to fix, see "
                "that both signatures go through the same network and the same enlargement"
            )


def _check_agreement(
    answers: Mapping[str, Mapping[str, np.ndarray]], masks: Sequence[np.ndarray]
) -> None:
    """Refuses signatures that see other classes; a model need not have all of them."""
    others: dict[str, list[np.ndarray]] = {}
    for name in (interface.MASKS_AND_CONFIDENCE, interface.FROM_EXAMPLES):
        if name in answers:
            files = answers[name][interface.MASK_BYTES][: len(masks)]
            others[name] = [_image(file, f"a mask of {name}") for file in files]
    # Of pixels, those of the first picture alone were sent, see `load.ask_all`.
    if interface.FROM_TENSORS in answers:
        others[interface.FROM_TENSORS] = [
            *answers[interface.FROM_TENSORS][interface.PREDICTIONS][:1]
        ]
    if interface.LOGITS_FROM_TENSORS in answers:
        logits = answers[interface.LOGITS_FROM_TENSORS][interface.LOGITS][:1]
        others[interface.LOGITS_FROM_TENSORS] = [*logits.argmax(-1)]
    for name, found in others.items():
        for other, mask in zip(found, masks, strict=False):
            if other.shape != mask.shape or (other != mask).mean() > _SAME_PIXELS:
                raise ServingError(
                    f"expected the masks of {interface.SERVING} from {name}, too; got others; to "
                    "fix, see that all signatures go through the same network and the same "
                    "enlargement"
                )
    if interface.MASKS_AND_CONFIDENCE in answers:
        *maps, none = answers[interface.MASKS_AND_CONFIDENCE][interface.CONFIDENCE_BYTES]
        shapes = [_image(file, "a map of confidence").shape for file in maps]
        if none or shapes != [mask.shape for mask in masks]:
            raise ServingError(
                "expected maps of confidence as large as the masks, and none for a file that is "
                f"no picture; got {shapes} and {texts.counted(len(none), 'byte')}; to fix, see "
                f"{interface.MASKS_AND_CONFIDENCE}"
            )


def _image(file: bytes, what: str) -> np.ndarray:
    try:
        return np.asarray(Image.open(io.BytesIO(file)))
    except OSError as damage:
        raise ServingError(f"expected a PNG as {what}; got {file[:20]!r}: {damage}") from damage


def _check_rest(client: Client, picture: bytes, mask: bytes) -> None:
    """Refuses another answer than that of gRPC."""
    (answer,) = client.segment([picture])
    one, other = _image(answer.mask, "a mask by REST"), _image(mask, "a mask")
    if one.shape != other.shape or (one != other).mean() > _SAME_PIXELS:
        raise ServingError("expected the same mask by REST and by gRPC; got another one")
