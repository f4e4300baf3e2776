"""A small good data set, how to encode its pictures oddly, and what a case of the corpus says.

Every file is made by code. The tables of cases are in `corpus_pictures.py`, `corpus_masks.py` and
`corpus_folders.py`, the tests over them in `test_bad_inputs.py`.
"""

import dataclasses
import io
import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from schemas import ClassInfo, Dataset, Source, Split

# Four quarters of 16x32 pixels: JPEG's blocks stay within one, and each way of turning shows.
RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 160, 40), (40, 60, 200), (230, 230, 230)
IGNORE = 255
IMAGE_HW3 = np.kron(
    np.array([[RED, GREEN], [BLUE, WHITE]], np.uint8), np.ones((16, 32, 1), np.uint8)
)
LABEL_HW = np.kron(np.array([[1, 0], [2, IGNORE]], np.uint8), np.ones((16, 32), np.uint8))
CLASSES = (
    ClassInfo(0, "background", (0, 0, 0)),
    ClassInfo(1, "left", (128, 0, 0)),
    ClassInfo(2, "right", (0, 128, 0)),
)
IGNORE_COLOR = (224, 224, 192)
NO_PICTURE = "expected a picture file such as JPEG, PNG or TIFF, got something else"
COLORS_256 = np.full((256, 3), IGNORE_COLOR, np.uint8)
COLORS_256[:3] = [info.color for info in CLASSES]

IMAGE = Image.fromarray(IMAGE_HW3)
GREY_HW = np.asarray(IMAGE.convert("L"))
ORIENTATION = 0x0112
# How a camera stores an upright picture that it gives each orientation.
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@dataclasses.dataclass(frozen=True)
class Accepted:
    """A case in which the odd picture becomes a record."""

    name: str
    make: Callable[[Path], None]
    """Changes the good data set in this folder."""
    image_HW3: np.ndarray = dataclasses.field(default_factory=lambda: IMAGE_HW3)
    label_HW: np.ndarray = dataclasses.field(default_factory=lambda: LABEL_HW)
    tolerance: int = 0
    """How far a pixel may be off: JPEG is not exact."""
    format: str = "jpeg"
    rewritten: str = ""
    is_noted: bool = False
    """Whether a person is told to look at it."""
    filename: str = "odd"
    """Without the ending."""
    layout: str = "folders"


@dataclasses.dataclass(frozen=True)
class Refused:
    """A case of which one finding is to be made, and what is left when that is skipped."""

    name: str
    make: Callable[[Path], None]
    cause: str
    detail: str
    """Regular expression."""
    split: str = "train"
    filename: str = "odd"
    train: tuple[str, ...] = ("good.jpg", "other.jpg")
    val: tuple[str, ...] = ("check.jpg",)
    layout: str = "folders"


@dataclasses.dataclass(frozen=True)
class RefusedAtOnce:
    """A case in which no picture is examined."""

    name: str
    make: Callable[[Path], None]
    message: str
    """Regular expression."""
    layout: str = "folders"


def dataset(layout: str) -> Dataset:
    """The description of the data set: `folders`, `lists` of names, or `colors` in the masks."""
    if layout == "lists":
        splits = {
            split: Split(
                images=("pictures/*.jpg",),
                masks=("masks/*.png", "cls/*.mat"),
                names=(f"lists/{split}.txt",),
            )
            for split in ("train", "val")
        }
    else:
        splits = {
            split: Split(images=(f"images/{split}/*",), masks=(f"masks/{split}/*",))
            for split in ("train", "val")
        }
    return Dataset(
        name="corpus",
        title="Corpus",
        ignore_label=IGNORE,
        classes=CLASSES,
        source=Source(
            roots=("",),
            masks="colors" if layout == "colors" else "ids",
            ignore_colors=(IGNORE_COLOR,),
            splits=splits,
        ),
    )


def write_good(root: Path, layout: str) -> None:
    """Writes the good data set: `good`, `other` and `odd` to train on, `check` to measure on."""
    label = mask_file(COLORS_256[LABEL_HW] if layout == "colors" else LABEL_HW)
    for split, names in (("train", ("good", "odd", "other")), ("val", ("check",))):
        for name in names:
            below = "" if layout == "lists" else f"{split}/"
            pictures = "pictures" if layout == "lists" else "images"
            write(root, f"{pictures}/{below}{name}.jpg", jpeg())
            write(root, f"masks/{below}{name}.png", label)
        if layout == "lists":
            write(root, f"lists/{split}.txt", "\n".join(names).encode())
            (root / "cls").mkdir(exist_ok=True)


def write(root: Path, path: str, content: bytes) -> None:
    """Writes a file and the folders on the way to it."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(content)


# === What a case does to the good data set ===


def picture(content: bytes, ending: str = ".jpg") -> Callable[[Path], None]:
    """Puts another file in the place of the odd one's picture."""
    return replaced("images/train/odd.jpg", content, f"images/train/odd{ending}")


def mask(content: bytes, ending: str = ".png") -> Callable[[Path], None]:
    """Puts another file in the place of the odd one's mask."""
    return replaced("masks/train/odd.png", content, f"masks/train/odd{ending}")


def replaced(old: str, content: bytes, new: str | None = None) -> Callable[[Path], None]:
    """Removes a file and writes another."""

    def make(root: Path) -> None:
        (root / old).unlink()
        write(root, new or old, content)

    return make


