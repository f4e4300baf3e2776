"""Pictures other than JPEG that people met."""

import numpy as np
from PIL import Image

from components.dataset.examination import findings
from tests.components.dataset.building import corpus
from tests.components.dataset.building.corpus import IMAGE, Accepted, Refused, picture, png
from tests.corpus import bitmaps, jpegs, pngs

_TURNED = IMAGE.transpose(corpus.STORED[6])
_ORIENTATION_6 = jpegs.exif((0x0112, 3, 1, jpegs.short(6)))
_GREY_HW3 = np.repeat(corpus.GREY_HW[..., None], 3, axis=-1)
_RAMP_HW = pngs.ramp_16()
_RAMP_HW3 = np.repeat((_RAMP_HW >> 8).astype(np.uint8)[..., None], 3, axis=-1)
_MANY_TEXTS = [pngs.chunk(b"tEXt", b"exif:%d\0" % number + b"value") for number in range(60)]
# Text that does not pack away to nothing, of more than a megabyte.
_LONG_TEXT = np.random.default_rng(0).integers(32, 127, 1_200_000, np.uint8).tobytes()
_PROFILE = bytes(128) + b"acsp" + bytes(400)


def _png(name: str, content: bytes, ending: str = ".png", **options) -> Accepted:
    return Accepted(name, picture(content, ending), format="png", **options)


def _rewritten(name: str, content: bytes, ending: str, kind: str, **options) -> Accepted:
    return _png(name, content, ending, rewritten=f"{kind} as PNG", **options)


def _refused(name: str, content: bytes, detail: str, ending: str = ".png") -> Refused:
    return Refused(name, picture(content, ending), findings.CORRUPT_PICTURE, detail)


PNGS = [
    _png(
        "text of 1.2 MB [python-pillow/Pillow#8363]",
        pngs.with_chunks(pngs.compressed_text(b"Comment", _LONG_TEXT)),
    ),
    _png(
        "profile of more than a megabyte [KatherLab/STAMP#76]",
        pngs.with_chunks(pngs.profile(_PROFILE + _LONG_TEXT)),
    ),
    _png("60 texts [libvips/libvips#2958]", pngs.with_chunks(*_MANY_TEXTS)),
    _png("profile that is none [AlexeyAB/darknet#2591]", pngs.with_chunks(pngs.profile(_PROFILE))),
    _png(
        "wrong checksum of a text [SixLabors/ImageSharp#290]",
        pngs.with_chunks(pngs.compressed_text(b"Comment", b"version", checksum=1)),
    ),
    _png(
        "orientation in XMP alone [python-pillow/Pillow#4529]",
        pngs.with_chunks(pngs.international_text(b"XML:com.adobe.xmp", pngs.XMP_ATTRIBUTE)),
    ),
    _png(
        "orientation in a text of ImageMagick [python-pillow/Pillow#5584]",
        pngs.with_chunks(pngs.raw_exif(_ORIENTATION_6)),
    ),
    _png(
        "orientation in the chunk for EXIF [coralnet/coralnet#331]",
        pngs.with_chunks(
            pngs.chunk(b"eXIf", _ORIENTATION_6[6:]), encoded=corpus.encode(_TURNED, "PNG")
        ),
        rewritten="turned upright as EXIF says, as PNG",
    ),
    _png(
        "grey with a transparent value [python-pillow/Pillow#154]",
        png(corpus.GREY_HW, 8, 0, chunks=[(b"tRNS", b"\0\x50")]),
        image_HW3=_GREY_HW3,
    ),
    _png(
        "ramp of 16-bit greys [python-pillow/Pillow#3011]",
        corpus.encode(_RAMP_HW, "PNG"),
        image_HW3=_RAMP_HW3,
    ),
    _png(
        "PNG of a wrong profile named .jpg [oferkv/phototonic#253]",
        pngs.with_chunks(pngs.profile(_PROFILE)),
        ".jpg",
    ),
]

_KNOWN = {"kind": "BMP", "ending": ".bmp"}

