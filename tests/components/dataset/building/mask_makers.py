"""Mask files byte by byte, such as Pillow does not write: BMP, GIF, TIFF of any kind."""

import struct
from collections.abc import Sequence

import numpy as np

from tests.components.dataset.building.corpus import png


def packed(values: np.ndarray, bits: int, *, lowest_first: bool = False) -> bytes:
    """One row of values, the first in the highest bits of a byte."""
    bits_of_row = values.reshape(-1, 1).astype(np.int64) >> np.arange(bits)[::-1] & 1
    order = "little" if lowest_first else "big"
    return np.packbits(bits_of_row.astype(np.uint8), bitorder=order).tobytes()


def bmp(
    label_HW: np.ndarray,
    bits: int,
    palette: Sequence[tuple[int, int, int]],
    *,
    top_down: bool = False,
    old: bool = False,
) -> bytes:
    """An uncompressed BMP of indices; `old` is that of OS/2, with three bytes for each colour."""
    height, width = label_HW.shape
    rows = [packed(row, bits) for row in (label_HW if top_down else label_HW[::-1])]
    pixels = b"".join(row + bytes(-len(row) % 4) for row in rows)
    colors = b"".join(bytes((b, g, r)) + (b"" if old else b"\0") for r, g, b in palette)
    if old:
        header = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        signed = -height if top_down else height
        header = struct.pack("<IiiHHII", 40, width, signed, 1, bits, 0, len(pixels))
        header += struct.pack("<iiII", 0, 0, len(palette), 0)
    offset = 14 + len(header) + len(colors)
    start = b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset)
    return start + header + colors + pixels


def bmp_rle8(label_HW: np.ndarray, palette: Sequence[tuple[int, int, int]]) -> bytes:
    """The same in runs of one pixel each."""
    plain = bmp(label_HW, 8, palette)
    offset = 54 + 4 * len(palette)
    runs = b"".join(bytes(x for v in row for x in (1, v)) + b"\0\0" for row in label_HW[::-1])
    runs += b"\0\1"
    header = plain[:30] + struct.pack("<II", 1, len(runs)) + plain[38:54]
    return header + plain[54:offset] + runs


def gif(
    label_HW: np.ndarray,
    palette: Sequence[tuple[int, int, int]],
    *,
    local: bool = False,
    interlaced: bool = False,
    transparent: int | None = None,
    screen: tuple[int, int] | None = None,
    frames: int = 1,
) -> bytes:
    """A GIF of one frame or of several alike; a table of 256 colours, for all or for each."""
    height, width = label_HW.shape
    table = bytes(part for color in palette for part in color).ljust(768, b"\0")
    rows = range(height)
    if interlaced:  # GIF89a specification, appendix E.
        rows = [y for start, step in ((0, 8), (4, 8), (2, 4), (1, 2)) for y in rows[start::step]]
    codes = []
    for i, value in enumerate(label_HW[list(rows)].ravel()):
        # Cleared so often that codes stay at nine bits: no compression.
        codes += [256, int(value)] if i % 200 == 0 else [int(value)]
    bits = np.array([*codes, 257])[:, None] >> np.arange(9) & 1
    data = np.packbits(bits.astype(np.uint8), bitorder="little").tobytes()
    blocks = b"".join(
        bytes((len(data[i : i + 255]),)) + data[i : i + 255] for i in range(0, len(data), 255)
    )
    flags = (0x87 if local else 0) | (0x40 if interlaced else 0)
    control = b""
    if transparent is not None:
        control = bytes((0x21, 0xF9, 4, 1, 0, 0, transparent, 0))
    frame = control + b"," + struct.pack("<HHHHB", 0, 0, width, height, flags)
    frame += (table if local else b"") + b"\x08" + blocks + b"\0"
    shown = struct.pack("<HH", *(screen or (width, height)))
    start = b"GIF89a" + shown + bytes((0x70 if local else 0xF7, 0, 0)) + (b"" if local else table)
    comment = b"\x21\xfe\x03odd\x00"
    return start + comment + frame * frames + b";"


def tiff(*pages: dict, order: str = "<") -> bytes:
    """An uncompressed TIFF.

    Args:
        pages: of each the tags by number, a number or several; `bits` is of each value, `values`
            are `[height, width]` or with channels; `lowest_first` fills bytes from the lowest bit.
        order: of bytes, "<" or ">".
    """
    content = (b"II*\0" if order == "<" else b"MM\0*") + bytes(4)
    link = 4
    for page in pages:
        page = dict(page)
        values, bits = page.pop("values"), page.pop("bits", 8)
        lowest = page.pop("lowest_first", False)
        samples = 1 if values.ndim == 2 else values.shape[2]
        if bits in (16, 32):
            pixels = values.astype(f"{order}i{bits // 8}", casting="unsafe").tobytes()
        else:
            pixels = b"".join(packed(row, bits, lowest_first=lowest) for row in values)
        strip = len(content)
        content += pixels + bytes(len(pixels) % 2)
        tags = {
            256: values.shape[1],
            257: values.shape[0],
            258: (bits,) * samples,
            259: 1,
            262: 1 if samples == 1 else 2,
            273: strip,
            277: samples,
            278: values.shape[0],
            279: len(pixels),
            **({266: 2} if lowest else {}),
            **page,
        }
        entries, place = [], len(content)
        place_of_more = place + 2 + 12 * len(tags) + 4
        more = b""
        for tag, value in sorted(tags.items()):
            if value is None:
                continue
            if isinstance(value, str):
                kind, count, encoded = 2, len(value) + 1, value.encode() + b"\0"
            else:
                many = value if isinstance(value, tuple) else (value,)
                kind = 3 if max(many) < 65536 and tag not in (273, 279) else 4
                count = len(many)
                encoded = struct.pack(f"{order}{count}{'H' if kind == 3 else 'I'}", *many)
            if len(encoded) > 4:
                where = struct.pack(f"{order}I", place_of_more + len(more))
                more += encoded + bytes(len(encoded) % 2)
                encoded = where
            entries.append(struct.pack(f"{order}HHI", tag, kind, count) + encoded.ljust(4, b"\0"))
        directory = struct.pack(f"{order}H", len(entries)) + b"".join(entries) + bytes(4)
        directory = directory.ljust(place_of_more - place, b"\0")
        content = content[:link] + struct.pack(f"{order}I", place) + content[link + 4 :]
        content += directory + more
        link = place + 2 + 12 * len(entries)
    return content


def pnm(kind: int, values: np.ndarray, largest: int, comment: bytes = b"") -> bytes:
    """A PGM or PPM, `kind` as in `P5`; with more than 255, two bytes each."""
    header = b"P%d\n%s%d %d\n%d\n" % (kind, comment, values.shape[1], values.shape[0], largest)
    if kind < 4:
        return header + b" ".join(b"%d" % value for value in values.ravel())
    return header + values.astype(">u2" if largest > 255 else "u1").tobytes()


def apng(label_HW: np.ndarray, frames: int) -> bytes:
    """A PNG that says it has so many frames, all as the first."""
    control = (b"acTL", struct.pack(">II", frames, 0))
    size = struct.pack(">II", *label_HW.shape[::-1])
    frame = (b"fcTL", struct.pack(">I", 0) + size + struct.pack(">IIHHBB", 0, 0, 1, 1, 0, 0))
    return png(label_HW, 8, 0, chunks=[control, frame])
