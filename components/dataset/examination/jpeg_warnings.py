"""What libjpeg warns of while it decodes a JPEG, which TensorFlow's decoder does not pass on."""

import re

import simplejpeg

_DAMAGE = ("Corrupt JPEG data", "Premature end")
"""How libjpeg's warnings of the pixels begin; others are of the metadata."""
_LEFT_OVER = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0x(..)")
_FEW = 16
"""So many bytes too many no damage leaves: programs round sizes up."""
_END = b"\xff\xd9"


def jpeg_warning(encoded: bytes) -> str:
    """The first warning of damage, in libjpeg's words; empty where there is none.

    A few bytes too many are no damage, nor are zeros or 0xFF before the end, however many.

    Args:
        encoded: a JPEG that can be decoded.
    """
    try:
        # An eighth of the size: the pixels are not wanted, but all data are read.
        simplejpeg.decode_jpeg(
            encoded, colorspace="GRAY", min_height=1, min_width=1, min_factor=1, strict=True
        )
    except ValueError as error:
        warning = str(error)
        if warning.startswith(_DAMAGE) and not _is_padding(encoded, warning):
            return warning.removeprefix("Corrupt JPEG data: ")
    return ""


def _is_padding(encoded: bytes, warning: str) -> bool:
    left_over = _LEFT_OVER.fullmatch(warning)
    if left_over is None:
        return False
    count, end = int(left_over[1]), encoded.rfind(_END)
    is_blank = left_over[2] == "d9" and set(encoded[end - count : end]) <= {0x00, 0xFF}
    return count <= _FEW or is_blank
