"""Whether what is served is what was judged: the same pictures by a server, and as they are judged.

The serving check asks about a few pictures before a push. This asks about all, in several batch
sizes: a server of TensorFlow's C++ loader in a process of its own is sent the bytes of each picture
of a split, and its masks are held, pixel by pixel, against those of the Evaluator's function.
"""

import dataclasses
import io
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from components import texts
from components.dataset import records
from components.errors import ConfigError, DataError, ServingError
from components.serving import interface, protos
from components.serving.client import Client
from models import metrics

BATCH_SIZES = (1, 3, 8)
"""Pictures of a request, by turns: a server's batching makes any."""


@dataclasses.dataclass(frozen=True, slots=True)
class Compared:
    """One picture."""

    name: str
    pixels: int
    other_pixels: int
    """Those of another class in the served mask than in the judged one."""
    served: np.ndarray
    """int64 `[C, C]`: the confusion matrix of the served mask."""
    judged: np.ndarray
    """int64 `[C, C]`: the matrix that the Evaluator sums up."""


@dataclasses.dataclass(frozen=True, slots=True)
class Parity:
    """All pictures."""

    pictures: int
    pixels: int
    other_pixels: int
    other_counts: int
    """Labelled pixels that the Evaluator's matrices count in another cell than the masks say."""
    worst: str
    """The picture with the most of both; empty where there are none."""
    served_mean_iou: float
    judged_mean_iou: float

    @property
    def holds(self) -> bool:
        """Whether there is no difference at all."""
        return not self.other_pixels and not self.other_counts


def compare(
    model: str, client: Client, examples: Iterable[bytes], num_classes: int, ignore_label: int
) -> Iterator[Compared]:
    """Sends pictures to a server, and the records to the model's own functions.

    Args:
        model: folder of the SavedModel that the server has loaded.
        client: of the server.
        examples: serialized records with labels.
        num_classes: the number of classes C.
        ignore_label: of the pixels that are not judged.

    Raises:
        ConfigError: the model was exported by older code.
        DataError: a record has no picture, or the model has no mask for it.
        AnswerError: the server is not there, or refuses.
    """
    loaded = tf.saved_model.load(model)
    wanted = interface.EVALUATE, interface.FROM_EXAMPLES
    if not set(wanted) <= set(loaded.signatures):
        raise ConfigError(
            f"expected a model with the signatures {' and '.join(wanted)} in {model}; got "
            f"{', '.join(sorted(loaded.signatures))}; to fix, push it again: older code has not "
            "exported them"
        )
    judge, mask_of = (loaded.signatures[name] for name in wanted)
    for batch in _batches(examples):
        features = [protos.Example.FromString(each).features.feature for each in batch]
        names = [_first(each, records.FILENAME).decode(errors="replace") for each in features]
        answers = client.segment([_first(each, records.IMAGE) for each in features])
        for name, answer in zip(names, answers, strict=True):
            if answer.error:
                raise DataError(
                    f"expected pictures that the model can read; got {name}: {answer.error}; to "
                    "fix, give the records that it was judged on"
                )
        served = [_pixels(answer.mask) for answer in answers]
        judged = [
            _pixels(mask) for mask in mask_of(tf.constant(batch))[interface.MASK_BYTES].numpy()
        ]
        matrices = judge(tf.constant(batch))[interface.CONFUSION_MATRIX].numpy()
        for name, feature, mask, other, matrix in zip(
            names, features, served, judged, matrices, strict=True
        ):
            label = _pixels(_first(feature, records.LABEL))
            yield Compared(
                name=name,
                pixels=mask.size,
                other_pixels=int((mask != other).sum()) if mask.shape == other.shape else mask.size,
                served=_confusion(label, mask, num_classes, ignore_label),
                judged=matrix.reshape(num_classes, num_classes),
            )


def summed(compared: Iterable[Compared]) -> Parity:
    """What all comparisons come to.

    Raises:
        DataError: there is none.
    """
    pictures = pixels = other_pixels = other_counts = 0
    served = judged = 0
    worst, most = "", 0
    for each in compared:
        # A pixel in another cell is one too many here and one too few there.
        counts = int(np.abs(each.served - each.judged).sum() + 1) // 2
        pictures += 1
        pixels += each.pixels
        other_pixels += each.other_pixels
        other_counts += counts
        served, judged = served + each.served, judged + each.judged
        if each.other_pixels + counts > most:
            worst, most = each.name, each.other_pixels + counts
    if not pictures:
        raise DataError("expected records to compare with; got none; to fix, give others")
    return Parity(
        pictures=pictures,
        pixels=pixels,
        other_pixels=other_pixels,
        other_counts=other_counts,
        worst=worst,
        served_mean_iou=metrics.mean_iou(served),
        judged_mean_iou=metrics.mean_iou(judged),
    )


def require(parity: Parity) -> None:
    """Refuses any difference.

    Raises:
        ServingError: naming how much differs, and where most.
    """
    if not parity.holds:
        raise ServingError(
            f"expected the masks that were judged, to the last pixel; got "
            f"{texts.counted(parity.other_pixels, 'pixel')} of {parity.pixels:,} in other classes "
            f"and {texts.counted(parity.other_counts, 'pixel')} counted otherwise, most in "
            f"{parity.worst}; to fix, see that all signatures go through the same network and "
            "the same enlargement"
        )


def _batches(examples: Iterable[bytes]) -> Iterator[Sequence[bytes]]:
    sizes = BATCH_SIZES
    batch: list[bytes] = []
    for example in examples:
        batch.append(example)
        if len(batch) == sizes[0]:
            yield batch
            batch, sizes = [], (*sizes[1:], sizes[0])
    if batch:
        yield batch


def _first(features, key: str) -> bytes:
    values = features[key].bytes_list.value if key in features else []
    if not values:
        raise DataError(
            f"expected records with {key}; got one without; to fix, give records of this project"
        )
    return values[0]


def _pixels(png: bytes) -> np.ndarray:
    """Of a mask or a label, upright."""
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(png))))


def _confusion(
    label: np.ndarray, mask: np.ndarray, num_classes: int, ignore_label: int
) -> np.ndarray:
    """In NumPy, by itself: what is checked is also how the model counts."""
    matrix = np.zeros((num_classes, num_classes), np.int64)
    if label.shape != mask.shape:
        return matrix
    known = (label < num_classes) & (label != ignore_label)
    np.add.at(matrix, (label[known], mask[known]), 1)
    return matrix
