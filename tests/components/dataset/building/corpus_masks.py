"""Odd and bad mask files."""

import numpy as np
from PIL import Image

from components.dataset.examination import findings
from tests.components.dataset.building.corpus import (
    COLORS_256,
    IGNORE,
    IMAGE,
    LABEL_HW,
    NO_PICTURE,
    STORED,
    Accepted,
    Refused,
    added,
    dangling,
    encode,
    exif,
    folder,
    jpeg,
    mask,
    mask_file,
    picture,
    png,
    removed,
    sbd,
    together,
    with_half_alpha,
    with_wrong_checksum,
)

_INDEX_MASK = Image.fromarray(LABEL_HW).convert("P")
_INDEX_MASK.putdata(LABEL_HW.ravel())
_INDEX_MASK.putpalette(COLORS_256.ravel().tolist())
_PALETTE_CHUNK = b"PLTE", COLORS_256.tobytes()
_TRANSPARENCY_CHUNK = b"tRNS", bytes(range(256))
_FEW_HW = np.where(LABEL_HW == IGNORE, 0, LABEL_HW)
_ONE_HW = (LABEL_HW == 1).astype(np.uint8)


def _mask(name: str, content: bytes, ending: str = ".png", **expected) -> Accepted:
    return Accepted(name, mask(content, ending), tolerance=4, **expected)


MASKS = [
    _mask("palette mask", encode(_INDEX_MASK, "PNG")),
    _mask("palette mask with transparent colours", encode(_INDEX_MASK, "PNG", transparency=0)),
    _mask(
        "interlaced palette mask with transparent colours",
        png(LABEL_HW, 8, 3, interlaced=True, chunks=[_PALETTE_CHUNK, _TRANSPARENCY_CHUNK]),
    ),
    _mask(
        "palette mask of 4 bits",
        png(_FEW_HW, 4, 3, chunks=[(b"PLTE", COLORS_256[:16].tobytes())]),
        label_HW=_FEW_HW,
    ),
    _mask(
        "palette mask of 1 bit",
        png(_ONE_HW, 1, 3, chunks=[(b"PLTE", b"\0\0\0\xff\xff\xff")]),
        label_HW=_ONE_HW,
    ),
    _mask("grey mask of 1 bit", png(_ONE_HW, 1, 0), label_HW=_ONE_HW),
    _mask("grey mask of 2 bits", png(_FEW_HW, 2, 0), label_HW=_FEW_HW),
    _mask("grey mask of 4 bits", png(_FEW_HW, 4, 0), label_HW=_FEW_HW),
    _mask("grey mask of 16 bits", encode(LABEL_HW.astype(np.uint16), "PNG")),
    _mask(
        "grey mask with gamma and a transparent value",
        png(LABEL_HW, 8, 0, chunks=[(b"gAMA", b"\0\1\0\0"), (b"tRNS", b"\0\1")]),
    ),
    _mask("mask with bytes behind its end", mask_file(LABEL_HW) + b"\0\1\2"),
    _mask("TIFF mask", mask_file(LABEL_HW, "TIFF"), ".tif"),
    _mask("BMP mask", encode(_INDEX_MASK, "BMP"), ".bmp"),
    _mask("GIF mask", encode(_INDEX_MASK, "GIF", optimize=False), ".gif"),
    Accepted(
        "mask of SBD",
        together(removed("masks/odd.png"), added("cls/odd.mat", sbd(Segmentation=LABEL_HW))),
        tolerance=4,
        layout="lists",
    ),
    Accepted(
        "mask in colours",
        mask(encode(COLORS_256[LABEL_HW], "PNG")),
        tolerance=4,
        layout="colors",
    ),
    Accepted(
        "mask in colours of a palette, with alpha that is opaque",
        mask(png(LABEL_HW, 8, 3, chunks=[_PALETTE_CHUNK, (b"tRNS", b"\xff" * 256)])),
        tolerance=4,
        layout="colors",
    ),
]

_BAD_MASK = findings.CORRUPT_MASK
_UNSUITABLE = findings.UNSUITABLE_MASK
_OTHER_SIZE = findings.OTHER_SIZE
_UNKNOWN_COLOR_HW3 = np.where(LABEL_HW[..., None] == 2, np.uint8([9, 8, 7]), COLORS_256[LABEL_HW])


def _bad_sbd(name: str, content: bytes, detail: str) -> Refused:
    make = together(removed("masks/odd.png"), added("cls/odd.mat", content))
    detail = f"^expected GTcls.Segmentation in a .mat file, got {detail}"
    return Refused(name, make, _BAD_MASK, detail, layout="lists")


