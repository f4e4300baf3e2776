"""PNG files such as editors, generators and broken transfers leave."""

import struct
import zlib

import numpy as np

from tests.components.dataset.building import corpus

START = b"\x89PNG\r\n\x1a\n"
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:tiff="http://ns.adobe.com/tiff/1.0/"{}</rdf:Description></rdf:RDF></x:xmpmeta>'
)
XMP_ATTRIBUTE = XMP.format(' tiff:Orientation="6">').encode()
XMP_ELEMENT = XMP.format("><tiff:Orientation>6</tiff:Orientation>").encode()


def chunk(name: bytes, content: bytes, checksum: int | None = None) -> bytes:
    """A chunk, with a checksum that may be wrong."""
    right = zlib.crc32(name + content)
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", right if checksum is None else checksum)
    )


def with_chunks(*chunks: bytes, encoded: bytes | None = None) -> bytes:
    """A PNG with chunks behind its header; by default the picture."""
    encoded = encoded or corpus.encode(corpus.IMAGE, "PNG")
    behind_header = len(START) + 25
    return encoded[:behind_header] + b"".join(chunks) + encoded[behind_header:]


def international_text(keyword: bytes, text: bytes) -> bytes:
    """A chunk of text that is not compressed."""
    return chunk(b"iTXt", keyword + b"\0\0\0\0\0" + text)


def compressed_text(keyword: bytes, text: bytes, **options) -> bytes:
    """A chunk of compressed text."""
    return chunk(b"zTXt", keyword + b"\0\0" + zlib.compress(text), **options)


def profile(content: bytes) -> bytes:
    """A chunk with a colour profile."""
    return chunk(b"iCCP", b"sRGB IEC61966-2.1\0\0" + zlib.compress(content))


def raw_exif(block: bytes) -> bytes:
    """A chunk of text that holds EXIF in hexadecimal digits, as ImageMagick writes it."""
    return compressed_text(
        b"Raw profile type exif", b"\nexif\n%8d\n%s\n" % (len(block), block.hex().encode())
    )


def picture(pixels: bytes | None = None, end: bytes = chunk(b"IEND", b"")) -> bytes:
    """The picture, of compressed pixels that may be damaged while every checksum fits."""
    header = struct.pack(">IIBBBBB", 64, 32, 8, 2, 0, 0, 0)
    pixels = zlib.compress(rows()) if pixels is None else pixels
    return START + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + end


def rows(count: int = 32) -> bytes:
    """The picture's first rows, unfiltered."""
    return b"".join(b"\0" + row.tobytes() for row in corpus.IMAGE_HW3[:count])


def of_xcode() -> bytes:
    """The picture as Xcode makes it for telephones: blue first, no zlib header, one more chunk."""
    deflate = zlib.compressobj(wbits=-15)
    swapped = b"".join(b"\0" + row.tobytes() for row in corpus.IMAGE_HW3[..., ::-1])
    header = struct.pack(">IIBBBBB", 64, 32, 8, 2, 0, 0, 0)
    return (
        START
        + chunk(b"CgBI", b"\x50\0\x20\2")
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", deflate.compress(swapped) + deflate.flush())
        + chunk(b"IEND", b"")
    )


def bomb(side: int = 13_300) -> bytes:
    """A black picture of many pixels, one bit each, in some kilobytes."""
    row = b"\0" * (1 + -(-side // 8))
    packer = zlib.compressobj(9)
    pixels = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return START + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def ramp_16() -> np.ndarray:
    """Grey values of 16 bits, `[32, 64]`, of which the low bytes differ too."""
    return np.linspace(0, 0xFFFF, 32 * 64).astype(np.uint16).reshape(32, 64)
