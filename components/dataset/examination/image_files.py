"""What the first bytes and the parts of a picture's file say, without decoding it."""

import collections
import zlib
from collections.abc import Iterator

PNG = b"\x89PNG\r\n\x1a\n"
"""What a PNG file starts with."""

JPEG = b"\xff\xd8\xff"
"""And a JPEG."""

_STARTS = {JPEG: "JPEG", b"GIF8": "GIF", b"BM": "BMP"}
_PNG_BITS, _PNG_COLORS = 24, 25  # Places of the bits of a value and of the colour type.
_PNG_KINDS = {0: "grey", 2: "colours", 3: "palette", 4: "grey with alpha", 6: "colours with alpha"}


def holds_ids(encoded: bytes) -> bool:
    """Whether TensorFlow's decoder gives the values of a mask's file as they are.

    It takes other files too, and makes one channel of colours, 8 bits of 16, 255 of the largest
    value of 4 bits.
    """
    if not encoded.startswith(PNG) or is_cut_within_header(encoded):
        return False
    return (png_bits(encoded), encoded[_PNG_COLORS]) == (8, 0)


def is_cut_within_header(encoded: bytes) -> bool:
    """Whether a PNG file ends before it says what its pixels are."""
    return encoded.startswith(PNG) and len(encoded) <= _PNG_COLORS


def png_bits(encoded: bytes) -> int:
    """How many bits each value of a PNG file has."""
    return encoded[_PNG_BITS]


def kind(encoded: bytes) -> str:
    """What a picture's file is, "a PNG of 4-bit palette" or "a JPEG"."""
    if encoded.startswith(PNG):
        return f"a PNG of {png_bits(encoded)}-bit {_PNG_KINDS[encoded[_PNG_COLORS]]}"
    starts = (name for start, name in _STARTS.items() if encoded.startswith(start))
    return f"a {next(starts, 'file of another kind')}"


def png_damage(encoded: bytes) -> str:
    """Where a PNG file is damaged; empty where its chunks are in order, or it is no PNG."""
    if not encoded.startswith(PNG):
        return ""
    try:
        collections.deque(png_chunks(encoded), maxlen=0)
    except ValueError as error:
        return str(error)
    return ""


def png_chunks(encoded: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and bytes of each chunk of a PNG file, up to its end.

    Raises:
        ValueError: the file is cut off or damaged, and where.
    """
    name, place = b"", len(PNG)
    while name != b"IEND":
        length = int.from_bytes(encoded[place : place + 4], "big")
        chunk = encoded[place : place + 12 + length]
        if len(chunk) < 12 + length:
            raise ValueError("it ends within a chunk")
        name = chunk[4:8]
        if not name.isalpha():
            raise ValueError("a chunk has no name")
        if place == len(PNG) and name != b"IHDR":
            raise ValueError(f"its first chunk is {name.decode()}, not IHDR")
        # PNG specification, 5.4: a decoder may do without what has a small first letter.
        if name[:1].isupper() and zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
            raise ValueError(f"the checksum of its {name.decode()} is wrong")
        yield name, chunk
        place += len(chunk)
