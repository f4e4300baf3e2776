"""Which kinds of picture files can be read, and what their names end in."""

import functools

from PIL import Image

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""Of Pillow's. No others: it would hand an EPS file to Ghostscript, which runs it as a program."""

_IN_A_JPEG = "MPO"
"""Several pictures; Pillow opens it as the JPEG that it begins with."""


@functools.cache
def endings() -> tuple[str, ...]:
    """What Pillow knows such files by, in small letters, sorted: `.jfif` and `.jpe`, too."""
    registered = Image.registered_extensions()
    return tuple(
        sorted(ending for ending, kind in registered.items() if kind in (*FORMATS, _IN_A_JPEG))
    )