def together(*makes: Callable[[Path], None]) -> Callable[[Path], None]:
    """Does one after the other."""

    def make(root: Path) -> None:
        for one in makes:
            one(root)

    return make


def added(path: str, content: bytes) -> Callable[[Path], None]:
    """Writes one more file."""
    return lambda root: write(root, path, content)


def renamed(name: str) -> Callable[[Path], None]:
    """Gives the odd picture and its mask another name."""

    def make(root: Path) -> None:
        for old, new in (
            ("images/train/odd.jpg", f"{name}.jpg"),
            ("masks/train/odd.png", f"{name}.png"),
        ):
            target = root / old.rpartition("/")[0] / new
            target.parent.mkdir(parents=True, exist_ok=True)
            (root / old).rename(target)

    return make


def removed(path: str) -> Callable[[Path], None]:
    """Removes a file."""
    return lambda root: (root / path).unlink()


def dangling(path: str) -> Callable[[Path], None]:
    """Puts a link to nothing in a file's place."""

    def make(root: Path) -> None:
        (root / path).unlink()
        (root / path).symlink_to("nowhere")

    return make


def folder(path: str) -> Callable[[Path], None]:
    """Puts a folder in a file's place."""

    def make(root: Path) -> None:
        (root / path).unlink()
        (root / path).mkdir()

    return make


# === Files ===


def encode(image: Image.Image | np.ndarray, kind: str, **options) -> bytes:
    """A picture file as Pillow writes it."""
    file = io.BytesIO()
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(file, kind, **options)
    return file.getvalue()


def jpeg(image: Image.Image = IMAGE, **options) -> bytes:
    """A JPEG of good quality, whose colours are as fine as its greys."""
    return encode(image, "JPEG", quality=95, subsampling=0, **options)


def mask_file(label: np.ndarray, kind: str = "PNG") -> bytes:
    """A mask file."""
    return encode(label, kind)


def exif(orientation: int) -> Image.Exif:
    """The tag that says how a picture is to be turned."""
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def with_half_alpha(image: Image.Image) -> Image.Image:
    """The picture with an alpha channel that grows from left to right."""
    image = image.copy()
    image.putalpha(Image.fromarray(np.tile(np.arange(64, dtype=np.uint8) * 4, (32, 1))))
    return image


def palette_picture(colors: Iterable[tuple[int, int, int]]) -> Image.Image:
    """The picture in a palette, one colour for each quarter."""
    image = Image.fromarray(np.kron(np.array([[0, 1], [2, 3]]), np.ones((16, 32))).astype(np.uint8))
    image.putpalette([part for color in colors for part in color])
    return image


_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
_ADAM7 += ((1, 0, 2, 1),)  # First row and column, then the steps; PNG specification, 8.2.


def png(
    values: np.ndarray,
    bits: int,
    color_type: int,
    *,
    chunks: Iterable[tuple[bytes, bytes]] = (),
    interlaced: bool = False,
    size: tuple[int, int] | None = None,
) -> bytes:
    """A PNG file of any kind, such as Pillow cannot write.

    Args:
        values: `[height, width]` or with channels.
        bits: of each value.
        color_type: 0 grey, 2 colours, 3 palette, 4 grey and alpha, 6 colours and alpha.
        chunks: name and content of what comes before the pixels.
        interlaced: whether the pixels come in seven passes.
        size: width and height that the header declares, if not the true ones.
    """

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    def rows(part: np.ndarray) -> bytes:
        packed = b""
        for row in part if part.size else ():
            bits_of_row = row.reshape(-1, 1) >> np.arange(bits)[::-1] & 1
            packed += b"\0" + np.packbits(bits_of_row.astype(np.uint8)).tobytes()
        return packed

    values = values.astype(np.int64)
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    pixels = b"".join(rows(values[y::step_y, x::step_x]) for y, x, step_y, step_x in passes)
    width, height = size or (values.shape[1], values.shape[0])
    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, interlaced)
    body = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in body)


def without_segment(encoded: bytes, marker: int) -> bytes:
    """A JPEG without one of its segments, such as 0xEE, Adobe's."""
    start = encoded.index(bytes((0xFF, marker)))
    (length,) = struct.unpack_from(">H", encoded, start + 2)
    return encoded[:start] + encoded[start + 2 + length :]


def with_declared_size(encoded: bytes, width: int, height: int) -> bytes:
    """A JPEG whose frame header says another size."""
    start = encoded.index(b"\xff\xc0") + 5
    return encoded[:start] + struct.pack(">HH", height, width) + encoded[start + 4 :]


def with_wrong_checksum(encoded: bytes) -> bytes:
    """A PNG with one bit of its pixels' checksum turned over."""
    start = encoded.index(b"IDAT")
    (length,) = struct.unpack_from(">I", encoded, start - 4)
    last = start + 4 + length + 3
    return encoded[:last] + bytes((encoded[last] ^ 1,)) + encoded[last + 1 :]


def sbd(**fields) -> bytes:
    """A mask of SBD: a structure `GTcls` with these fields."""
    import scipy.io

    file = io.BytesIO()
    scipy.io.savemat(file, {"GTcls": fields}, do_compression=True)
    return file.getvalue()
