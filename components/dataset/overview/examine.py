"""One record: what it holds, as training would see it, and what looks wrong with it.

Pictures are decoded by Pillow here, which says more of a broken file and shrinks while it decodes;
whether a run takes a record is for the gate to say, which decodes as training does.
"""

import dataclasses
import io
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from PIL import Image

from components.dataset import records
from components.dataset.examination import findings
from schemas import Dataset

NEARLY_EMPTY_SHARE = 0.005
"""Less than this share of the labelled pixels outside the background is nearly nothing."""
MOSTLY_IGNORED_SHARE = 0.95
"""From this share of ignored pixels on, little is left to learn from."""
FEW_PIXELS = 16
"""A class with fewer pixels in a mask may be a slip of the brush, or an edge that was smoothed."""
EXTREME_ASPECT = 3.0
"""A long side more than so many times the short one leaves most of a square crop to padding."""
SMALL_SIDE = 64
"""A picture with a shorter side, in pixels, is small for a network that sees a 16th of it."""
BACKGROUND_NAMES = ("background", "_background_", "__background__", "bg", "none", "other")
"""Class 0 is the background if it has one of these names; other data sets have none."""
DECODED_SIDE = 220
"""A JPEG may be decoded at a fraction of its size, but for no side below this."""

NEARLY_EMPTY = "nearly empty"
MOSTLY_IGNORED = "almost all ignored"
FEW_PIXELS_OF_A_CLASS = "class of few pixels"
EXTREME_SHAPE = "extreme shape"
SMALL = "very small"

GRAVE = {
    findings.UNREADABLE: "the file is no TFRecord or is cut off; what follows in it was not read",
    findings.MISSING_FEATURE: "the record lacks its picture or its mask",
    findings.CORRUPT_PICTURE: "the picture cannot be decoded",
    findings.CORRUPT_MASK: "the mask cannot be decoded",
    findings.UNSUITABLE_MASK: "the mask is no grey PNG of class ids; training would see other ids",
    findings.OTHER_SIZE: "picture and mask differ in size",
    findings.OUT_OF_RANGE: "the mask holds labels that no class has",
    findings.ALL_IGNORED: "every pixel has the ignore label",
}
"""What a run stops at, or would learn wrong from, gravest first, and what each means."""

DOUBTFUL = {
    MOSTLY_IGNORED: f"at least {100 * MOSTLY_IGNORED_SHARE:.0f} % of the pixels are ignored",
    NEARLY_EMPTY: f"less than {100 * NEARLY_EMPTY_SHARE:g} % of the labelled pixels are not "
    "background",
    findings.ONE_CLASS: "one class fills the whole mask",
    FEW_PIXELS_OF_A_CLASS: f"a class has fewer than {FEW_PIXELS} pixels: a damaged mask, or one "
    "that was resized or smoothed",
    EXTREME_SHAPE: f"one side is more than {EXTREME_ASPECT:g} times the other",
    SMALL: f"the short side is below {SMALL_SIDE} pixels",
}
"""What may be right, and is worth a look."""


@dataclasses.dataclass(frozen=True, slots=True)
class Suspicion:
    """Why a record is worth a look."""

    reason: str
    """One of `GRAVE` or `DOUBTFUL`."""
    detail: str
    rank: float = 0.0
    """Among records of the same reason, the worst has the lowest."""


@dataclasses.dataclass(kw_only=True, slots=True)
class Examined:
    """What one record holds; None is what could not be read."""

    name: str
    encoded: bytes = b""
    """The picture's file."""
    image: Image.Image | None = None
    """RGB; may be smaller than `size`."""
    size: tuple[int, int] | None = None
    """Width and height of the picture."""
    label_HW: np.ndarray | None = None
    """Labels, uint8, as training would see them."""
    pixels_256: np.ndarray | None = None
    """How many pixels each label has."""
    mask: Image.Image | None = None
    """A mask that holds no labels but can be looked at."""
    suspicions: list[Suspicion] = dataclasses.field(default_factory=list)


class _UnsuitableMaskError(Exception):
    """What the mask is instead."""


def background_id(dataset: Dataset) -> int | None:
    """The class that stands for "nothing of interest"; None where the data set has none."""
    named = dataset.class_names[0].strip().lower() in BACKGROUND_NAMES
    return 0 if named and dataset.ignore_label != 0 else None


def examine(example: tf.train.Example, dataset: Dataset) -> Examined:
    """Decodes a record and looks for what is suspicious; never fails.

    Args:
        example: the record, with the keys of `components.dataset.records`.
        dataset: its classes and ignore label.
    """
    features = example.features.feature

    def first(key: str) -> bytes | None:
        values = features[key].bytes_list.value if key in features else []
        return values[0] if values else None

    name = (first(records.FILENAME) or b"(record without a name)").decode(errors="replace")
    found = Examined(name=name, encoded=first(records.IMAGE) or b"")
    for key, read, cause in (
        (records.IMAGE, _read_image, findings.CORRUPT_PICTURE),
        (records.LABEL, _read_label, findings.CORRUPT_MASK),
    ):
        encoded = first(key)
        if encoded is None:
            missing = Suspicion(findings.MISSING_FEATURE, f"expected bytes in {key}")
            found.suspicions.append(missing)
            continue
        try:
            read(encoded, found)
        except _UnsuitableMaskError as error:
            found.suspicions.append(Suspicion(findings.UNSUITABLE_MASK, str(error)))
        # A damaged file can make Pillow's decoders raise nearly anything.
        except Exception as error:
            found.suspicions.append(Suspicion(cause, _reason(error)))
    if found.size:
        found.suspicions += _suspicions_of_size(found.size)
    if found.label_HW is not None:
        found.suspicions += _suspicions_of_label(found, dataset)
    return found


