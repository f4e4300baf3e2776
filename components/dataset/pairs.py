"""Reads one picture and its mask as they come, and makes the record that the pipeline takes.

A JPEG or PNG goes into the record as it is, unless its EXIF tag says that it lies on its side;
other pictures become a PNG. A mask becomes a grey PNG of class ids.
"""

import collections
import contextlib
import dataclasses
import hashlib
import io
import struct
import warnings
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageOps

from components.dataset import findings
from components.dataset.layout import Pair
from components.dataset.records import Record
from schemas import Dataset

# What goes into a record as it is; MPO is a JPEG with more pictures behind it, as telephones write.
_NATIVE = {"JPEG": "jpeg", "MPO": "jpeg", "PNG": "png"}
# No others are opened: Pillow would hand an EPS file to Ghostscript, which runs it as a program.
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
_EXIF_ORIENTATION = 0x0112
_TURNED = range(2, 9)
_JPEG_QUALITY = 95
_MAX_PIXELS = 100_000_000
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_BITS = 24  # where a PNG file says how many bits each value has


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """What came of one pair: a record, or what is wrong."""

    record: Record | None
    problems: list[tuple[str, str]]
    """Causes and details, see `components.dataset.findings`; empty where there is a record."""
    pixels_256: np.ndarray
    """How many pixels each label has."""
    rewritten: str
    """Why the picture's file was written anew; empty where it went through as it is."""
    digest: str
    """Of both files, SHA-256."""


class _ProblemError(Exception):
    """Cause and detail."""


def read_pair(pair: Pair, dataset: Dataset) -> Reading:
    """The record of a picture and its mask, or all that is wrong with them.

    Args:
        pair: the files.
        dataset: classes, ignore label, and what the pixels of a mask hold.
    """
    problems: list[tuple[str, str]] = []
    pixels_256 = np.zeros(256, np.int64)
    digest = hashlib.sha256()
    image = label = None
    try:
        encoded = _read_file(pair.image)
        digest.update(encoded)
        image = _check_picture(encoded)
    except _ProblemError as problem:
        problems.append(problem.args)
    try:
        encoded = _read_file(pair.label)
        digest.update(encoded)
        label_HW, label = _read_label(encoded, pair.label, dataset)
        pixels_256 = np.bincount(label_HW.ravel(), minlength=256)
        problems += findings.label_problems(
            pixels_256[:256], dataset.num_classes, dataset.ignore_label
        )
        if pixels_256.size > 256:
            raise _ProblemError(
                findings.OUT_OF_RANGE, f"got {pixels_256.size - 1} in a 16-bit mask"
            )
        if image is not None:
            _check_size(image, label_HW.shape)
    except _ProblemError as problem:
        problems.append(problem.args)
    record = None
    if not problems:
        record = Record(
            filename=pair.name + image.ending,
            image=image.encoded,
            image_format=image.format,
            label=label,
            height=image.size[1],
            width=image.size[0],
        )
    return Reading(
        record=record,
        problems=problems,
        pixels_256=pixels_256[:256],
        rewritten=image.rewritten if image else "",
        digest=digest.hexdigest(),
    )


def _read_file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            encoded = file.read()
    except OSError as error:
        raise _ProblemError(findings.UNREADABLE, f"{path}: {error.strerror}") from error
    if not encoded:
        raise _ProblemError(findings.UNREADABLE, f"{path} is empty")
    return encoded


# === Pictures ===


@dataclasses.dataclass(frozen=True, slots=True)
class _Picture:
    encoded: bytes
    format: str
    ending: str
    size: tuple[int, int]
    """Width and height, as a person sees them."""
    stored_size: tuple[int, int]
    rewritten: str = ""


@contextlib.contextmanager
def _opened(encoded: bytes, corrupt: str) -> Iterator[Image.Image]:
    """An image file, not decoded yet; whatever a decoder raises in the context is a problem.

    Args:
        encoded: the file.
        corrupt: the cause, where the file is damaged.
    """
    with warnings.catch_warnings():
        # Pillow warns of odd metadata, and of what may be a bomb; the bound below is a refusal.
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(encoded), formats=_FORMATS) as image:
                if image.width * image.height > _MAX_PIXELS:
                    raise _ProblemError(
                        corrupt,
                        f"expected at most {_MAX_PIXELS:,} pixels, got {_times(image.size)}",
                    )
                if image.format == "PNG":
                    collections.deque(_png_chunks(encoded), maxlen=0)
                yield image
        except _ProblemError:
            raise
        except Exception as error:  # At damaged bytes Pillow's decoders raise what they like.
            raise _ProblemError(corrupt, _reason(error)) from error


