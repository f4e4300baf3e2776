"""What `python -m pipeline parity` finds, and that a single pixel is enough."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from components.errors import ConfigError, DataError, ServingError
from components.serving import parity
from components.serving.client import Client
from components.serving.server import launch
from tests.components.serving.conftest import CLASSES, IGNORE
from tests.components.serving.small_model import Right, save

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address(exported_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    (folder / "1").symlink_to(exported_model)
    with launch.running(str(folder), "deeplab", program=None, log=folder / "log.txt") as server:
        server.wait_until_available(120)
        yield server.grpc_address


class OtherPixels(Client):
    """Answers with another class at some pixels of the second picture that it is asked for."""

    def __init__(self, address: str, pixels: int):
        super().__init__(address, "deeplab")
        self._pixels, self._asked = pixels, 0

    def segment(self, pictures):
        answers = super().segment(pictures)
        for index, answer in enumerate(answers):
            self._asked += 1
            if self._asked == 2:
                mask = np.array(Image.open(io.BytesIO(answer.mask)))
                mask.reshape(-1)[: self._pixels] += 1
                mask %= CLASSES
                file = io.BytesIO()
                Image.fromarray(mask).save(file, "PNG")
                answers[index] = dataclasses.replace(answer, mask=file.getvalue())
        return answers


def found(model: str, client: Client, records) -> parity.Parity:
    serialized = [record.serialize() for record in records]
    return parity.summed(parity.compare(model, client, serialized, CLASSES, IGNORE))


def test_what_is_served_is_what_is_judged(exported_model, address, examples):
    # Requests of all sizes, and a last one that is not full.
    records = examples * 3
    whole = found(exported_model, Client(address, "deeplab"), records)
    assert (whole.pictures, whole.other_pixels, whole.other_counts) == (9, 0, 0)
    assert whole.pixels == sum(record.height * record.width for record in records)
    assert 0 < whole.served_mean_iou == whole.judged_mean_iou
    parity.require(whole)


@pytest.mark.parametrize("pixels", [1, 40])
def test_every_pixel_counts_and_the_worst_picture_is_named(
    exported_model, address, examples, pixels
):
    whole = found(exported_model, OtherPixels(address, pixels), examples)
    assert (whole.other_pixels, whole.worst) == (pixels, examples[1].filename)
    assert whole.other_counts == pixels
    with pytest.raises(ServingError, match=f"got {pixels} pixels? of .* most in {whole.worst}"):
        parity.require(whole)


def test_pictures_that_have_no_mask_are_named(exported_model, address, examples):
    damaged = dataclasses.replace(examples[0], image=b"no picture")
    with pytest.raises(DataError, match=damaged.filename):
        found(exported_model, Client(address, "deeplab"), [damaged])
    with pytest.raises(DataError, match="got none"):
        found(exported_model, Client(address, "deeplab"), [])


def test_a_model_of_older_code_is_said_to_be_one(address, examples, tmp_path):
    with pytest.raises(ConfigError, match=r"signatures evaluate and .*; to fix, push it"):
        found(save(Right(), tmp_path / "model"), Client(address, "deeplab"), examples)
