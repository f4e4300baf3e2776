"""PASCAL VOC in its official layout: `JPEGImages/`, `SegmentationClass/`, `ImageSets/`."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from components.dataset.records import Record
from components.errors import DataError
from schemas import Dataset


def find_root(folder: Path) -> Path | None:
    """The folder that holds `ImageSets/Segmentation`: `folder`, its `VOC2012` or deeper.

    Returns None where there is none, so that a caller can try another layout.
    """
    for candidate in (folder, folder / "VOC2012", folder / "VOCdevkit" / "VOC2012"):
        if (candidate / "ImageSets" / "Segmentation").is_dir():
            return candidate
    return None


def picture_names(root: Path, split: str) -> list[str]:
    """The names in `ImageSets/Segmentation/<split>.txt`.

    Raises:
        DataError: the list is missing or empty.
    """
    path = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    names = path.read_text().split() if path.is_file() else []
    if not names:
        raise DataError(
            f"expected the names of the {split} pictures in {path}; got "
            f"{'an empty file' if path.is_file() else 'no such file'}; to fix, give the folder "
            "of a complete PASCAL VOC in --data-dir"
        )
    return names


def read_pictures(root: Path, names: list[str], dataset: Dataset) -> Iterator[Record]:
    """One record for each name: the JPEG file as it is, the palette mask as class ids.

    Raises:
        DataError: a file is missing or unreadable, the sizes differ, or a label is unknown.
    """
    for name in names:
        image_path = root / "JPEGImages" / f"{name}.jpg"
        label_path = root / "SegmentationClass" / f"{name}.png"
        image, (width, height) = _read_image(image_path)
        label = _read_label(label_path)
        if label.shape != (height, width):
            raise DataError(
                f"expected a mask as large as its picture, {width}x{height}; got "
                f"{label.shape[1]}x{label.shape[0]} in {label_path}; to fix, replace the mask"
            )
        unknown = sorted(set(np.unique(label)) - set(range(dataset.num_classes)))
        unknown = [int(value) for value in unknown if value != dataset.ignore_label]
        if unknown:
            raise DataError(
                f"expected labels 0-{dataset.num_classes - 1} or {dataset.ignore_label} (ignore); "
                f"got {unknown[:5]} in {label_path}; to fix, replace the mask or choose the data "
                "set that has these classes"
            )
        encoded = io.BytesIO()
        Image.fromarray(label).save(encoded, "PNG")
        yield Record(
            filename=f"{name}.jpg",
            image=image,
            image_format="jpeg",
            label=encoded.getvalue(),
            height=height,
            width=width,
        )


def _read_image(path: Path) -> tuple[bytes, tuple[int, int]]:
    try:
        encoded = path.read_bytes()
        with Image.open(io.BytesIO(encoded)) as image:
            image.load()
            return encoded, image.size
    except OSError as error:
        raise _unreadable("picture", path, error) from error


def _read_label(path: Path) -> np.ndarray:
    """Class ids, uint8 `[height, width]`: of a palette PNG the indices, not the colours."""
    try:
        with Image.open(path) as image:
            label = np.asarray(image)
    except OSError as error:
        raise _unreadable("mask", path, error) from error
    if label.ndim != 2 or label.dtype != np.uint8:
        raise DataError(
            f"expected a palette or 8-bit grey mask; got mode {image.mode} in {path}; "
            "to fix, store one class id a pixel"
        )
    return label


def _unreadable(what: str, path: Path, error: OSError) -> DataError:
    reason = "no such file" if isinstance(error, FileNotFoundError) else str(error)
    return DataError(f"expected a readable {what}; got {path} ({reason}); to fix, restore the file")
