"""Odd and bad picture files."""

import numpy as np
from PIL import Image

from components.dataset.examination import findings
from tests.components.dataset.building.corpus import (
    GREY_HW,
    IMAGE,
    IMAGE_HW3,
    LABEL_HW,
    NO_PICTURE,
    STORED,
    Accepted,
    Refused,
    dangling,
    encode,
    exif,
    folder,
    jpeg,
    mask,
    mask_file,
    palette_picture,
    picture,
    png,
    together,
    with_declared_size,
    with_half_alpha,
    with_wrong_checksum,
    without_segment,
)

_GREY_HW3 = np.repeat(GREY_HW[..., None], 3, axis=-1)
_OTHER_FRAME = Image.fromarray(255 - IMAGE_HW3)
_CMYK = IMAGE.convert("CMYK")
_GREY_16 = GREY_HW.astype(np.uint16) * 257
_HALF_HW3 = np.where(IMAGE_HW3 > 127, 255, 0).astype(np.uint8)
_BLACK_OR_WHITE_HW = (GREY_HW > 127).astype(np.uint8)
_QUARTERS = [tuple(IMAGE_HW3[y, x]) for y, x in ((0, 0), (0, 63), (31, 0), (31, 63))]
_UPRIGHT = "turned upright as EXIF says, as PNG"
_DAMAGED = "^the file is cut off or damaged"


def _turned(orientation: int) -> Image.Image:
    return IMAGE.transpose(STORED[orientation])


def _turned_jpeg(orientation: int) -> Accepted:
    return Accepted(
        f"JPEG of EXIF orientation {orientation}",
        picture(jpeg(_turned(orientation), exif=exif(orientation))),
        tolerance=4,
        format="png",
        rewritten=_UPRIGHT,
        is_noted=orientation < 5,  # The sizes of the others tell how a mask was drawn.
    )


