"""Odd and bad folders and lists of names."""

import contextlib
import ctypes
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from components.dataset.examination import findings
from tests.components.dataset.building.corpus import (
    IMAGE,
    LABEL_HW,
    Accepted,
    Refused,
    RefusedAtOnce,
    added,
    encode,
    folder,
    jpeg,
    mask_file,
    removed,
    renamed,
    together,
)

_PNG = encode(IMAGE, "PNG")
_TRAIN = "lists/train.txt"


def _without_folder(path: str):
    return lambda root: shutil.rmtree(root / path)


def _emptied(path: str):
    def make(root: Path) -> None:
        shutil.rmtree(root / path)
        (root / path).mkdir()

    return make


def _name_in_latin_1(root: Path) -> None:
    (root / "images/train/odd.jpg").rename(
        os.fsdecode(os.fsencode(root) + b"/images/train/\xe9.jpg")
    )


FOLDERS = [
    Accepted("name with a space and letters", renamed("Üb 日本"), filename="Üb 日本", tolerance=4),
    Accepted("name with brackets and a star", renamed("a[1]*"), filename="a[1]*", tolerance=4),
    Accepted("nested folders", renamed("north/9/odd"), filename="north/9/odd", tolerance=4),
    Accepted(
        "what file managers leave",
        together(
            *(
                added(f"{kind}/train/{name}", b"not a picture")
                for kind in ("images", "masks")
                for name in (".DS_Store", "._odd.jpg", "Thumbs.db", "desktop.ini", ".cache/a.jpg")
            )
        ),
        tolerance=4,
    ),
    Accepted(
        "list of Windows",
        added(_TRAIN, b"\xef\xbb\xbfgood\r\nodd\r\n\r\nother\r\n"),
        layout="lists",
        tolerance=4,
    ),
    Accepted(
        "list of names with spaces",
        together(
            added(_TRAIN, b"good\nodd one\nother\n"),
            added("pictures/odd one.jpg", jpeg()),
            added("masks/odd one.png", mask_file(LABEL_HW)),
        ),
        layout="lists",
        filename="odd one",
        tolerance=4,
    ),
]


class _Capabilities(ctypes.Structure):
    """What `capget` and `capset` take, of version 3: a header, and two times three words."""

    _fields_ = (
        ("version", ctypes.c_uint32),
        ("pid", ctypes.c_int),
        ("effective", ctypes.c_uint32),
        ("others", ctypes.c_uint32 * 5),
    )

    def call(self, name: str) -> None:
        header, data = ctypes.byref(self), ctypes.byref(self, _Capabilities.effective.offset)
        assert getattr(ctypes.CDLL(None), name)(header, data) == 0


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Lets the rights of folders count for root, too, who otherwise needs none."""
    capabilities = _Capabilities(version=0x20080522, pid=0)
    capabilities.call("capget")
    before = capabilities.effective
    capabilities.effective &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    capabilities.call("capset")
    try:
        yield
    finally:
        capabilities.effective = before
        capabilities.call("capset")


_THREE = ("good.jpg", "odd.jpg", "other.jpg")

BAD_FOLDERS = [
    Refused(
        "picture without mask",
        removed("masks/train/odd.png"),
        findings.MISSING_MASK,
        r"^expected a file .*/masks/train/odd$",
    ),
    Refused(
        "mask without picture",
        removed("images/train/odd.jpg"),
        findings.MISSING_PICTURE,
        "^a mask has no picture of its name$",
    ),
    Refused(
        "mask of another name",
        together(removed("masks/odd.png"), added("masks/odd_mask.png", mask_file(LABEL_HW))),
        findings.MISSING_MASK,
        r"^expected a file .*/masks/odd\.png or .*/cls/odd\.mat$",
        layout="lists",
    ),
    Refused(
        "two pictures of one name",
        added("images/train/odd.png", _PNG),
        findings.DUPLICATE,
        r"/odd\.png beside .*/odd\.jpg$",
        train=_THREE,
    ),
    Refused(
        "two masks of one name",
        added("masks/train/odd.tif", mask_file(LABEL_HW, "TIFF")),
        findings.DUPLICATE,
        r"/odd\.tif beside .*/odd\.png$",
        train=_THREE,
    ),
    Refused(
        "name twice in a list",
        added(_TRAIN, b"good\nodd\nother\nodd\n"),
        findings.DUPLICATE,
        "^this name occurs twice$",
        train=_THREE,
        layout="lists",
    ),
    Refused(
        "name in a list that has no file",
        added(_TRAIN, b"good\nother\nodd\nnobody\n"),
        findings.MISSING_PICTURE,
        r"^expected a file .*/pictures/nobody\.jpg$",
        filename="nobody",
        train=_THREE,
        layout="lists",
    ),
    Refused(
        "name with its ending in a list",
        added(_TRAIN, b"good\nother\nodd.jpg\n"),
        findings.MISSING_PICTURE,
        r"^expected a file .*/pictures/odd\.jpg\.jpg$",
        filename="odd.jpg",
        layout="lists",
    ),
    Refused(
        "picture in two splits",
        added("lists/val.txt", b"check\nodd\n"),
        findings.IN_TWO_SPLITS,
        "^it is in train too$",
        split="val",
        train=_THREE,
        layout="lists",
    ),
]

NO_FOLDERS = [
    RefusedAtOnce(
        "list of names is empty",
        added(_TRAIN, b"\n \n"),
        r"expected the names of the train pictures in .*/lists/train\.txt; got an empty file",
        layout="lists",
    ),
    RefusedAtOnce(
        "list of names is missing",
        removed(_TRAIN),
        r"expected lists/train\.txt in .*; got no such file; to fix, give the folder of a complete",
        layout="lists",
    ),
    RefusedAtOnce(
        "list of names is no text",
        added(_TRAIN, b"\xff\xfe\x80"),
        r"expected a text file in UTF-8 .*; got .*/lists/train\.txt \(.*; to fix, write it anew",
        layout="lists",
    ),
    RefusedAtOnce(
        "list of names is a folder",
        folder(_TRAIN),
        r"expected a text file .*; got .*/lists/train\.txt \(Is a directory\)",
        layout="lists",
    ),
    RefusedAtOnce(
        "folder of the masks is missing",
        _without_folder("masks/train"),
        "expected masks/train in .*; got no such file",
    ),
    RefusedAtOnce(
        "folder of the pictures is missing",
        _without_folder("images/val"),
        "expected images/val in .*; got no such file",
    ),
    RefusedAtOnce(
        "split without a picture",
        _emptied("images/val"),
        r"expected pictures of the val split at .*/images/val/\*; got none; to fix, put them there",
    ),
    RefusedAtOnce(
        "file name that is no text",
        _name_in_latin_1,
        r"expected file names in UTF-8; got b'.*/\\xe9\.jpg'; to fix, rename it",
    ),
]