BAD_MASKS = [
    Refused("empty mask", mask(b""), findings.UNREADABLE, r"odd\.png is empty$"),
    Refused("text as mask", mask(b"no mask"), _BAD_MASK, f"^{NO_PICTURE}$"),
    Refused(
        "half a mask",
        mask(mask_file(LABEL_HW)[:70]),
        _BAD_MASK,
        "^the file is cut off or damaged: it ends within a chunk$",
    ),
    Refused(
        "mask of a wrong checksum",
        mask(with_wrong_checksum(mask_file(LABEL_HW))),
        _BAD_MASK,
        ": the checksum of its IDAT is wrong$",
    ),
    Refused(
        "mask that declares a huge size",
        mask(png(LABEL_HW, 8, 0, size=(50_000, 50_000))),
        _BAD_MASK,
        "2500000000 pixels.*exceeds limit",
    ),
    Refused(
        "larger mask",
        mask(mask_file(np.kron(LABEL_HW, np.ones((2, 2), np.uint8)))),
        _OTHER_SIZE,
        "^the picture is 64x32, the mask 128x64$",
    ),
    Refused(
        "smaller mask",
        mask(mask_file(LABEL_HW[:31])),
        _OTHER_SIZE,
        "^the picture is 64x32, the mask 64x31$",
    ),
    Refused(
        "transposed mask",
        mask(mask_file(LABEL_HW.T)),
        _OTHER_SIZE,
        "^the picture is 64x32, the mask 32x64; the mask is transposed$",
    ),
    Refused(
        "mask of the picture before it is turned upright",
        together(
            picture(jpeg(IMAGE.transpose(STORED[6]), exif=exif(6))),
            mask(mask_file(np.asarray(Image.fromarray(LABEL_HW).transpose(STORED[6])))),
        ),
        _OTHER_SIZE,
        "64x32, the mask 32x64; the mask fits .* turn the mask, too, or remove the tag$",
    ),
    Refused(
        "label out of range",
        mask(mask_file(np.where(LABEL_HW == 2, 3, LABEL_HW).astype(np.uint8))),
        findings.OUT_OF_RANGE,
        r"^expected 0-2 or 255 \(ignore\), got 3$",
    ),
    Refused(
        "binary mask of 0 and 254",
        mask(mask_file(np.where(LABEL_HW == 2, 254, 0).astype(np.uint8))),
        findings.OUT_OF_RANGE,
        "got 254$",
    ),
    Refused(
        "mask of 16 bits with a label above 255",
        mask(encode(np.where(LABEL_HW == 2, np.uint16(300), LABEL_HW), "PNG")),
        findings.OUT_OF_RANGE,
        "^expected 0-255, got 300$",
    ),
    Refused(
        "nothing but the ignore label",
        mask(mask_file(np.full_like(LABEL_HW, IGNORE))),
        findings.ALL_IGNORED,
        "every pixel has the ignore label",
    ),
    Refused(
        "JPEG as mask",
        mask(jpeg(Image.fromarray(LABEL_HW)), ".jpg"),
        _UNSUITABLE,
        "^expected a lossless file such as PNG, got JPEG",
    ),
    Refused(
        "mask in colours where ids are expected",
        mask(encode(COLORS_256[LABEL_HW], "PNG")),
        _UNSUITABLE,
        'got mode RGB; .*set masks = "colors"',
    ),
    Refused(
        "grey mask with alpha",
        mask(encode(with_half_alpha(Image.fromarray(LABEL_HW)), "PNG")),
        _UNSUITABLE,
        "got mode LA",
    ),
    Refused(
        "unknown colour",
        mask(encode(_UNKNOWN_COLOR_HW3, "PNG")),
        findings.UNKNOWN_COLOR,
        "got 1 other: #090807$",
        layout="colors",
    ),
    Refused(
        "mask in colours of a palette that are not opaque",
        mask(png(LABEL_HW, 8, 3, chunks=[_PALETTE_CHUNK, _TRANSPARENCY_CHUNK])),
        findings.UNKNOWN_COLOR,
        "got 3 others: #00000000, #00800002, #80000001; what is not opaque .* ignore_colors has to",
        layout="colors",
    ),
    Refused(
        "JPEG of the colours",
        mask(jpeg(Image.fromarray(COLORS_256[LABEL_HW])), ".jpg"),
        _UNSUITABLE,
        "got JPEG, which changes ids$",
        layout="colors",
    ),
    _bad_sbd("damaged mask of SBD", sbd(Segmentation=LABEL_HW)[:-9], "."),
    _bad_sbd("text named .mat", b"no mask" * 99, "."),
    _bad_sbd("mask of SBD without its field", sbd(Boundaries=LABEL_HW), ".*Segmentation"),
    _bad_sbd(
        "mask of SBD with a label above 255",
        sbd(Segmentation=LABEL_HW.astype(np.int32) * 300),
        r"int32 values of shape \(32, 64\)",
    ),
    Refused(
        "mask that is a dangling link",
        dangling("masks/train/odd.png"),
        findings.UNREADABLE,
        r"odd\.png: No such file or directory$",
    ),
    Refused(
        "mask that is a folder",
        folder("masks/odd.png"),
        findings.UNREADABLE,
        r"odd\.png: Is a directory$",
        layout="lists",
    ),
]
