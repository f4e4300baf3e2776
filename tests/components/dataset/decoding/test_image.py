"""Limits hold for pictures and masks alike, before anything is decoded."""

import io

import numpy as np
import pytest
from PIL import Image

from components.dataset.decoding.image import decode_image, decode_label
from components.dataset.limits import Limits

LABEL_HW = np.random.default_rng(0).integers(0, 256, (30, 40), np.uint8)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("decode", [decode_image, decode_label])
def test_what_fits_is_decoded_and_what_is_larger_is_not(decode):
    encoded = png(LABEL_HW)
    just = Limits(max_pixels=1200, max_bytes=len(encoded))
    np.testing.assert_array_equal(decode(encoded, just).pixels[..., 0].numpy(), LABEL_HW)
    too_large = decode(encoded, Limits(max_pixels=1199)).problem.numpy().decode()
    assert too_large == "expected at most 1,199 pixels, got 40x30"
    too_long = decode(encoded, Limits(max_bytes=len(encoded) - 1))
    assert too_long.pixels.shape[:2] == (1, 1)
    assert too_long.problem.numpy().decode() == (
        f"expected at most {len(encoded) - 1:,} bytes, got {len(encoded)}"
    )
