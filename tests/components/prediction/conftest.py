"""Small models and pictures for predictions."""

import io

import numpy as np
import pytest
from PIL import Image

from components.prediction.model import Model
from tests.components.prediction.looking import save


@pytest.fixture(scope="session")
def looking(tmp_path_factory) -> str:
    """The folder of a version whose canvas is 33, and whose network looks 2 pixels far."""
    return save(tmp_path_factory.mktemp("looking") / "7", radius=2, canvas=33)


@pytest.fixture(scope="session")
def old(tmp_path_factory) -> str:
    """The same, pushed before there were other signatures than the default."""
    return save(tmp_path_factory.mktemp("old") / "7", radius=2, canvas=33, is_old=True)


@pytest.fixture(scope="session")
def model(looking) -> Model:
    return Model(looking)


def picture(width: int, height: int, kind: str = "PNG", seed: int = 0, **options) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()
