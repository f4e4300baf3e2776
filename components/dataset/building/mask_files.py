"""Mask files: class ids out of whatever holds them, and the grey PNG that goes into a record."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from components.dataset.building.mask_colors import ids_of_colors
from components.dataset.building.mask_kinds import (
    BITS_PER_SAMPLE,
    ORIENTATION,
    SAMPLE_FORMAT,
    SIGNED,
    check_keeps,
    tiff_tags,
)
from components.dataset.building.picture_files import ProblemError, opened
from components.dataset.examination import findings
from components.dataset.examination.image_files import PNG, png_bits, png_chunks
from schemas import Dataset

_STORED = {
    2: np.fliplr,
    3: lambda label_HW: np.rot90(label_HW, 2),
    4: np.flipud,
    5: np.transpose,
    6: np.rot90,  # Against the clock.
    7: lambda label_HW: np.rot90(np.transpose(label_HW), 2),
    8: lambda label_HW: np.rot90(label_HW, -1),
}
"""From an upright mask back to how it is stored, by EXIF's number."""


def record_mask(encoded: bytes, path: str, dataset: Dataset) -> bytes:
    """The mask as it goes into a record: a grey PNG of 8 bits that holds the class ids.

    As it is stored: a TIFF or PNG that says how it is to be turned is not turned.

    Args:
        encoded: the mask's file.
        path: its name, for a `.mat` is a mask of SBD.
        dataset: says what the pixels hold.

    Raises:
        ProblemError: it holds no class ids, or such as have no place in 8 bits.
    """
    if path.lower().endswith(".mat"):
        return _encode(_read_sbd(encoded))
    with opened(encoded, findings.CORRUPT_MASK) as image:
        check_keeps(image, encoded, dataset.source.masks)
        if dataset.source.masks == "colors":
            return _encode(ids_of_colors(image, encoded, dataset))
        if image.format == "PNG" and image.mode in ("P", "L") and png_bits(encoded) == 8:
            return _grey_png(encoded)
        label_HW = _ids(image, encoded)
    if label_HW.min() < 0 or label_HW.max() > 255:
        wrong = label_HW[(label_HW < 0) | (label_HW > 255)]
        raise ProblemError(*findings.out_of_range("0-255", np.unique(wrong).tolist()))
    return _encode(label_HW.astype(np.uint8))


def _ids(image: Image.Image, encoded: bytes) -> np.ndarray:
    """Class ids `[height, width]` as stored, not turned; of a palette the indices.

    Raises:
        ProblemError: it holds something else.
    """
    bits, is_signed, orientation = 8, False, None
    if image.format == "PNG":
        bits = png_bits(encoded)
    elif image.format == "TIFF":
        tags = tiff_tags(encoded)
        bits = tags.get(BITS_PER_SAMPLE, (1,))[0]
        is_signed = tags.get(SAMPLE_FORMAT, (1,))[0] == SIGNED
        orientation = tags.get(ORIENTATION)
    if image.mode in ("LA", "PA") and bits == 8:
        if image.getchannel("A").getextrema()[0] < 255:
            raise _no_ids(f"mode {image.mode} with pixels that are not opaque")
        label_HW = np.asarray(image.getchannel(0))
    elif image.mode in ("1", "P", "L", "I") or image.mode.startswith("I;16"):
        label_HW = np.asarray(image)
    else:
        raise _no_ids(f"mode {image.mode}")
    if image.mode == "1":
        label_HW = label_HW.astype(np.uint8)
    elif image.mode == "L" and bits < 8:
        # Pillow spreads what fewer bits hold over 0 to 255.
        label_HW = label_HW // (255 // (2**bits - 1))
    elif image.mode == "L" and is_signed:
        label_HW = label_HW.view(np.int8)
    return _as_stored(label_HW, image, orientation)


def _as_stored(label_HW: np.ndarray, image: Image.Image, orientation: int | None) -> np.ndarray:
    """Undoes what Pillow does to a TIFF that says how it lies, and to no other file.

    Picture and mask are turned together, by who sees both.
    """
    was_turned = orientation in _STORED and ORIENTATION not in image.getexif()
    return _STORED[orientation](label_HW) if was_turned else label_HW


def _no_ids(got: str) -> ProblemError:
    hint = (
        ""
        if got.startswith("mode F")
        else '; if the mask shows the classes\' colours, set masks = "colors" in dataset.toml'
    )
    return ProblemError(
        findings.UNSUITABLE_MASK, f"expected one channel of class ids, got {got}{hint}"
    )


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
