"""Which files keep a mask's ids or colours by construction; all others are refused unread.

What a library turns around, scales, blends or compresses with loss on the way from the file's
values to the array's is not undone by guessing.
"""

import io
import re
from collections.abc import Iterator

from PIL import Image, TiffImagePlugin

from components.dataset.building.picture_files import ProblemError
from components.dataset.examination import findings

ORIENTATION = 274
BITS_PER_SAMPLE = 258
SAMPLE_FORMAT = 339
SIGNED = 2
"""A TIFF's tags, and what the last may say."""

_LOSSY = ("JPEG", "MPO", "JPEG2000", "AVIF")
# JPEG 2000 and AVIF can do without loss, and do not say in one place whether they did.
_SUBFILE, _OLD_SUBFILE, _COMPRESSION, _PHOTOMETRIC, _SAMPLES = 254, 255, 259, 262, 277
_GDAL_METADATA = 42112
# TIFF 6.0, section 3; libtiff's tiff.h: none, CCITT, LZW, deflate, PackBits, LZMA, Zstandard.
_LOSSLESS = (1, 2, 3, 4, 5, 8, 32946, 32773, 34925, 50000)
_COMPRESSIONS = {6: "JPEG", 7: "JPEG", 34712: "JPEG 2000", 50001: "WebP", 34887: "LERC"}
_COLOR_SPACES = {0: "MinIsWhite", 5: "CMYK", 6: "YCbCr", 8: "CIELab", 9: "ICCLab", 10: "ITULab"}
_IS_REDUCED = 1
_SCALING = re.compile(r'<Item name="[^"]*"[^>]*role="(scale|offset)"[^>]*>\s*([^<]*?)\s*</Item>')
_UNSCALED = {"scale": 1.0, "offset": 0.0}
# Comments may stand between the numbers of the header: width, height, and what white is.
_PNM_HEADER = re.compile(rb"P[2356]" + rb"(?:\s|#[^\n\r]*[\n\r])+(\d+)" * 3)


def check_keeps(image: Image.Image, encoded: bytes, masks: str) -> None:
    """Refuses a file whose values are, or may be, others than those that were drawn.

    Args:
        image: the file, opened.
        encoded: the file.
        masks: `ids` or `colors`, see `schemas.Source`.

    Raises:
        ProblemError: it is such a file.
    """
    if image.format in _LOSSY:
        _refuse("a lossless file such as PNG", f"{image.format}, which changes ids")
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "TIFF":
        _refuse("one picture in the file", f"{frames}")
    if image.format == "WEBP" and b"VP8L" not in set(_webp_chunks(encoded)):
        _refuse("a lossless file such as PNG", "WEBP with loss, which changes ids")
    checks = {"TIFF": _check_tiff, "GIF": _check_gif, "PPM": _check_pnm, "BMP": _check_bmp}
    if image.format in checks:
        checks[image.format](image, encoded, masks)


def tiff_tags(encoded: bytes) -> TiffImagePlugin.ImageFileDirectory_v2:
    """The tags of a TIFF's first page, whatever was done with it since it was opened."""
    with Image.open(io.BytesIO(encoded), formats=["TIFF"]) as page:
        return page.tag_v2


def _refuse(expected: str, got: str) -> None:
    raise ProblemError(findings.UNSUITABLE_MASK, f"expected {expected}, got {got}")


def _webp_chunks(encoded: bytes) -> Iterator[bytes]:
    """Names of the chunks: a picture without loss is in `VP8L` (WebP container specification)."""
    place = 12
    while place + 8 <= len(encoded):
        yield encoded[place : place + 4]
        length = int.from_bytes(encoded[place + 4 : place + 8], "little")
        place += 8 + length + length % 2


