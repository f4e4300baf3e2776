"""Mask files that people met."""

import numpy as np
from PIL import Image

from components.dataset.examination import findings
from tests.components.dataset.building import corpus
from tests.components.dataset.building.corpus import (
    COLORS_256,
    LABEL_HW,
    Accepted,
    Refused,
    encode,
    mask,
    picture,
    png,
    together,
)
from tests.corpus import bitmaps

_UNSUITABLE = findings.UNSUITABLE_MASK
_COLORS_HW3 = COLORS_256[LABEL_HW]
_FEW_HW = np.where(LABEL_HW == corpus.IGNORE, 0, LABEL_HW)
_PALETTE = b"PLTE", COLORS_256.tobytes()
_ROUND_HW = np.add.outer(np.arange(32) - 16, np.arange(64) - 32) ** 2 < 200


def _mask(name: str, content: bytes, ending: str = ".png", **expected) -> Accepted:
    return Accepted(name, mask(content, ending), tolerance=4, **expected)


def _refused(
    name: str, content: bytes, detail: str, ending: str = ".png", cause=_UNSUITABLE, **expected
) -> Refused:
    return Refused(name, mask(content, ending), cause, detail, **expected)


def _smooth(labels: np.ndarray) -> np.ndarray:
    """Labels or colours as they are when they were resized like a picture."""
    image = Image.fromarray(labels)
    return np.asarray(
        image.resize((24, 12), Image.Resampling.BILINEAR).resize(
            (64, 32), Image.Resampling.BILINEAR
        )
    )


def _with_alpha(alpha_HW: np.ndarray) -> bytes:
    return encode(np.dstack([_COLORS_HW3, alpha_HW.astype(np.uint8)]), "PNG")


def _ade20k() -> np.ndarray:
    """ADE20k's own way: ten times the higher byte in red, the lower byte in green."""
    zero_HW = np.zeros_like(LABEL_HW)
    return np.dstack([zero_HW + 10, LABEL_HW, zero_HW])


MASKS = [
    _mask(
        "palette as in VOC [tensorflow/tensorflow#28256]", png(LABEL_HW, 8, 3, chunks=[_PALETTE])
    ),
    _mask(
        "palette in seven passes [pytorch/vision#4268]",
        png(LABEL_HW, 8, 3, chunks=[_PALETTE], interlaced=True),
    ),
    _mask("labels in 16 bits [wkentaro/labelme#13]", png(LABEL_HW, 16, 0)),
    _mask("mask that looks black [wkentaro/labelme#132]", png(_FEW_HW, 8, 0), label_HW=_FEW_HW),
    _mask("labels in 2 bits [cmlibs/zinc#285]", png(_FEW_HW, 2, 0), label_HW=_FEW_HW),
    _mask(
        "packed TIFF [divamgupta/image-segmentation-keras#299]",
        encode(LABEL_HW, "TIFF", compression="tiff_lzw"),
        ".tif",
    ),
    _mask(
        "colours with full alpha [bash0/cewe2pdf#80]",
        _with_alpha(LABEL_HW * 0 + 255),
        layout="colors",
    ),
]

BAD_MASKS = [
    _refused(
        "transparent background [AUTOMATIC1111/stable-diffusion-webui#560]",
        _with_alpha(np.where(LABEL_HW == 0, 0, 255)),
        "#00000000; .*transparency",
        cause=findings.UNKNOWN_COLOR,
        layout="colors",
    ),
    _refused(
        "palette with transparent colours [Comfy-Org/ComfyUI#7539]",
        png(LABEL_HW, 8, 3, chunks=[_PALETTE, (b"tRNS", b"\0\xff\xff")]),
        "#00000000; .*transparency",
        cause=findings.UNKNOWN_COLOR,
        layout="colors",
    ),
    _refused(
        "JPEG named .png [mantasu/glasses-detector#23]",
        corpus.jpeg(Image.fromarray(LABEL_HW)),
        "JPEG",
    ),
    _refused(
        "JPEG in a TIFF [girder/large_image#400]",
        encode(LABEL_HW, "TIFF", compression="jpeg", quality=95),
        "(?i)jpeg",
        ".tif",
    ),
    _refused(
        "TIFF of several pages [ufo-kit/ufo-filters#63]",
        encode(
            Image.fromarray(LABEL_HW),
            "TIFF",
            save_all=True,
            append_images=[Image.fromarray(_FEW_HW)],
        ),
        "(?i)one picture in the file",
        ".tif",
    ),
    _refused(
        "TIFF in which 0 is white [lovell/sharp#3186]",
        bitmaps.tiff(LABEL_HW, photometric=0),
        "(?i)white|invert",
        ".tif",
    ),
    _refused(
        "PGM whose largest value is 11 [python-pillow/Pillow#5008]",
        bitmaps.pgm(_FEW_HW, 11),
        "11",
        ".pgm",
    ),
    _refused(
        "PGM of 12 bits [python-pillow/Pillow#6202]", bitmaps.pgm(_FEW_HW, 4095), "4095", ".pgm"
    ),
    _refused(
        "labels in three equal channels [sha2nkt/deco#6]",
        encode(np.dstack([LABEL_HW] * 3), "PNG"),
        "RGB",
    ),
    _refused(
        "labels in red, nothing in green and blue [stepjam/RLBench#43]",
        encode(np.dstack([LABEL_HW, LABEL_HW * 0, LABEL_HW * 0]), "PNG"),
        "RGB",
    ),
    _refused("labels in two channels [meetps/pytorch-semseg#27]", encode(_ade20k(), "PNG"), "RGB"),
    _refused(
        "colours where labels are expected [cvat-ai/cvat#2390]",
        encode(_COLORS_HW3, "PNG"),
        'masks = "colors"',
    ),
    _refused(
        "labels as numbers with a point [TorchIO-project/torchio#220]",
        encode(LABEL_HW.astype(np.float32) / 255, "TIFF"),
        ".",
        ".tif",
    ),
    _refused(
        "labels resized like a picture [ykamikawa/tf-keras-PSPNet#2]",
        encode(_smooth(LABEL_HW), "PNG"),
        "expected 0-2 or 255",
        cause=findings.OUT_OF_RANGE,
    ),
    _refused(
        "colours resized like a picture [abreheret/PixelAnnotationTool#35]",
        encode(_smooth(_COLORS_HW3), "PNG"),
        "others?: #",
        cause=findings.UNKNOWN_COLOR,
        layout="colors",
    ),
    _refused(
        "classes counted from 1 [hszhao/semseg#29]",
        encode(np.where(_ROUND_HW, 3, 1).astype(np.uint8), "PNG"),
        "got 3$",
        cause=findings.OUT_OF_RANGE,
    ),
    _refused(
        "two pixels wider than its picture [JingZhang617/COD-Rank-Localize-and-Segment#2]",
        encode(np.pad(LABEL_HW, ((0, 0), (0, 2)), mode="edge"), "PNG"),
        "64x32, the mask 66x32",
        cause=findings.OTHER_SIZE,
    ),
    Refused(
        "mask of the picture before it is turned [wkentaro/labelme#1529]",
        together(
            picture(corpus.jpeg(corpus.IMAGE.transpose(corpus.STORED[8]), exif=corpus.exif(8))),
            mask(encode(np.asarray(Image.fromarray(LABEL_HW).transpose(corpus.STORED[8])), "PNG")),
        ),
        findings.OTHER_SIZE,
        "64x32, the mask 32x64",
    ),
]