PICTURES = [
    Accepted("JPEG", picture(jpeg()), tolerance=4),
    Accepted("progressive JPEG", picture(jpeg(progressive=True)), tolerance=4),
    Accepted("CMYK JPEG", picture(jpeg(_CMYK)), tolerance=4),
    Accepted(
        "CMYK JPEG without Adobe's marker",
        picture(without_segment(jpeg(Image.fromarray(255 - np.asarray(_CMYK), "CMYK")), 0xEE)),
        tolerance=4,
    ),
    Accepted("grey JPEG", picture(jpeg(IMAGE.convert("L"))), image_HW3=_GREY_HW3, tolerance=2),
    *map(_turned_jpeg, STORED),
    Accepted(
        "CMYK JPEG of EXIF orientation 6",
        picture(jpeg(_turned(6).convert("CMYK"), exif=exif(6))),
        tolerance=4,
        format="png",
        rewritten=_UPRIGHT,
    ),
    Accepted("JPEG of an EXIF orientation that is none", picture(jpeg(exif=exif(9))), tolerance=4),
    Accepted("JPEG of broken EXIF", picture(jpeg(exif=b"Exif\0\0no tags")), tolerance=4),
    Accepted(
        "JPEG with a second picture, MPO",
        picture(
            encode(
                IMAGE, "MPO", save_all=True, append_images=[_OTHER_FRAME], quality=95, subsampling=0
            )
        ),
        tolerance=4,
    ),
    Accepted("JPEG with bytes behind its end", picture(jpeg() + b"\0" * 99), tolerance=4),
    Accepted("JPEG named .png", picture(jpeg(), ".png"), tolerance=4),
    Accepted("JPEG named .JPG", picture(jpeg(), ".JPG"), tolerance=4),
    Accepted("PNG", picture(encode(IMAGE, "PNG"), ".png"), format="png"),
    Accepted("PNG named .jpg", picture(encode(IMAGE, "PNG")), format="png"),
    Accepted(
        "grey PNG",
        picture(encode(GREY_HW, "PNG"), ".png"),
        image_HW3=_GREY_HW3,
        format="png",
    ),
    Accepted(
        "grey PNG of 16 bits",
        picture(encode(_GREY_16, "PNG"), ".png"),
        image_HW3=_GREY_HW3,
        format="png",
    ),
    Accepted(
        "PNG of 16 bits",
        picture(png(IMAGE_HW3.astype(np.uint16) * 257, 16, 2), ".png"),
        format="png",
    ),
    Accepted(
        "grey PNG of 16 bits and EXIF orientation 6",
        picture(
            encode(Image.fromarray(_GREY_16).transpose(STORED[6]), "PNG", exif=exif(6)), ".png"
        ),
        image_HW3=_GREY_HW3,
        format="png",
        rewritten=_UPRIGHT,
    ),
    Accepted(
        "black and white PNG",
        picture(png(_BLACK_OR_WHITE_HW, 1, 0), ".png"),
        image_HW3=np.repeat(_BLACK_OR_WHITE_HW[..., None] * np.uint8(255), 3, axis=-1),
        format="png",
    ),
    Accepted(
        "palette PNG", picture(encode(palette_picture(_QUARTERS), "PNG"), ".png"), format="png"
    ),
    Accepted(
        "palette PNG with a transparent colour",
        picture(encode(palette_picture(_QUARTERS), "PNG", transparency=1), ".png"),
        format="png",
    ),
    Accepted(
        "PNG with alpha", picture(encode(with_half_alpha(IMAGE), "PNG"), ".png"), format="png"
    ),
    Accepted(
        "grey PNG with alpha",
        picture(encode(with_half_alpha(IMAGE.convert("L")), "PNG"), ".png"),
        image_HW3=_GREY_HW3,
        format="png",
    ),
    Accepted(
        "interlaced PNG", picture(png(IMAGE_HW3, 8, 2, interlaced=True), ".png"), format="png"
    ),
    Accepted(
        "animated PNG",
        picture(encode(IMAGE, "PNG", save_all=True, append_images=[_OTHER_FRAME]), ".png"),
        format="png",
    ),
    Accepted(
        "PNG of EXIF orientation 6",
        picture(encode(_turned(6), "PNG", exif=exif(6)), ".png"),
        format="png",
        rewritten=_UPRIGHT,
    ),
    Accepted(
        "animated GIF",
        picture(
            encode(
                palette_picture(_QUARTERS),
                "GIF",
                save_all=True,
                append_images=[palette_picture(_QUARTERS[::-1])],
            ),
            ".gif",
        ),
        format="png",
        rewritten="GIF as PNG",
    ),
    Accepted(
        "animated WebP",
        picture(
            encode(IMAGE, "WEBP", lossless=True, save_all=True, append_images=[_OTHER_FRAME]),
            ".webp",
        ),
        format="png",
        rewritten="WEBP as PNG",
    ),
    Accepted(
        "WebP with alpha",
        picture(encode(with_half_alpha(IMAGE), "WEBP", lossless=True, exact=True), ".webp"),
        format="png",
        rewritten="WEBP as PNG",
    ),
    Accepted("BMP", picture(encode(IMAGE, "BMP"), ".bmp"), format="png", rewritten="BMP as PNG"),
    Accepted(
        "compressed TIFF",
        picture(encode(IMAGE, "TIFF", compression="tiff_lzw"), ".tif"),
        format="png",
        rewritten="TIFF as PNG",
    ),
    Accepted(
        "CMYK TIFF", picture(encode(_CMYK, "TIFF"), ".tif"), format="png", rewritten="TIFF as PNG"
    ),
    Accepted(
        "grey TIFF of 16 bits",
        picture(encode(_GREY_16, "TIFF"), ".tiff"),
        image_HW3=_GREY_HW3,
        format="png",
        rewritten="TIFF as PNG",
    ),
    Accepted(
        "grey TIFF of 16 bits, the higher byte first",
        picture(
            encode(Image.frombytes("I;16B", (64, 32), _GREY_16.astype(">u2").tobytes()), "TIFF"),
            ".tiff",
        ),
        image_HW3=_GREY_HW3,
        format="png",
        rewritten="TIFF as PNG",
    ),
    Accepted(
        "TIFF of EXIF orientation 6",
        picture(encode(_turned(6), "TIFF", exif=exif(6)), ".tif"),
        format="png",
        rewritten="TIFF as PNG",
    ),
    Accepted(
        "one pixel",
        together(
            picture(encode(IMAGE.crop((0, 0, 1, 1)), "PNG"), ".png"),
            mask(mask_file(LABEL_HW[:1, :1])),
        ),
        image_HW3=IMAGE_HW3[:1, :1],
        label_HW=LABEL_HW[:1, :1],
        format="png",
    ),
]