OTHERS = [
    _rewritten(
        "palette of 256 colours [imageio/imageio#388]",
        bitmaps.bmp(bitmaps.palette_rows(8), 8, colors=256),
        **_KNOWN,
    ),
    _rewritten(
        "palette of four colours in 8 bits [python-pillow/Pillow#6572]",
        bitmaps.bmp(bitmaps.palette_rows(8), 8, colors=4),
        **_KNOWN,
    ),
    _rewritten(
        "palette in 4 bits [tensorflow/tensorflow#60603]",
        bitmaps.bmp(bitmaps.palette_rows(4), 4, colors=16),
        **_KNOWN,
    ),
    _rewritten(
        "palette behind a header of version 5 [image-rs/image#540]",
        bitmaps.bmp(bitmaps.palette_rows(8), 8, colors=256, header=124),
        **_KNOWN,
    ),
    _rewritten(
        "upper row first [ImageMagick/ImageMagick#8130]",
        bitmaps.bmp(bitmaps.color_rows(), 32, top_down=True),
        **_KNOWN,
    ),
    _rewritten(
        "32 bits a pixel [DanBloomberg/leptonica#323]",
        bitmaps.bmp(bitmaps.color_rows(), 32),
        **_KNOWN,
    ),
    _rewritten("run-length encoding [gecko0307/dlib#93]", bitmaps.rle8(), **_KNOWN),
    _rewritten(
        "BMP named .jpg [apple/turicreate#2526]", corpus.encode(IMAGE, "BMP"), ".jpg", "BMP"
    ),
    _rewritten(
        "WebP named .jpg [GabrielePicco/deep-learning-flower-identifier#2]",
        corpus.encode(IMAGE, "WEBP", lossless=True),
        ".jpg",
        "WEBP",
    ),
    _rewritten(
        "WebP [ultralytics/yolov5#2166]",
        corpus.encode(IMAGE, "WEBP", quality=95),
        ".webp",
        "WEBP",
        tolerance=90,
    ),
    _rewritten(
        "AVIF [nexryai/concorde#594]",
        corpus.encode(IMAGE, "AVIF", quality=100, subsampling="4:4:4"),
        ".avif",
        "AVIF",
        tolerance=6,
    ),
    _rewritten(
        "JPEG 2000 [andrewferlitsch/Gap#87]", corpus.encode(IMAGE, "JPEG2000"), ".jp2", "JPEG2000"
    ),
    _rewritten(
        "JPEG in a TIFF [rasterio/rasterio#617]",
        corpus.encode(IMAGE, "TIFF", compression="jpeg", quality=95),
        ".tif",
        "TIFF",
        tolerance=30,
    ),
    _rewritten(
        "TIFF in which 0 is white [darktable-org/darktable#18815]",
        bitmaps.tiff(255 - corpus.GREY_HW, photometric=0),
        ".tif",
        "TIFF",
        image_HW3=_GREY_HW3,
    ),
    _rewritten(
        "TIFF of 16-bit greys [python-pillow/Pillow#1108]",
        corpus.encode(Image.fromarray(_RAMP_HW), "TIFF"),
        ".tif",
        "TIFF",
        image_HW3=_RAMP_HW3,
    ),
    _rewritten(
        "TIFF that is turned once, not twice [python-pillow/Pillow#7381]",
        corpus.encode(_TURNED, "TIFF", exif=corpus.exif(6)),
        ".tif",
        "TIFF",
    ),
]

BAD_PICTURES = [
    _refused("PNG of Xcode for telephones [opencv/opencv#27295]", pngs.of_xcode(), "CgBI"),
    _refused(
        "wrong checksum of what is packed [kornelski/pngquant#363]",
        pngs.picture(pngs.zlib.compress(pngs.rows())[:-4] + bytes(4)),
        ".",
    ),
    _refused(
        "rows missing though every checksum fits [image-rs/image-png#619]",
        pngs.picture(pngs.zlib.compress(pngs.rows(20))),
        ".",
    ),
    _refused(
        "damaged end of a PNG [SixLabors/ImageSharp#1055]",
        pngs.picture(end=pngs.chunk(b"IEND", b"", checksum=1)),
        "IEND",
    ),
    _refused(
        "name of a chunk that is none [pnggroup/libpng#465]",
        pngs.with_chunks(pngs.chunk(b"s\xffIT", b"\1")),
        "damaged",
    ),
    _refused("177 million pixels in 22 kB [opencv/opencv#17242]", pngs.bomb(), "pixels"),
    _refused(
        "320 million pixels declared [wkentaro/labelme#519]",
        png(corpus.IMAGE_HW3, 8, 2, size=(20_000, 16_000)),
        "pixels",
    ),
]
