"""Pictures of many sizes, brightnesses and ways to lie, and the lines of a log."""

import io
import json

import numpy as np
from PIL import Image

EXIF_ORIENTATION = 0x0112


def pictures(seed: int, count: int) -> list[bytes]:
    """JPEG, PNG and BMP files; EXIF turns some of the JPEGs."""
    random = np.random.default_rng(seed)
    return [_picture(random) for _ in range(count)]


def _picture(random: np.random.Generator) -> bytes:
    height, width = random.integers(1, 90, 2)
    low, high = sorted(random.integers(0, 257, 2))
    pixels = random.integers(low, high + (low == high), (height, width, 3)).clip(0, 255)
    image = Image.fromarray(pixels.astype(np.uint8))
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = int(random.integers(1, 9))
    kind = ("JPEG", "PNG", "BMP")[random.integers(3)]
    file = io.BytesIO()
    image.save(file, kind, **({"exif": exif} if kind == "JPEG" else {}))
    return file.getvalue()


def mask_of(width: int, height: int, label: int = 1) -> bytes:
    """A grey PNG of one class."""
    file = io.BytesIO()
    Image.new("L", (width, height), label).save(file, "PNG")
    return file.getvalue()


def line(**changed) -> dict:
    """One that is right, with some of its fields changed."""
    return {
        "schema": 1,
        "time": "2026-03-04T05:06:07.890+00:00",
        "model": "deeplab",
        "asked": None,
        "version": 7,
        "width": 640,
        "height": 480,
        "brightness": 120.5,
        "class_pixels": {"0": 1000, "3": 24},
        "confidence": 0.9,
        "error": "",
        "seconds": 0.25,
    } | changed


def write_lines(path, lines) -> str:
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return str(path)