_CORRUPT = findings.CORRUPT_PICTURE
_PNG = encode(IMAGE, "PNG")

BAD_PICTURES = [
    Refused("empty picture", picture(b""), findings.UNREADABLE, r"odd\.jpg is empty$"),
    Refused("text named .jpg", picture(b"<html>not found</html>"), _CORRUPT, f"^{NO_PICTURE}$"),
    Refused("half a JPEG", picture(jpeg()[: len(jpeg()) // 2]), _CORRUPT, _DAMAGED),
    Refused("JPEG without its last byte", picture(jpeg()[:-1]), _CORRUPT, _DAMAGED),
    Refused(
        "half a progressive JPEG",
        picture(jpeg(progressive=True)[:-60]),
        _CORRUPT,
        _DAMAGED,
    ),
    Refused("JPEG of no height", picture(with_declared_size(jpeg(), 64, 0)), _CORRUPT, _DAMAGED),
    Refused(
        "JPEG that declares a huge size",
        picture(with_declared_size(jpeg(), 65500, 65500)),
        _CORRUPT,
        "^expected at most 100,000,000 pixels, got 65500x65500$",
    ),
    Refused("half a PNG", picture(_PNG[: len(_PNG) // 2], ".png"), _CORRUPT, _DAMAGED),
    Refused("PNG without its end", picture(_PNG[:-12], ".png"), _CORRUPT, _DAMAGED),
    Refused(
        "PNG of a wrong checksum",
        picture(with_wrong_checksum(_PNG), ".png"),
        _CORRUPT,
        f"{_DAMAGED}: the checksum of its IDAT is wrong$",
    ),
    Refused(
        "PNG of no width",
        picture(png(IMAGE_HW3, 8, 2, size=(0, 32)), ".png"),
        _CORRUPT,
        _DAMAGED,
    ),
    Refused(
        "PNG that declares a huge size",
        picture(png(IMAGE_HW3, 8, 2, size=(50_000, 50_000)), ".png"),
        _CORRUPT,
        "^expected at most 100,000,000 pixels, got 50000x50000$",
    ),
    Refused(
        "PNG that declares a large size",
        picture(png(IMAGE_HW3, 8, 2, size=(11_000, 10_000)), ".png"),
        _CORRUPT,
        "^expected at most 100,000,000 pixels, got 11000x10000$",
    ),
    Refused(
        "half a WebP",
        picture(encode(IMAGE, "WEBP", lossless=True)[:-20], ".webp"),
        _CORRUPT,
        ".",
    ),
    Refused("program named .jpg", picture(encode(IMAGE, "EPS")), _CORRUPT, f"^{NO_PICTURE}$"),
    Refused(
        "TIFF of floating point",
        picture(encode(GREY_HW.astype(np.float32) / 255, "TIFF"), ".tif"),
        _CORRUPT,
        r"^expected 8 or 16 bits for each colour, got 32 \(float32\)$",
    ),
    Refused(
        "TIFF of 32 bits",
        picture(encode(GREY_HW.astype(np.int32) * 65537, "TIFF"), ".tif"),
        _CORRUPT,
        r"^expected 8 or 16 bits for each colour, got 32 \(int32\)$",
    ),
    Refused(
        "picture that is a dangling link",
        dangling("images/train/odd.jpg"),
        findings.UNREADABLE,
        r"odd\.jpg: No such file or directory$",
    ),
    Refused(
        "picture that is a folder",
        folder("pictures/odd.jpg"),
        findings.UNREADABLE,
        r"odd\.jpg: Is a directory$",
        layout="lists",
    ),
]
