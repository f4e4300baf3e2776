"""Descriptions, records and requests that people met."""

import base64
import dataclasses
import gzip
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from tests.components.dataset.building import corpus
from tests.corpus import bitmaps, jpegs, pngs


@dataclasses.dataclass(frozen=True)
class Description:
    """A `dataset.toml` that is refused."""

    name: str
    classes: tuple[tuple[str, str], ...]
    """Name and colour of each."""
    message: str
    """Regular expression."""


def _classes(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, f"#{number:06x}") for number, name in enumerate(names))


DESCRIPTIONS = [
    Description(
        "847 classes of ADE20k [facebookresearch/detectron2#5386]",
        _classes(*(f"class {number}" for number in range(847))),
        r"data set 'own'.*\b25[56]\b",
    ),
    Description(
        "two classes of one colour [csiro-robotics/WildScenes#5]",
        (("rock", "#102030"), ("soil", "#000000"), ("mud", "#102030")),
        "#102030",
    ),
    Description(
        "two classes of one name [fizyr/keras-retinanet#1046]",
        _classes("cat", "dog", "cat"),
        "a name of its own for each class",
    ),
    Description(
        "one class alone [SegmentationBLWX/sssegmentation#48]",
        _classes("defect"),
        "at least two classes",
    ),
]


@dataclasses.dataclass(frozen=True)
class Records:
    """A folder of records that is refused before any step runs."""

    name: str
    damage: Callable[[Path], None]
    message: str
    """Regular expression."""


def _emptied(folder: Path) -> None:
    for path in folder.glob("train-*"):
        path.write_bytes(b"")


def _zipped(folder: Path) -> None:
    for path in folder.glob("train-*"):
        path.write_bytes(gzip.compress(path.read_bytes()))


def _cut(folder: Path) -> None:
    for path in folder.glob("train-*"):
        path.write_bytes(path.read_bytes()[:-9])


RECORDS = [
    Records("files without a byte [tensorflow/models#1213]", _emptied, "at least one record.*got"),
    Records(
        "packed, not named so [hassan-mahmood/TIES_DataGeneration#11]",
        _zipped,
        r"which is gzipped but not named so; to fix, name it \.gz",
    ),
    Records(
        "download that was cut off [shahrukhqasim/TIES-2.0#10]", _cut, "cannot be read.*truncated"
    ),
]


@dataclasses.dataclass(frozen=True)
class Request:
    """A file sent to the served model beside a good one; None stands for an error in its row."""

    name: str
    content: bytes
    picture: Image.Image | None = None
    alone: bool = False
    """Whether it costs too much to be sent with all others, where no limit stops it."""


def _turned(orientation: int) -> bytes:
    image = corpus.IMAGE.transpose(corpus.STORED[orientation])
    return corpus.jpeg(image, exif=corpus.exif(orientation))


_RED = Image.new("RGB", (64, 32), corpus.RED)

REQUESTS = [
    Request(
        "base64 in place of the file [tensorflow/tensorflow#61286]",
        base64.b64encode(corpus.jpeg()),
    ),
    Request("web-safe base64 [tensorflow/serving#1141]", base64.urlsafe_b64encode(corpus.jpeg())),
    Request("pixels in place of the file [tensorflow/models#6333]", corpus.IMAGE_HW3.tobytes()),
    Request("text of an array [tensorflow/tensorflow#13583]", b"255 255 255\n" * 99),
    Request("nothing at all [affinelayer/pix2pix-tensorflow#72]", b""),
    Request("photograph of a telephone [apple/turicreate#1147]", _turned(6), corpus.IMAGE),
    Request(
        "photograph upside down [python-pillow/Pillow#9109]",
        _turned(3),
        corpus.IMAGE,
    ),
    Request("GIF of two frames [tensorflow/models#6644]", bitmaps.gif(64, 32, 2, (64, 32)), _RED),
    Request(
        "GIF whose frame is smaller than its canvas [tensorflow/tensorflow#15838]",
        bitmaps.gif(64, 32, 1, (16, 16)),
    ),
    Request("half a picture [pytorch/vision#2471]", jpegs.cut(jpegs.noise(), 0.5, jpegs.END)),
    Request("177 million pixels in 22 kB [coobird/thumbnailator#195]", pngs.bomb(), alone=True),
    Request(
        "GIF of 1,000 frames of a million pixels [smartnews/yoya-thumber#2]",
        bitmaps.long_gif(1000, 1000),
        _RED.resize((1000, 1000)),
        alone=True,
    ),
]

EMPTY_BATCH = "batch of nothing [tensorflow/serving#1610]"


@dataclasses.dataclass(frozen=True)
class Machine:
    """A machine of odd settings, and what is true on it; its test is in `test_machine.py`."""

    name: str
    verdict: str


ASCII = Machine("terminal that knows ASCII only [yadayada/acd_cli#168]", "refused as elsewhere")
KERAS_JSON = Machine("Keras set to channels first [perslev/U-Time#9]", "right, or one line says it")
MACHINES = [ASCII, KERAS_JSON]