def _check_tiff(image: Image.Image, encoded: bytes, masks: str) -> None:
    tags = tiff_tags(encoded)
    compression = tags.get(_COMPRESSION, 1)
    if compression not in _LOSSLESS:
        name = _COMPRESSIONS.get(compression, f"number {compression}")
        _refuse("a TIFF of lossless compression", f"{name}, which changes ids")
    space = tags.get(_PHOTOMETRIC, 0)
    # Readers turn what white is 0 around, or do not; a colour is the same for all.
    if space not in ((1, 2, 3) if masks == "ids" else (0, 1, 2, 3)):
        name = _COLOR_SPACES.get(space, f"number {space}")
        _refuse("a TIFF of grey with black 0, of a palette or of RGB", name)
    if tags.get(_SAMPLES, 1) != len(image.getbands()):
        _refuse(f"no values of a pixel beside those of {image.mode}", f"{tags[_SAMPLES]} in all")
    for role, value in _SCALING.findall(str(tags.get(_GDAL_METADATA, ""))):
        if float(value) != _UNSCALED[role]:
            _refuse("ids as they are", f"a TIFF with {role} {value}")
    with Image.open(io.BytesIO(encoded), formats=["TIFF"]) as pages:
        reduced = [_is_reduced(pages, i) for i in range(pages.n_frames)]
    if len(reduced) > 1 and (reduced[0] or not all(reduced[1:])):
        _refuse(
            "one picture in the file, apart from reduced copies that are marked as such",
            f"{len(reduced)}",
        )


def _is_reduced(pages: Image.Image, page: int) -> bool:
    """Whether a page is a smaller copy of another: a thumbnail, or an overview for zooming out."""
    pages.seek(page)
    tags = pages.tag_v2
    return bool(tags.get(_SUBFILE, 0) & _IS_REDUCED) or tags.get(_OLD_SUBFILE) == 2


def _check_gif(image: Image.Image, encoded: bytes, masks: str) -> None:
    """Around a smaller frame there are pixels that nobody drew."""
    screen, frame = image.size, _gif_frame(encoded)
    if frame != (0, 0, *screen):
        _refuse("a GIF whose picture fills its screen", f"{frame} of {screen}")


def _gif_frame(encoded: bytes) -> tuple[int, ...]:
    """Left, top, width and height of the first frame (GIF89a specification, 20)."""

    def table(flags: int) -> int:
        return 3 * 2 ** (1 + (flags & 7)) if flags & 0x80 else 0

    place = 13 + table(encoded[10])
    while encoded[place : place + 1] == b"!":
        place += 2
        while encoded[place]:
            place += 1 + encoded[place]
        place += 1
    return tuple(
        int.from_bytes(encoded[i : i + 2], "little") for i in range(place + 1, place + 9, 2)
    )


def _check_pnm(image: Image.Image, encoded: bytes, masks: str) -> None:
    header = _PNM_HEADER.match(encoded)
    if encoded[:2] in (b"P1", b"P4"):
        if masks == "ids":
            _refuse("a file in which 0 is 0 for all, such as PNG", "a PBM, whose 0 is white")
    elif not header:
        _refuse("a PGM or PPM", f"{encoded[:2]!r} files")
    elif int(header[3]) not in ((255, 65535) if masks == "ids" else (255,)):
        _refuse("a largest value of 255", f"{int(header[3])}, to which readers scale")


def _check_bmp(image: Image.Image, encoded: bytes, masks: str) -> None:
    is_old = encoded[14:18] == b"\x0c\0\0\0"
    bits = int.from_bytes(encoded[24:26] if is_old else encoded[28:30], "little")
    if image.mode == "1" and bits != 1:
        # Pillow takes two colours, black and white, for one bit whatever the header says.
        _refuse("a BMP of two colours to have 1 bit, or to be a PNG", f"{bits} bits")
    if bits == 32 and image.mode == "RGB":
        # Some write there how opaque a pixel is, without saying so.
        start = int.from_bytes(encoded[10:14], "little")
        unsaid = set(encoded[start : start + 4 * image.width * image.height][3::4])
        if unsaid not in ({0}, {255}):
            _refuse("a BMP of 24 bits, or a PNG", "one of 32, whose last 8 may be transparency")
