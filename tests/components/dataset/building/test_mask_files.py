"""A mask is the ids that were drawn, whatever file holds them, or it is refused."""

import dataclasses
import io
import re

import numpy as np
import pytest
from PIL import Image

from components.dataset.building.mask_files import record_mask
from components.dataset.building.picture_files import ProblemError
from components.dataset.examination import findings
from components.dataset.examination.image_files import holds_ids
from tests.components.dataset.building import corpus
from tests.components.dataset.building.corpus import encode, png
from tests.components.dataset.building.mask_makers import apng, bmp, bmp_rle8, gif, pnm, tiff

# Of a width and height that fill no byte, with every value that as many bits hold.
IDS_HW = (np.arange(13)[:, None] * 29 + np.arange(19) * 7).astype(np.uint8)
COLORS_256 = [(i, 255 - i, i // 2) for i in range(256)]
GREYS_256 = [(i, i, i) for i in range(256)]


def of_bits(bits: int) -> np.ndarray:
    return IDS_HW % 2**bits


def ids(encoded: bytes, name: str = "mask") -> np.ndarray:
    return stored(record_mask(encoded, name, corpus.dataset("folders")))


def stored(record: bytes) -> np.ndarray:
    assert holds_ids(record)
    return np.asarray(Image.open(io.BytesIO(record)))


def as_palette(values: np.ndarray, colors=COLORS_256) -> Image.Image:
    image = Image.fromarray(values)
    image.putpalette([part for color in colors for part in color])
    return image


def gdal(role: str, value: str) -> str:
    item = f'<Item name="{role.upper()}" sample="0" role="{role}">{value}</Item>'
    return f"<GDALMetadata>\n  {item}\n</GDALMetadata>"


TWO_COLORS, TWO_GREYS = [(9, 8, 7), (1, 2, 3)], [(0, 0, 0), (255, 255, 255)]
PAGE = {"values": IDS_HW}
SMALL = {"values": IDS_HW[::2, ::2], 254: 1}
OPAQUE_HW2 = np.stack([IDS_HW, np.full_like(IDS_HW, 255)], axis=-1)
KEPT = {
    **{
        f"BMP of {bits} bits, {name}": (bmp(of_bits(bits), bits, colors[: 2**bits]), of_bits(bits))
        for bits in (1, 4, 8)
        for name, colors in (("colours", COLORS_256), ("greys turned", GREYS_256[::-1]))
    },
    "BMP of 1 bit, black and white": (bmp(of_bits(1), 1, TWO_GREYS), of_bits(1)),
    "BMP of 1 bit, white and black": (bmp(of_bits(1), 1, TWO_GREYS[::-1]), of_bits(1)),
    "BMP of greys": (bmp(IDS_HW, 8, GREYS_256), IDS_HW),
    "BMP of few greys": (bmp(of_bits(2), 8, GREYS_256[:4]), of_bits(2)),
    "BMP from the top": (bmp(IDS_HW, 8, COLORS_256, top_down=True), IDS_HW),
    "BMP of OS/2": (bmp(IDS_HW, 8, COLORS_256, old=True), IDS_HW),
    "BMP in runs": (bmp_rle8(IDS_HW, COLORS_256), IDS_HW),
    "GIF": (gif(IDS_HW, COLORS_256), IDS_HW),
    "GIF of greys": (gif(IDS_HW, GREYS_256), IDS_HW),
    "GIF of a table of its own": (gif(IDS_HW, COLORS_256, local=True), IDS_HW),
    "GIF in four passes": (gif(IDS_HW, COLORS_256, interlaced=True), IDS_HW),
    "GIF with a transparent index": (gif(IDS_HW, COLORS_256, transparent=7), IDS_HW),
    **{
        f"TIFF of {bits} bits, {order}": (
            tiff({"values": values, "bits": bits}, order=order),
            values,
        )
        for order in "<>"
        for bits, values in [(bits, of_bits(bits)) for bits in (1, 2, 4, 8)] + [(16, IDS_HW)]
    },
    **{
        f"TIFF of {bits} bits filled from the lowest": (
            tiff({"values": of_bits(bits), "bits": bits, "lowest_first": True}),
            of_bits(bits),
        )
        for bits in (1, 8)
    },
    **{
        f"TIFF of a palette of {bits} bits": (
            tiff({"values": of_bits(bits), "bits": bits, 262: 3, 320: (7,) * 3 * 2**bits}),
            of_bits(bits),
        )
        for bits in (1, 2, 4, 8)
    },
    "TIFF of 12 bits": (tiff({"values": IDS_HW[:, :-1], "bits": 12}), IDS_HW[:, :-1]),
    "TIFF of 32 bits": (tiff({"values": IDS_HW, "bits": 32}), IDS_HW),
    "TIFF of 16 signed bits": (tiff({"values": IDS_HW, "bits": 16, 339: 2}), IDS_HW),
    "TIFF of 32 signed bits": (tiff({"values": IDS_HW, "bits": 32, 339: 2}, order=">"), IDS_HW),
    "TIFF of 8 signed bits": (tiff({"values": of_bits(7), 339: 2}), of_bits(7)),
    "TIFF with a thumbnail": (tiff(PAGE, SMALL), IDS_HW),
    "TIFF of nothing but a reduced copy": (tiff({**PAGE, 254: 1}), IDS_HW),
    "TIFF with overviews": (tiff(PAGE, SMALL, SMALL), IDS_HW),
    "TIFF with a thumbnail of old": (tiff(PAGE, {**SMALL, 254: None, 255: 2}), IDS_HW),
    "TIFF scaled by nothing": (tiff({**PAGE, 42112: gdal("scale", "1.0")}), IDS_HW),
    **{
        f"TIFF of {compression}": (encode(IDS_HW, "TIFF", compression=compression), IDS_HW)
        for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "lzma", "zstd")
    },
    "TIFF of differences": (
        encode(IDS_HW, "TIFF", compression="tiff_lzw", tiffinfo={317: 2}),
        IDS_HW,
    ),
    "TIFF of a fax": (
        encode(Image.fromarray(of_bits(1) * 255).convert("1"), "TIFF", compression="group4"),
        of_bits(1),
    ),
    **{f"TIFF that lies as {i}": (tiff({**PAGE, 274: i}), IDS_HW) for i in range(1, 9)},
    **{
        f"compressed TIFF that lies as {i}": (
            encode(IDS_HW, "TIFF", compression="tiff_lzw", tiffinfo={274: i}),
            IDS_HW,
        )
        for i in (3, 6, 8)
    },
    "PNG that lies as 6": (encode(IDS_HW, "PNG", exif=corpus.exif(6)), IDS_HW),
    "PGM": (pnm(5, IDS_HW, 255), IDS_HW),
    "PGM of two bytes": (pnm(5, IDS_HW, 65535, b"# GIMP\n"), IDS_HW),
    "plain PGM": (pnm(2, IDS_HW, 255), IDS_HW),
    "PNG of 16 bits": (png(IDS_HW, 16, 0), IDS_HW),
    "PNG that is opaque": (png(OPAQUE_HW2, 8, 4), IDS_HW),
    "PNG of significant bits": (png(of_bits(3), 8, 0, chunks=[(b"sBIT", b"\3")]), of_bits(3)),
    "PNG of one frame": (apng(IDS_HW, 1), IDS_HW),
}


@pytest.mark.parametrize("case", KEPT)
def test_ids_are_those_that_were_drawn_as_they_are_stored(case):
    encoded, truth = KEPT[case]
    np.testing.assert_array_equal(ids(encoded), truth)


RGB = Image.fromarray(np.dstack([IDS_HW] * 3))
CHANGED = {
    "JPEG": (encode(Image.fromarray(IDS_HW), "JPEG"), "lossless file .* got JPEG"),
    "JPEG 2000": (encode(Image.fromarray(IDS_HW), "JPEG2000"), "got JPEG2000"),
    "AVIF": (encode(RGB, "AVIF"), "got AVIF"),
    "WebP with loss": (encode(RGB, "WEBP"), "got WEBP with loss"),
    "TIFF of JPEG": (
        encode(Image.fromarray(IDS_HW), "TIFF", compression="jpeg"),
        "TIFF of lossless compression, got JPEG",
    ),
    "TIFF whose 0 is white": (tiff({**PAGE, 262: 0}), "black 0.*, got MinIsWhite"),
    "TIFF that does not say what 0 is": (tiff({**PAGE, 262: None}), "got MinIsWhite"),
    "TIFF of 1 bit whose 0 is white": (
        tiff({"values": of_bits(1), "bits": 1, 262: 0}),
        "got MinIsWhite",
    ),
    "TIFF of brightness alone": (tiff({**PAGE, 262: 6}), "got YCbCr"),
    "TIFF of numbers with a point": (encode(IDS_HW.astype(np.float32), "TIFF"), "got mode F"),
    "TIFF of CMYK": (encode(RGB.convert("CMYK"), "TIFF"), "got CMYK"),
    "TIFF of Lab": (encode(Image.new("LAB", (4, 4)), "TIFF"), "got CIELab"),
    "TIFF of pages": (tiff(PAGE, PAGE), "one picture .*, got 2$"),
    "TIFF of a mask of transparency": (tiff(PAGE, {**PAGE, 254: 4}), "marked as such, got 2$"),
    "TIFF that starts with its thumbnail": (tiff(SMALL, PAGE), "marked as such, got 2$"),
    "TIFF that is scaled": (tiff({**PAGE, 42112: gdal("scale", "2")}), "with scale 2"),
    "TIFF with an offset": (tiff({**PAGE, 42112: gdal("offset", "-1")}), "with offset -1"),
    "TIFF of a palette and something": (
        tiff({"values": OPAQUE_HW2, 262: 3, 320: (7,) * 768, 338: 0}),
        "beside those of P, got 2 in all",
    ),
    "GIF of frames": (gif(IDS_HW, COLORS_256, frames=3), "one picture in the file, got 3"),
    "GIF of a larger screen": (gif(IDS_HW, COLORS_256, screen=(40, 40)), "fills its screen"),
    "PNG of frames": (apng(IDS_HW, 2), "one picture in the file, got 2"),
    "WebP of frames": (
        encode(RGB, "WEBP", lossless=True, save_all=True, append_images=[RGB.rotate(90)]),
        "one picture in the file, got 2",
    ),
    "BMP of two colours in 8 bits": (bmp(of_bits(1), 8, TWO_GREYS), "got 8 bits"),
    "BMP of two colours in 4 bits": (bmp(of_bits(1), 4, TWO_GREYS), "got 4 bits"),
    "PGM that is scaled": (pnm(5, of_bits(4), 20), "largest value of 255, got 20"),
    "plain PGM that is scaled": (pnm(2, of_bits(4), 20), "got 20"),
    "PGM of two bytes that is scaled": (pnm(5, of_bits(4), 300), "got 300"),
    "PBM": (b"P4\n16 2\n\1\2\3\4", "a PBM, whose 0 is white"),
    "plain PBM": (b"P1\n2 2\n0 1 1 0", "a PBM"),
    "PNG of colours": (encode(RGB, "PNG"), 'mode RGB; .*masks = "colors"'),
    "PNG that is not opaque": (
        png(np.stack([IDS_HW, IDS_HW], axis=-1), 8, 4),
        "mode LA with pixels that are not opaque",
    ),
    "PNG of 16 bits and opaque": (png(OPAQUE_HW2.astype(int) * 257, 16, 4), "mode (LA|RGBA)"),
}


@pytest.mark.parametrize("case", CHANGED)
def test_a_file_that_may_hold_other_ids_than_were_drawn_is_refused(case):
    encoded, message = CHANGED[case]
    with pytest.raises(ProblemError) as caught:
        ids(encoded)
    cause, detail = caught.value.args
    assert cause == findings.UNSUITABLE_MASK and re.search(message, detail), detail


OUT_OF_RANGE = {
    "PNG of 16 bits": (png(IDS_HW.astype(int) + 250, 16, 0), "got 257, 258, 259, 260, 261$"),
    "TIFF of 8 signed bits": (tiff({"values": of_bits(8), 339: 2}), "got -128, -127"),
    "TIFF of 16 signed bits": (
        tiff({"values": IDS_HW.astype(int) - 1, "bits": 16, 339: 2}),
        "expected 0-255, got -1$",
    ),
    "TIFF of 32 bits": (tiff({"values": IDS_HW.astype(int) << 24, "bits": 32}), "got -"),
    "PGM of two bytes": (pnm(5, IDS_HW.astype(int) * 2, 65535), "got 256"),
}


@pytest.mark.parametrize("case", OUT_OF_RANGE)
def test_ids_that_have_no_place_in_a_byte_are_named(case):
    encoded, message = OUT_OF_RANGE[case]
    with pytest.raises(ProblemError) as caught:
        ids(encoded)
    cause, detail = caught.value.args
    assert cause == findings.OUT_OF_RANGE and re.search(message, detail), detail


WHOLE = {name: encoded for name, (encoded, _) in KEPT.items()}


@pytest.mark.parametrize("case", WHOLE)
def test_half_a_mask_is_never_a_mask(case):
    encoded = WHOLE[case]
    with pytest.raises(ProblemError):
        ids(encoded[: len(encoded) // 2])


# === Masks in colours ===

TRUTH_HW = corpus.LABEL_HW
CLASS_COLORS = [info.color for info in corpus.CLASSES]
RGB_HW3 = corpus.COLORS_256[TRUTH_HW]
SEEN_HW = np.where(TRUTH_HW == corpus.IGNORE, 3, TRUTH_HW).astype(np.uint8)
FOUR_COLORS = [*CLASS_COLORS, corpus.IGNORE_COLOR]


def of_colors(encoded: bytes, *ignored: tuple[int, ...]) -> np.ndarray:
    described = corpus.dataset("colors")
    source = dataclasses.replace(described.source, ignore_colors=(corpus.IGNORE_COLOR, *ignored))
    return stored(record_mask(encoded, "mask", dataclasses.replace(described, source=source)))


def rgba(alpha, color=RGB_HW3) -> np.ndarray:
    return np.dstack([color, np.broadcast_to(np.uint8(alpha), TRUTH_HW.shape)])


def plte(colors) -> tuple[bytes, bytes]:
    return b"PLTE", bytes(part for color in colors for part in color)


GREY_TRUTH_HW = np.where(TRUTH_HW == 1, 0, 255)
COLORFUL = {
    "PNG": encode(RGB_HW3, "PNG"),
    "PNG that is opaque": encode(rgba(255), "PNG"),
    "PNG of 16 bits that hold 8": png(RGB_HW3.astype(int) * 257, 16, 2),
    "PNG of 16 bits that is opaque": png(rgba(255).astype(int) * 257, 16, 6),
    "PNG of a palette": png(SEEN_HW, 8, 3, chunks=[plte(FOUR_COLORS)]),
    "PNG of a palette of 2 bits": png(SEEN_HW, 2, 3, chunks=[plte(FOUR_COLORS)]),
    "PNG of an opaque palette": png(
        SEEN_HW, 8, 3, chunks=[plte(FOUR_COLORS), (b"tRNS", b"\xff\xff")]
    ),
    "BMP": encode(RGB_HW3, "BMP"),
    "BMP of 32 bits": encode(rgba(255), "BMP"),
    "BMP of a palette": bmp(SEEN_HW, 4, FOUR_COLORS),
    "GIF": gif(SEEN_HW, FOUR_COLORS),
    "GIF of a table of its own": gif(SEEN_HW, FOUR_COLORS, local=True),
    "TIFF": tiff({"values": RGB_HW3}),
    "TIFF with opaque alpha": tiff({"values": rgba(255), 338: 2}),
    "TIFF of a palette": tiff(
        {
            "values": SEEN_HW,
            262: 3,
            320: tuple(
                257 * color[part] for part in range(3) for color in FOUR_COLORS + [(9, 9, 9)] * 252
            ),
        }
    ),
    "WebP without loss": encode(RGB_HW3, "WEBP", lossless=True),
    "WebP without loss, with opaque alpha": encode(rgba(255), "WEBP", lossless=True),
    "PPM": pnm(6, RGB_HW3, 255),
    "plain PPM": pnm(3, RGB_HW3, 255),
}


@pytest.mark.parametrize("case", COLORFUL)
def test_colours_are_read_exactly(case):
    np.testing.assert_array_equal(of_colors(COLORFUL[case]), TRUTH_HW)


# The quarter that is ignored is not seen, and something is below.
ALPHA_HW = np.where(TRUTH_HW == corpus.IGNORE, 0, 255)
BELOW_HW3 = np.where(ALPHA_HW[..., None] == 0, np.uint8(CLASS_COLORS[1]), RGB_HW3)
SEE_THROUGH = {
    "PNG": encode(rgba(ALPHA_HW, BELOW_HW3), "PNG"),
    "PNG of 16 bits": png(rgba(ALPHA_HW, BELOW_HW3).astype(int) * 257, 16, 6),
    "PNG of a palette": png(
        SEEN_HW, 8, 3, chunks=[plte(FOUR_COLORS), (b"tRNS", b"\xff\xff\xff\0")]
    ),
    "PNG of one colour": png(RGB_HW3, 8, 2, chunks=[(b"tRNS", b"\0\xe0\0\xe0\0\xc0")]),
    "GIF": gif(SEEN_HW, FOUR_COLORS, transparent=3),
    "TIFF": tiff({"values": rgba(ALPHA_HW, BELOW_HW3), 338: 2}),
    "WebP without loss": encode(rgba(ALPHA_HW, BELOW_HW3), "WEBP", lossless=True),
}


@pytest.mark.parametrize("case", SEE_THROUGH)
def test_what_is_not_seen_is_a_colour_that_has_to_be_declared(case):
    with pytest.raises(ProblemError) as caught:
        of_colors(SEE_THROUGH[case])
    cause, detail = caught.value.args
    assert cause == findings.UNKNOWN_COLOR
    assert "got 1 other: #00000000; what is not opaque is a colour of eight digits" in detail
    np.testing.assert_array_equal(of_colors(SEE_THROUGH[case], (0, 0, 0, 0)), TRUTH_HW)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_the_transparent_grey_is_that_of_the_file(bits):
    top = 2**bits - 1
    values = np.where(GREY_TRUTH_HW == 255, top, 0)
    encoded = png(values, bits, 0, chunks=[(b"tRNS", bytes((0, top)))])
    with pytest.raises(ProblemError, match="#00000000"):
        of_colors(encoded)
    found = of_colors(encoded, (0, 0, 0, 0))
    np.testing.assert_array_equal(found, np.where(values == top, corpus.IGNORE, 0))


def test_what_shines_through_has_to_be_declared_with_how_much():
    encoded = encode(rgba(np.where(ALPHA_HW == 0, 128, 255), BELOW_HW3), "PNG")
    for declared in ((), ((0, 0, 0, 0),), ((*CLASS_COLORS[1], 127),)):
        with pytest.raises(ProblemError, match="got 1 other: #80000080; "):
            of_colors(encoded, *declared)
    np.testing.assert_array_equal(of_colors(encoded, (*CLASS_COLORS[1], 128)), TRUTH_HW)


NO_COLORS = {
    "PNG of 16 bits": (png(RGB_HW3.astype(int) * 257 + 1, 16, 2), "got 16 that hold more"),
    "grey PNG of 16 bits": (png(TRUTH_HW.astype(int), 16, 0), "got 16 that hold more"),
    "PNG of 16 bits with a transparent colour": (
        png(RGB_HW3.astype(int) * 257, 16, 2, chunks=[(b"tRNS", bytes(6))]),
        "got 16; to fix",
    ),
    "TIFF of 16 bits": (tiff({"values": RGB_HW3, "bits": 16}), "got 16; to fix"),
    "TIFF of four values": (
        tiff({"values": rgba(255), 338: 0}),
        "beside those of RGB, got 4 in all",
    ),
    "TIFF of CMYK": (encode(Image.fromarray(RGB_HW3).convert("CMYK"), "TIFF"), "got CMYK"),
    "PPM that is scaled": (pnm(6, RGB_HW3 // 2, 127), "largest value of 255, got 127"),
    "PPM of two bytes": (pnm(6, RGB_HW3, 65535), "got 65535"),
    "JPEG": (encode(RGB_HW3, "JPEG"), "got JPEG"),
    "WebP with loss": (encode(RGB_HW3, "WEBP"), "got WEBP with loss"),
    "WebP with loss and alpha": (encode(rgba(ALPHA_HW), "WEBP"), "got WEBP with loss"),
    "TIFF of JPEG": (encode(RGB_HW3, "TIFF", compression="jpeg"), "got JPEG"),
    "BMP of 32 bits": (encode(rgba(ALPHA_HW), "BMP"), "last 8 may be transparency"),
    "BMP of two colours in 8 bits": (bmp(SEEN_HW % 2, 8, TWO_GREYS), "got 8 bits"),
}


@pytest.mark.parametrize("case", NO_COLORS)
def test_a_file_that_may_show_other_colours_than_were_drawn_is_refused(case):
    encoded, message = NO_COLORS[case]
    with pytest.raises(ProblemError) as caught:
        of_colors(encoded)
    cause, detail = caught.value.args
    assert cause == findings.UNSUITABLE_MASK and re.search(message, detail), detail


@pytest.mark.parametrize(
    "encoded",
    [
        png(SEEN_HW, 8, 3, chunks=[plte(FOUR_COLORS[:3])]),
        bmp(SEEN_HW, 8, FOUR_COLORS[:3]),
    ],
    ids=["PNG", "BMP"],
)
def test_an_index_without_a_colour_is_damage_and_not_black(encoded):
    with pytest.raises(ProblemError, match="of the palette's 3 colours, got 3") as caught:
        of_colors(encoded)
    assert caught.value.args[0] == findings.CORRUPT_MASK
