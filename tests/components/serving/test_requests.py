"""What a server is sent: anything at all. It answers each row, and no row costs it dearly."""

import io
import json
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from benchmarks.request_memory import KINDS
from components.dataset.decoding.image import DAMAGED, UNKNOWN
from components.serving import interface, signatures
from tests.components.dataset.building.corpus import STORED
from tests.components.graphs import transform_graph
from tests.components.serving.conftest import CLASSES, CONFIG, IGNORE

pytestmark = pytest.mark.slow

ALLOWANCE = 80 * 2**20
"""For the network's own tensors and what the allocator keeps."""


def encode(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def serve(exported_model):
    signature = tf.saved_model.load(exported_model).signatures[interface.SERVING]

    def ask(*files: bytes) -> list[np.ndarray | str]:
        """The mask, or the error, of each file."""
        reply = signature(image_bytes=tf.constant(files, tf.string))
        masks = reply[interface.MASK_BYTES].numpy()
        errors = [error.decode() for error in reply[interface.ERROR].numpy()]
        assert len(masks) == len(errors) == len(files)
        assert all(bool(mask) != bool(error) for mask, error in zip(masks, errors, strict=True))
        return [
            error or np.asarray(Image.open(io.BytesIO(mask)))
            for mask, error in zip(masks, errors, strict=True)
        ]

    return ask


PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))


def bomb(width: int, height: int) -> bytes:
    """A PNG of one bit a pixel that is all of one colour."""

    def chunk(name: bytes, held: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + held))
        return struct.pack(">I", len(held)) + name + held + crc

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 7) // 8 + 1) * height, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("lies", STORED)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_mask_is_as_the_picture_is_seen(serve, lies, kind):
    """The same stored pixels, turned by EXIF and turned before."""
    tags = Image.Exif()
    tags[0x0112] = lies
    stored = encode(PICTURE.transpose(STORED[lies]), kind, exif=tags)
    seen = Image.open(io.BytesIO(stored))

    upright = encode(ImageOps.exif_transpose(seen), "PNG")
    turned, straight = serve(stored, upright)
    assert turned.shape == (40, 60)
    np.testing.assert_array_equal(turned, straight)


def test_an_empty_batch_is_answered_with_an_empty_batch(serve):
    assert serve() == []


@pytest.mark.parametrize(
    ("encoded", "error"),
    [
        (b"", UNKNOWN),
        (b"\x00", UNKNOWN),
        (b"<html></html>", UNKNOWN),
        (encode(PICTURE, "TIFF"), UNKNOWN),
        (encode(PICTURE, "WEBP"), UNKNOWN),
        (encode(PICTURE, "PNG")[:-20], DAMAGED),
        (encode(PICTURE, "JPEG")[:400] + b"\xff\xd9", DAMAGED),
        (encode(PICTURE, "JPEG")[:-2], DAMAGED),
        (encode(PICTURE.convert("P"), "GIF")[:-300], DAMAGED),
        (encode(PICTURE, "BMP")[:-1], DAMAGED),
        (bomb(13_300, 13_300), "expected at most 100,000,000 pixels, got 13300x13300"),
        (bomb(2**31 - 1, 1), "expected at most 100,000,000 pixels, got 2147483647x1"),
    ],
)
def test_what_cannot_be_decoded_whole_is_an_error_in_its_row(serve, encoded, error):
    good = encode(PICTURE, "PNG")
    first, answer, last = serve(good, encoded, good)
    assert answer == error
    np.testing.assert_array_equal(first, last)


def test_the_limits_are_those_of_the_configuration(model, examples, tmp_path):
    limits = {"max_pixels": 2400, "max_bytes": 10_000}
    graph = transform_graph(examples, CONFIG | {"limits": limits}, tmp_path)
    served = signatures.ServedModel(model, graph, num_classes=CLASSES, ignore_label=IGNORE)
    fits, too_large, too_long = (
        encode(PICTURE, "PNG"),
        encode(PICTURE.resize((61, 40)), "JPEG"),
        encode(PICTURE, "PNG") + bytes(10_000),
    )
    reply = served.serve(tf.constant([fits, too_large, too_long]))
    assert [error.decode() for error in reply[interface.ERROR].numpy()] == [
        "",
        "expected at most 2,400 pixels, got 61x40",
        f"expected at most 10,000 bytes, got {len(too_long)}",
    ]
    for ask in (served.serve_tensors, served.serve_logits):
        with pytest.raises(tf.errors.InvalidArgumentError, match="at most 2,400 pixels, got 61x40"):
            ask(tf.zeros([2, 40, 61, 3], tf.uint8))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_peak_of_a_request_is_within_three_times_what_it_decodes_to(exported_model, kind):
    """The bytes of the request itself not counted, nor what the network needs for any picture."""
    command = [sys.executable, "-m", "benchmarks.request_memory", exported_model, kind]
    done = subprocess.run([*command, "--side", "5000"], capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout.splitlines()[-1])
    assert not measured["error"]
    assert measured["peak"] - measured["file"] <= 3 * measured["decoded"] + ALLOWANCE
