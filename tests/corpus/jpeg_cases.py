"""JPEG files that people met: orientations, kinds of colour, and what is damaged."""

import io

import numpy as np
from PIL import Image

from components.dataset.examination import findings
from tests.components.dataset.building import corpus
from tests.components.dataset.building.corpus import Accepted, Refused, picture
from tests.corpus import jpegs, pngs

_UPRIGHT = "turned upright as EXIF says, as PNG"
_ORIENTATION, _MAKE, _X_RESOLUTION = 0x0112, 0x010F, 0x011A
_SHORT, _LONG, _RATIONAL, _ASCII = 3, 4, 5, 2
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_OTHER = Image.fromarray(255 - corpus.IMAGE_HW3)
_MPO = {"save_all": True, "quality": 95, "subsampling": 0}


def _turned(name: str, orientation: int, block: bytes) -> Accepted:
    content = jpegs.of_orientation(orientation, block)
    return Accepted(name, picture(content), tolerance=6, rewritten=_UPRIGHT, format="png")


def _as_stored(name: str, content: bytes, ending: str = ".jpg", **options) -> Accepted:
    return Accepted(name, picture(content, ending), tolerance=6, **options)


def _of_noise(name: str, content: bytes) -> Accepted:
    with Image.open(io.BytesIO(jpegs.noise())) as image:
        return _as_stored(name, content, image_HW3=np.asarray(image))


def _refused(name: str, content: bytes, detail: str = ".", cause: str = findings.CORRUPT_PICTURE):
    return Refused(name, picture(content), cause, detail)


def _mpo(second: Image.Image) -> bytes:
    return corpus.encode(corpus.IMAGE, "MPO", append_images=[second], **_MPO)


def _without_second(encoded: bytes) -> bytes:
    return encoded[: encoded.index(jpegs.END) + 2]


_BASE = corpus.jpeg()
_NOISE = jpegs.noise()
_RESTARTS = jpegs.noise(restart_marker_blocks=4)
_UTF_8 = _BASE.decode("latin-1").encode()

JPEGS = [
    _turned(
        "orientation written as a number of four bytes [nomacs/nomacs#1646]",
        6,
        jpegs.exif((_ORIENTATION, _LONG, 1, b"\6\0\0\0")),
    ),
    _turned(
        "portrait of a telephone, the higher byte of each number first [HumanSignal/labelImg#395]",
        6,
        jpegs.exif((_ORIENTATION, _SHORT, 1, jpegs.short(6, ">")), order=">"),
    ),
    _turned(
        "orientation beside a resolution of two values [python-pillow/Pillow#4665]",
        8,
        jpegs.exif(
            (_ORIENTATION, _SHORT, 1, jpegs.short(8)),
            (_X_RESOLUTION, _RATIONAL, 2, bytes(range(1, 17))),
        ),
    ),
    _as_stored(
        "orientation 0 in a JPEG named .png [puavo-org/puavo-os#459]",
        jpegs.of_orientation(
            0, jpegs.exif((_ORIENTATION, _SHORT, 1, jpegs.short(0, ">")), order=">")
        ),
        ".png",
    ),
    _as_stored(
        "EXIF that is cut off in its table [lxztju/pytorch_classification#23]",
        jpegs.of_orientation(0, jpegs.exif((_MAKE, _ASCII, 4, b"Own\0"), declared=12)),
    ),
    _as_stored(
        "orientation in XMP alone [python-pillow/Pillow#6462]",
        jpegs.with_segment(_BASE, _XMP + pngs.XMP_ELEMENT),
    ),
    _as_stored("colours without a transform [jpeg-js/jpeg-js#23]", corpus.jpeg(keep_rgb=True)),
    _as_stored("YCCK of a print shop [etemesi254/zune-image#442]", jpegs.ycck()),
    _as_stored("drone's picture with a second one behind [ultralytics/yolov5#2446]", _mpo(_OTHER)),
    _as_stored(
        "second picture behind is smaller [Comfy-Org/ComfyUI#14127]",
        _mpo(_OTHER.resize((16, 8))),
    ),
    _as_stored(
        "second picture behind is missing [Comfy-Org/ComfyUI#11565]",
        _without_second(_mpo(_OTHER)),
    ),
    _as_stored(
        "film behind a photograph [libjxl/libjxl#3502]",
        _BASE + b"\0\0\0\x18ftypmp42" + bytes(2000) + b"MotionPhoto_Data",
    ),
    _as_stored(
        "two bytes too many before a table [AlexeyAB/darknet#5293]",
        jpegs.inserted(_BASE, b"\xff\xdb", b"\0\0"),
    ),
    _of_noise("noise that is whole [affinelayer/pix2pix-tensorflow#72]", _NOISE),
    _of_noise(
        "two bytes too many before the end [sunjiaen/WSODD#3]",
        jpegs.inserted(_NOISE, jpegs.END, b"\x12\x34"),
    ),
    _of_noise("marks to start anew within the pixels [ultralytics/ultralytics#13142]", _RESTARTS),
]

# libjpeg warns of it while it decodes, which nothing in a graph can see: no row is missing.
LEFT_OVER = [
    _refused(
        "258 bytes left over before the end [apple/turicreate#2528]",
        jpegs.inserted(_NOISE, jpegs.END, b"\x55" * 258),
    ),
    _refused(
        "1,199 bytes left over within the pixels [ultralytics/ultralytics#13142]",
        jpegs.inserted(_RESTARTS, b"\xff\xd4", b"\x55" * 1199),
    ),
    _refused(
        "1,041 bytes left over and a wrong code [Megvii-BaseDetection/YOLOX#373]",
        jpegs.inserted(_NOISE[:3000] + b"\xfe" * 8 + _NOISE[3008:], jpegs.END, b"\x5a" * 1041),
    ),
]
BAD_JPEGS = [
    _refused("half a file [tensorflow/models#9424]", jpegs.cut(_NOISE, 0.5)),
    _refused(
        "half a file with an end put behind [python-pillow/Pillow#3023]",
        jpegs.cut(_NOISE, 0.5, jpegs.END),
    ),
    _refused(
        "progressive file cut off, with an end put behind [python-pillow/Pillow#2717]",
        jpegs.cut(jpegs.noise(progressive=True), 0.4, jpegs.END),
    ),
    _refused(
        "last hundredths missing, with an end put behind [python-pillow/Pillow#2038]",
        jpegs.cut(_NOISE, 0.97, jpegs.END),
    ),
    _refused("end overwritten with zeros [python-pillow/Pillow#123]", _NOISE[:-4] + bytes(4)),
    _refused(
        "no end, and a film behind [libjpeg-turbo/libjpeg-turbo#163]",
        _NOISE[:-2] + b"\0\0\x18ftypmp42" + bytes(range(1, 200)),
    ),
    *LEFT_OVER,
    _refused("12 bits a value [libvips/libvips#664]", jpegs.with_frame(_BASE, bits=12)),
    _refused("lossless process [pydicom/pydicom#813]", jpegs.with_frame(_BASE, kind=0xC3)),
    _refused("bytes taken for a text and saved as one [d2phap/ImageGlass#1635]", _UTF_8),
    _refused(
        "text in the place of a link [CAMMA-public/Endoscapes#3]",
        b"../train/odd.jpg",
        corpus.NO_PICTURE,
    ),
    _refused(
        "HEIC named .jpg [bmaltais/kohya_ss#1600]",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(400),
        corpus.NO_PICTURE,
    ),
    _refused(
        "no byte at all [tensorflow/tensorflow#46958]",
        b"",
        r"odd\.jpg is empty$",
        findings.UNREADABLE,
    ),
]