# === Decoding ===


def _read_image(encoded: bytes, found: Examined) -> None:
    with Image.open(io.BytesIO(encoded)) as image:
        if image.format not in ("JPEG", "MPO", "PNG", "GIF", "BMP"):
            raise ValueError(f"expected a JPEG, PNG, GIF or BMP file, got {image.format}")
        size = image.size
        # A JPEG is decoded to its last byte at any size, so damage is seen all the same.
        image.draft(None, (DECODED_SIDE, DECODED_SIDE))
        image.load()
        if image.mode.startswith("I"):
            # Pillow would cut 16-bit pixels off at 255; TensorFlow keeps their upper half.
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        found.image = image.convert("RGB")
    found.size = size


def _read_label(encoded: bytes, found: Examined) -> None:
    """The labels as `components.transform.decoding.decode_label` gives them."""
    with Image.open(io.BytesIO(encoded)) as image:
        if image.format != "PNG":
            raise _UnsuitableMaskError(f"expected a grey PNG of class ids, got {image.format}")
        if image.mode.startswith("I"):
            raise _UnsuitableMaskError(
                "expected 8 bits a pixel, got 16; training would see only their upper half"
            )
        image.load()
        if image.mode in ("L", "1"):
            # Of one bit a pixel, the set ones come as 255.
            label_HW = np.asarray(image.convert("L"))
        else:
            label_HW3 = np.asarray(image.convert("RGB"))
            label_HW = label_HW3[..., 0]
            if (label_HW3 != label_HW[..., None]).any():
                found.mask = image.convert("RGB")
                kind = "a palette" if image.mode == "P" else "colours"
                raise _UnsuitableMaskError(
                    f"expected class ids as grey values, got {kind}; training would see how "
                    "bright the colours are"
                )
    found.label_HW = label_HW
    found.pixels_256 = np.bincount(label_HW.ravel(), minlength=256)


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "this is no picture file"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


# === Suspicions ===


def _suspicions_of_size(size: tuple[int, int]) -> Iterator[Suspicion]:
    short, long = sorted(size)
    if long > EXTREME_ASPECT * short:
        yield Suspicion(
            EXTREME_SHAPE, f"{times(size)} pixels, {long / short:.1f} : 1", -long / short
        )
    if short < SMALL_SIDE:
        yield Suspicion(SMALL, f"{times(size)} pixels", short)


def _suspicions_of_label(found: Examined, dataset: Dataset) -> Iterator[Suspicion]:
    label_size = found.label_HW.shape[::-1]
    if found.size and found.size != label_size:
        turned = ", the mask is transposed" if found.size == label_size[::-1] else ""
        yield Suspicion(
            findings.OTHER_SIZE,
            f"the picture is {times(found.size)}, the mask {times(label_size)}{turned}",
        )
    for cause, detail in findings.label_problems(
        found.pixels_256, dataset.num_classes, dataset.ignore_label
    ):
        yield Suspicion(cause, detail)

    ignored = found.pixels_256[dataset.ignore_label] / found.pixels_256.sum()
    if MOSTLY_IGNORED_SHARE <= ignored < 1:
        yield Suspicion(MOSTLY_IGNORED, f"{100 * ignored:.1f} % of the pixels", -ignored)

    pixels_C = found.pixels_256[: dataset.num_classes].copy()
    if dataset.ignore_label < dataset.num_classes:
        pixels_C[dataset.ignore_label] = 0
    present = np.flatnonzero(pixels_C)
    background = background_id(dataset)
    if len(present) and background is not None:
        share = 1 - pixels_C[background] / pixels_C.sum()
        if share == 0:
            yield Suspicion(NEARLY_EMPTY, "only background", 0)
        elif share < NEARLY_EMPTY_SHARE:
            yield Suspicion(NEARLY_EMPTY, f"{100 * share:.2f} % are not background", share)
    if len(present) == 1 and present[0] != background:
        yield Suspicion(findings.ONE_CLASS, f"only {dataset.class_names[present[0]]}")
    few = [i for i in present if pixels_C[i] < FEW_PIXELS]
    if few:
        yield Suspicion(
            FEW_PIXELS_OF_A_CLASS,
            ", ".join(_few_pixels(found.label_HW, int(i), dataset) for i in few),
            int(min(pixels_C[few])),
        )


def _few_pixels(label_HW: np.ndarray, label: int, dataset: Dataset) -> str:
    places_N2 = np.argwhere(label_HW == label)
    pixels = f"{len(places_N2)} pixel{'s' if len(places_N2) > 1 else ''}"
    y, x = places_N2[0]
    return f"{dataset.class_names[label]} has {pixels}, at x {x}, y {y}"


def times(size: tuple[int, int]) -> str:
    """Width and height as people write them."""
    return f"{size[0]} × {size[1]}"
