"""Names, links and whole folders that people met."""

import dataclasses
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np

from components.dataset.examination import findings
from tests.components.dataset.building import corpus
from tests.components.dataset.building.corpus import (
    Accepted,
    Refused,
    RefusedAtOnce,
    added,
    picture,
    replaced,
    together,
)


@dataclasses.dataclass(frozen=True)
class Said:
    """What is built, because one may want it, and said at once: the data gate stops a run at it."""

    name: str
    make: Callable[[Path], None]
    split: str
    filename: str
    cause: str
    detail: str


_NAME = "Übung"
_NFC, _NFD = (unicodedata.normalize(form, _NAME) for form in ("NFC", "NFD"))
_OTHER_HW3 = 255 - corpus.IMAGE_HW3
_OTHER = corpus.encode(_OTHER_HW3, "PNG")


def _moved(*pairs: tuple[str, str]) -> Callable[[Path], None]:
    """Renames files."""

    def make(root: Path) -> None:
        for old, new in pairs:
            (root / old).rename(root / new)

    return make


def _named(image: str, label: str) -> Callable[[Path], None]:
    """Gives the odd picture and its mask these names."""
    return _moved(
        ("images/train/odd.jpg", f"images/train/{image}"),
        ("masks/train/odd.png", f"masks/train/{label}"),
    )


def _linked(root: Path) -> None:
    (root / "elsewhere").mkdir()
    for path in ("images/train/odd.jpg", "masks/train/odd.png"):
        moved = (root / path).rename(root / "elsewhere" / Path(path).name)
        (root / path).symlink_to(moved)


def _two_of_a_dot(root: Path) -> None:
    _named("view.1.jpg", "view.1.png")(root)
    corpus.write(root, "images/train/view.2.png", _OTHER)
    corpus.write(root, "masks/train/view.2.png", corpus.mask_file(2 - corpus.LABEL_HW // 128))


def _binary(root: Path) -> None:
    for number, path in enumerate(sorted(root.glob("masks/*/*.png"))):
        label_HW = np.where(np.roll(corpus.LABEL_HW, number, axis=1) == 1, 255, 0)
        path.write_bytes(corpus.mask_file(label_HW.astype(np.uint8)))


def _accepted(name: str, make: Callable[[Path], None], filename: str = "odd", **options):
    return Accepted(name, make, filename=filename, tolerance=4, **options)


FOLDERS = [
    _accepted("ending .jfif [sylikc/jpegview#168]", _named("odd.jfif", "odd.png")),
    _accepted("ending .JPEG [open-edge-platform/datumaro#151]", _named("odd.JPEG", "odd.png")),
    _accepted("mask's ending .PNG [PeterL1n/BackgroundMattingV2#51]", _named("odd.jpg", "odd.PNG")),
    _accepted(
        "copies of an editor, .jpg~ and .png~ [toshiaki1729/dataset-tag-editor-standalone#73]",
        together(added("images/train/odd.jpg~", b"old"), added("masks/train/odd.png~", b"old")),
    ),
    _accepted(
        "thumbnails of a file manager [meetps/pytorch-semseg#83]",
        together(added("images/train/Thumbs.db", b"\xd0\xcf"), added("masks/val/.DS_Store", b"\0")),
    ),
    _accepted(
        "accents composed in one name, apart in the other [microsoft/winfile#86]",
        _named(f"{_NFD}.jpg", f"{_NFC}.png"),
        _NFC,
    ),
    _accepted("dots in names [abreheret/PixelAnnotationTool#63]", _two_of_a_dot, "view.1"),
    _accepted("links to files [ufal/neuralmonkey#84]", _linked),
]

BAD_FOLDERS = [
    Refused(
        "picture of one name in both forms of accents [oflisback/obsidian-bridge.nvim#43]",
        together(
            _named(f"{_NFC}.jpg", f"{_NFC}.png"), added(f"images/train/{_NFD}.jpg", corpus.jpeg())
        ),
        findings.DUPLICATE,
        ".",
        filename=_NFC,
    ),
    Refused(
        "links to a disk that is not there [KatherLab/MediSwarm#481]",
        corpus.dangling("images/train/odd.jpg"),
        findings.UNREADABLE,
        r"odd\.jpg: No such file or directory$",
    ),
]

NO_FOLDERS = [
    RefusedAtOnce(
        "masks of 0 and 255 only [milesial/Pytorch-UNet#375]",
        _binary,
        "only one class.*background beside",
    ),
]

SAID = [
    Said(
        "picture that is in both splits under two names [tqwei05/PlantSeg#11]",
        together(
            picture(_OTHER, ".png"),
            replaced("images/val/check.jpg", _OTHER, "images/val/check.png"),
        ),
        "val",
        "check.png",
        findings.IN_TWO_SPLITS,
        "train has the same picture, odd.png",
    ),
]
