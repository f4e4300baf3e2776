"""Mask files: class ids out of whatever holds them, and the grey PNG that goes into a record."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from components import texts
from components.dataset.building.picture_files import ProblemError, opened
from components.dataset.examination import findings
from components.dataset.examination.image_files import PNG, png_bits, png_chunks
from schemas import Dataset


def record_mask(encoded: bytes, path: str, dataset: Dataset) -> bytes:
    """The mask as it goes into a record: a grey PNG of 8 bits that holds the class ids.

    Args:
        encoded: the mask's file.
        path: its name, for a `.mat` is a mask of SBD.
        dataset: says what the pixels hold.

    Raises:
        ProblemError: it holds no class ids, or such as have no place in 8 bits.
    """
    if path.endswith(".mat"):
        return _encode(_read_sbd(encoded))
    with opened(encoded, findings.CORRUPT_MASK) as image:
        if image.format in ("JPEG", "MPO", "WEBP"):
            raise ProblemError(
                findings.UNSUITABLE_MASK,
                f"expected a lossless file such as PNG, got {image.format}, which changes ids",
            )
        if dataset.source.masks == "colors":
            return _encode(_ids_of_colors(image, dataset))
        bits = png_bits(encoded) if image.format == "PNG" and image.mode in ("P", "L") else 0
        if bits == 8:
            return _grey_png(encoded)
        label_HW = _ids(image)
        if bits and image.mode == "L":
            # Pillow spreads what fewer bits hold over 0 to 255.
            label_HW = label_HW // (255 // (2**bits - 1))
    if label_HW.max() > 255:
        raise ProblemError(findings.OUT_OF_RANGE, f"got {label_HW.max()} in a 16-bit mask")
    return _encode(label_HW.astype(np.uint8))


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
    raise ProblemError(
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
        raise ProblemError(
            findings.UNKNOWN_COLOR,
            f"expected the colours in dataset.toml, got {texts.counted(len(unknown), 'other')}: "
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
        raise ProblemError(
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
    parts = [PNG]
    for kind, chunk in png_chunks(encoded):
        if kind == b"IHDR":
            body = kind + chunk[8:17] + b"\0" + chunk[18:21]
            chunk = chunk[:4] + body + struct.pack(">I", zlib.crc32(body))
        if kind in (b"IHDR", b"IDAT", b"IEND"):
            parts.append(chunk)
    return b"".join(parts)
