"""The rendered sample: the same everywhere, exact labels, and pictures worth learning from."""

import io

import numpy as np
import pytest
from PIL import Image

import schemas
from components.dataset.sample.figures import CLASSES
from components.dataset.sample.rendering import SPLITS, encode_picture, render_picture

COUNT = 40
IGNORE = schemas.load("sample").ignore_label


@pytest.fixture(scope="module")
def pictures():
    return [render_picture(index, "train") for index in range(COUNT)]


def test_figures_are_the_classes_of_the_schema():
    assert ("background", *CLASSES) == schemas.load("sample").class_names


def test_same_arguments_give_the_same_bytes():
    first, again = (encode_picture(render_picture(3, "val", seed=7)) for _ in range(2))
    assert first == again


@pytest.mark.parametrize("other", [(4, "val", 7), (3, "train", 7), (3, "val", 8)])
def test_index_split_and_seed_each_change_the_picture(other):
    other = encode_picture(render_picture(*other))
    assert encode_picture(render_picture(3, "val", seed=7)).image != other.image


def test_names_are_unique_over_splits():
    names = [render_picture(index, split).name for split in SPLITS for index in range(2)]
    assert names == ["train_00000", "train_00001", "val_00000", "val_00001"]


def test_sides_types_and_labels_are_in_range(pictures):
    for name, image_HW3, label_HW in pictures:
        assert image_HW3.dtype == label_HW.dtype == np.uint8, name
        assert image_HW3.shape == (*label_HW.shape, 3), name
        assert all(96 <= side <= 176 for side in label_HW.shape), name
        assert set(np.unique(label_HW)) <= {*range(7), IGNORE}, name


def test_orientations_differ(pictures):
    shapes = [picture.label_HW.shape for picture in pictures]
    assert any(height > width for height, width in shapes)
    assert any(height < width for height, width in shapes)
    assert any(height == width for height, width in shapes)


def test_every_class_is_frequent_and_none_drowns_the_others(pictures):
    pixels_7 = np.zeros(7)
    pictures_7 = np.zeros(7)
    for picture in pictures:
        count_7 = np.bincount(picture.label_HW.ravel(), minlength=256)[:7]
        pixels_7 += count_7
        pictures_7 += count_7 > 20
    assert (pictures_7 / COUNT).min() >= 0.2
    share_7 = pixels_7 / pixels_7.sum()
    assert share_7[1:].min() > 0.015
    assert 0.5 < share_7[0] < 0.85


def test_every_picture_shows_an_object_and_background(pictures):
    for picture in pictures:
        label_HW = picture.label_HW
        assert ((label_HW > 0) & (label_HW < IGNORE)).sum() > 20, picture.name
        assert (label_HW == 0).any(), picture.name


def test_objects_touch_neither_background_nor_each_other(pictures):
    for picture in pictures:
        label_HW = picture.label_HW
        for one, other in (
            (label_HW[1:], label_HW[:-1]),
            (label_HW[:, 1:], label_HW[:, :-1]),
            (label_HW[1:, 1:], label_HW[:-1, :-1]),
        ):
            border = (one == IGNORE) | (other == IGNORE)
            assert (border | (one == other)).all(), picture.name


def test_borders_lie_where_the_picture_changes(pictures):
    at_border, inside = [], []
    for picture in pictures:
        grey_HW = picture.image_HW3.mean(axis=-1)
        slope_HW = np.hypot(*np.gradient(grey_HW))
        at_border.append(slope_HW[picture.label_HW == IGNORE].mean())
        inside.append(slope_HW[picture.label_HW == 0].mean())
    assert np.mean(at_border) > 2 * np.mean(inside)


def test_border_is_thin(pictures):
    share = np.mean([(picture.label_HW == IGNORE).mean() for picture in pictures])
    assert 0.01 < share < 0.08


def test_colors_alone_do_not_tell_classes_apart(pictures):
    """A pixel's nearest mean class colour is a poor guess, so shape and texture have to count."""
    color_N3 = np.concatenate([p.image_HW3.reshape(-1, 3) for p in pictures]).astype(np.float32)
    label_N = np.concatenate([p.label_HW.ravel() for p in pictures])
    mean_73 = np.stack([color_N3[label_N == i].mean(axis=0) for i in range(7)])
    guess_N = np.stack([((color_N3 - m) ** 2).sum(axis=1) for m in mean_73]).argmin(axis=0)
    iou = [
        ((guess_N == i) & (label_N == i)).sum()
        / (((guess_N == i) & (label_N < 7)) | (label_N == i)).sum()
        for i in range(7)
    ]
    assert np.mean(iou) < 0.15


def test_encoding_keeps_labels_exactly_and_images_nearly(pictures):
    image_HW3, label_HW = pictures[0].image_HW3, pictures[0].label_HW
    encoded = encode_picture(pictures[0])
    image, label = (Image.open(io.BytesIO(data)) for data in encoded)
    assert (image.format, image.mode) == ("JPEG", "RGB")
    assert (label.format, label.mode) == ("PNG", "L")
    np.testing.assert_array_equal(np.asarray(label), label_HW)
    assert np.abs(np.asarray(image, np.float32) - image_HW3).mean() < 8


def test_unknown_split_and_negative_index_are_refused():
    with pytest.raises(ValueError, match=r"expected a split of .*'train', 'val'.*got 'test'"):
        render_picture(0, "test")
    with pytest.raises(ValueError, match="expected an index of at least 0; got -1"):
        render_picture(-1, "val")