def _check_picture(encoded: bytes) -> _Picture:
    """Decodes a picture to see that it can be; writes it anew where it has to be."""
    with _opened(encoded, findings.CORRUPT_PICTURE) as image:
        reason = _rewriting_reason(image)
        if reason:
            return _rewrite(image, reason)
        size, kind = image.size, _NATIVE[image.format]
        # A JPEG is decoded to the last byte at any size; an eighth of it takes the least.
        image.draft("L", (max(1, size[0] // 8), max(1, size[1] // 8)))
        image.load()
    return _Picture(encoded, kind, ".jpg" if kind == "jpeg" else f".{kind}", size, size)


def _reason(error: Exception) -> str:
    """One line, without the address of the stream that Pillow puts into its message."""
    if isinstance(error, Image.UnidentifiedImageError):
        return "expected a picture file such as JPEG, PNG or TIFF, got something else"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _rewriting_reason(image: Image.Image) -> str:
    """Why a picture cannot go into a record as it is; empty where it can."""
    if image.format not in _NATIVE:
        return f"{image.format} as PNG"
    if image.getexif().get(_EXIF_ORIENTATION) in _TURNED:
        return "turned upright as EXIF says"
    return ""


def _rewrite(image: Image.Image, reason: str) -> _Picture:
    """The picture upright, in 8-bit colours: a JPEG stays a JPEG, all else becomes a PNG."""
    stored_size = image.size
    as_jpeg = _NATIVE.get(image.format) == "jpeg"
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I") or upright.mode == "F":
        # Pillow would cut off at 255 instead of scaling.
        grey_HW = np.asarray(upright)
        if upright.mode == "F" or grey_HW.min() < 0 or grey_HW.max() > 0xFFFF:
            raise _ProblemError(
                findings.CORRUPT_PICTURE,
                f"expected 8 or 16 bits for each colour, got 32 ({grey_HW.dtype})",
            )
        upright = Image.fromarray((grey_HW >> 8).astype(np.uint8))
    upright = upright.convert("RGB")
    file = io.BytesIO()
    if as_jpeg:
        upright.save(file, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
        return _Picture(file.getvalue(), "jpeg", ".jpg", upright.size, stored_size, reason)
    upright.save(file, "PNG")
    return _Picture(file.getvalue(), "png", ".png", upright.size, stored_size, reason)


def _check_size(image: _Picture, label_shape: tuple[int, int]) -> None:
    size = label_shape[::-1]
    if size == image.size:
        return
    detail = f"the picture is {_times(image.size)}, the mask {_times(size)}"
    if image.rewritten and size == image.stored_size:
        detail += "; the mask fits the picture before it is turned upright, so remove its EXIF tag"
    elif size == image.size[::-1]:
        detail += "; the mask is transposed"
    raise _ProblemError(findings.OTHER_SIZE, detail)


def _times(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


# === Masks ===


def _read_label(encoded: bytes, path: str, dataset: Dataset) -> tuple[np.ndarray, bytes]:
    """Class ids `[height, width]` of a mask, and the grey PNG that holds them."""
    if path.endswith(".mat"):
        label_HW = _read_sbd(encoded)
        return label_HW, _encode(label_HW)
    with _opened(encoded, findings.CORRUPT_MASK) as image:
        if image.format in ("JPEG", "MPO", "WEBP"):
            raise _ProblemError(
                findings.UNSUITABLE_MASK,
                f"expected a lossless file such as PNG, got {image.format}, which changes ids",
            )
        if dataset.source.masks == "colors":
            label_HW = _ids_of_colors(image, dataset)
            return label_HW, _encode(label_HW)
        label_HW = _ids(image)
        if image.format == "PNG" and image.mode in ("P", "L"):
            bits = encoded[_PNG_BITS]
            if bits == 8:
                return label_HW, _grey_png(encoded)
            if image.mode == "L":
                # Pillow spreads what fewer bits hold over 0 to 255.
                label_HW = label_HW // (255 // (2**bits - 1))
    if label_HW.max() > 255:
        return label_HW, b""
    return label_HW, _encode(label_HW.astype(np.uint8))


def _ids(image: Image.Image) -> np.ndarray:
    """Of a palette mask the indices, not the colours."""
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8)
    if image.mode in ("P", "L") or image.mode.startswith("I;16"):
        return np.asarray(image)
    if image.mode == "I":
        label_HW = np.asarray(image)
        if 0 <= label_HW.min() and label_HW.max() <= 0xFFFF:
            return label_HW.astype(np.uint16)
    raise _ProblemError(
        findings.UNSUITABLE_MASK,
        f"expected one channel of class ids, got mode {image.mode}; if the mask shows the classes' "
        'colours, set masks = "colors" in dataset.toml',
    )


def _ids_of_colors(image: Image.Image, dataset: Dataset) -> np.ndarray:
    """Class ids of a mask in the classes' colours."""
    rgb_HW3 = np.asarray(image.convert("RGB"), np.uint32)
    packed_HW = rgb_HW3[..., 0] << 16 | rgb_HW3[..., 1] << 8 | rgb_HW3[..., 2]
    ids = {_packed(info.color): info.id for info in dataset.classes}
    ids |= {_packed(color): dataset.ignore_label for color in dataset.source.ignore_colors}
    present, place_HW = np.unique(packed_HW, return_inverse=True)
    unknown = [int(color) for color in present if int(color) not in ids]
    if unknown:
        raise _ProblemError(
            findings.UNKNOWN_COLOR,
            f"expected the colours in dataset.toml, got {len(unknown)} others: "
            + ", ".join(f"#{color:06x}" for color in unknown[:5]),
        )
    table = np.array([ids[int(color)] for color in present], np.uint8)
    return table[place_HW.reshape(packed_HW.shape)]


def _packed(color: tuple[int, int, int]) -> int:
    return color[0] << 16 | color[1] << 8 | color[2]


def _read_sbd(encoded: bytes) -> np.ndarray:
    """Class ids from a `.mat` of SBD (its README: `GTcls.Segmentation`)."""
    import scipy.io  # Half a second, and only SBD needs it.

    try:
        if encoded[128:132] == b"\x0f\0\0\0":  # A compressed variable; its length is next.
            # SciPy can crash the process on a damaged one; the checksum at its end tells.
            zlib.decompress(encoded[136 : 136 + int.from_bytes(encoded[132:136], "little")])
        found = scipy.io.loadmat(io.BytesIO(encoded))["GTcls"]["Segmentation"][0, 0]
        label_HW = np.asarray(found).astype(np.uint8)
        if label_HW.ndim != 2 or not label_HW.size or (label_HW != found).any():
            raise ValueError(f"{found.dtype} values of shape {found.shape}")
    except Exception as error:  # At damaged bytes SciPy raises what it likes.
        raise _ProblemError(
            findings.CORRUPT_MASK, f"expected GTcls.Segmentation in a .mat file, got {error}"
        ) from error
    return label_HW


def _encode(label_HW: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(label_HW).save(file, "PNG")
    return file.getvalue()


def _grey_png(encoded: bytes) -> bytes:
    """An 8-bit palette PNG as a grey one: the indices are the grey values, so the pixels stay.

    Only the header changes, and the chunks that go with a palette are left out. PNG
    specification, 11.2: IHDR holds the colour type at its tenth byte, 0 for grey, 3 for palette.
    """
    parts = [_PNG]
    for kind, chunk in _png_chunks(encoded):
        if kind == b"IHDR":
            body = kind + chunk[8:17] + b"\0" + chunk[18:21]
            chunk = chunk[:4] + body + struct.pack(">I", zlib.crc32(body))
        if kind in (b"IHDR", b"IDAT", b"IEND"):
            parts.append(chunk)
    return b"".join(parts)


def _png_chunks(encoded: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and bytes of each chunk of a PNG file, up to its end.

    Raises:
        ValueError: the file is cut off or damaged where TensorFlow looks and Pillow does not.
    """
    kind, place = b"", len(_PNG)
    while kind != b"IEND":
        length = int.from_bytes(encoded[place : place + 4], "big")
        chunk = encoded[place : place + 12 + length]
        if len(chunk) < 12 + length:
            raise ValueError("the file is cut off")
        kind = chunk[4:8]
        if not kind.isalpha():
            raise ValueError("the file is damaged")
        # PNG specification, 5.4: a decoder may do without what has a small first letter.
        if kind[:1].isupper() and zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
            raise ValueError(f"the checksum of its {kind.decode()} is wrong")
        yield kind, chunk
        place += len(chunk)
