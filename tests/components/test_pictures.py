"""Colours, overlays and thumbnails."""

import io

import numpy as np
import pytest
from PIL import Image

import schemas
from components import pictures


@pytest.fixture
def dataset():
    return schemas.load("sample")


def test_colours_are_those_of_the_data_set(dataset):
    label_HW = np.uint8([[0, 1], [255, 6]])
    shown = Image.open(io.BytesIO(pictures.colourise(label_HW, dataset))).convert("RGB")
    colors = [dataset.classes[i].color for i in (0, 1, 6)]
    pixels = [tuple(pixel) for pixel in np.asarray(shown).reshape(4, 3)]
    assert pixels == [colors[0], colors[1], schemas.IGNORE_COLOR, colors[2]]


def test_overlay_mixes_colours_and_leaves_clear_labels_alone(dataset):
    image = Image.new("RGB", (4, 2), (100, 100, 100))
    shown = np.asarray(
        pictures.overlay(image, np.uint8([[0, 1]]), dataset, clear=(0,), opacity=0.5)
    )
    assert (shown[:, :2] == 100).all(), "label 0 covers the left half and is clear"
    expected = np.rint((np.float32(dataset.classes[1].color) + 100) / 2)
    assert (shown[:, 2:] == expected).all()


def test_thumbnails_keep_the_aspect_and_never_grow():
    assert pictures.thumbnail(Image.new("RGB", (400, 100)), 200).size == (200, 50)
    assert pictures.thumbnail(Image.new("RGB", (1000, 1)), 200).size == (200, 1)
    assert pictures.thumbnail(Image.new("RGB", (30, 20)), 200).size == (30, 20)


def test_thumbnails_of_label_maps_hold_only_their_ids():
    label_HW = np.random.default_rng(0).choice(np.uint8([0, 5, 255]), (90, 70))
    small = pictures.thumbnail(Image.fromarray(label_HW), 31, smooth=False)
    assert set(np.unique(np.asarray(small))) == {0, 5, 255}


def test_data_urls_name_the_format():
    image = Image.new("RGB", (2, 2))
    for file_format in ("PNG", "JPEG"):
        url = pictures.data_url(pictures.encode(image, file_format))
        assert url.startswith(f"data:image/{file_format.lower()};base64,")
