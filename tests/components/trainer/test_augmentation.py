"""Every operation eagerly and inside tf.data, on pictures that say where each pixel came from."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from components.trainer import augmentation
from components.trainer.options import TrainingOptions

IGNORE = 65_535
SEEDS = [(7, number) for number in range(40)]


def located(height=37, width=50):
    """A picture whose red and green are a pixel's row and column, and labels that are both."""
    row, column = np.mgrid[:height, :width]
    image = np.stack([row, column, 0 * row], axis=-1) / 256
    return image.astype(np.float32), (row * 256 + column).astype(np.int32)


def misalignment(image, label):
    """Largest distance, in input pixels, between where image and label say they came from."""
    places = np.stack([label // 256, label % 256], axis=-1)
    return np.abs(256 * image[..., :2] - places)[label != IGNORE].max()


def eagerly(function, image, label, seeds):
    for seed in seeds:
        outputs = function(tf.constant(image), tf.constant(label), tf.constant(seed, tf.int64))
        yield tuple(output.numpy() for output in outputs)


def in_tf_data(function, image, label, seeds):
    """As in training: in parallel, in a graph that does not know the size of the picture."""
    kinds = (
        tf.TensorSpec([None, None, 3], tf.float32),
        tf.TensorSpec([None, None], label.dtype),
        tf.TensorSpec([2], tf.int64),
    )
    pictures = tf.data.Dataset.from_generator(
        lambda: ((image, label, seed) for seed in seeds), output_signature=kinds
    )
    return pictures.map(function, num_parallel_calls=2).as_numpy_iterator()


both_modes = pytest.mark.parametrize("run", [eagerly, in_tf_data])


# === Alignment ===


@both_modes
@pytest.mark.parametrize(("scale", "tolerance"), [(0.5, 0.5), (0.75, 0.5), (1.25, 0.5), (2, 0.25)])
def test_scaled_image_and_label_stay_aligned(run, scale, tolerance):
    function = functools.partial(augmentation.random_scale, scale_min=scale, scale_max=scale)
    ((image, label),) = run(function, *located(40, 52), SEEDS[:1])
    assert image.shape == (int(40 * scale), int(52 * scale), 3)
    assert misalignment(image, label) <= tolerance + 1e-3
    # The test would see a shift by one pixel, either way and on either axis.
    for axis in (0, 1):
        for shift in (-1, 1):
            inside = np.s_[1:-1, 1:-1]
            shifted = np.roll(label, shift, axis)[inside]
            assert misalignment(image[inside], shifted) > tolerance + 0.1


@both_modes
@pytest.mark.parametrize("size", [(40, 52), (37, 50), (61, 45)])
def test_image_and_label_stay_aligned_when_resized_to_a_range(run, size):
    def function(image, label, seed):
        return augmentation.resize_to_range(image, label, 33, 49, 16)

    ((image, label),) = run(function, *located(*size), SEEDS[:1])
    # Shrinking averages, which moves the pixels at the border; the others stay in place.
    assert misalignment(image[2:-2, 2:-2], label[2:-2, 2:-2]) <= 0.5 + 1e-3


@both_modes
def test_padding_keeps_pixels_and_adds_mean_and_ignore(run):
    image, label = located(20, 50)

    def function(image, label, seed):
        return augmentation.pad_to(image, label, 33, IGNORE)

    ((padded_image, padded_label),) = run(function, image, label, SEEDS[:1])
    assert padded_image.shape == (33, 50, 3)
    np.testing.assert_array_equal(padded_image[:20], image)
    np.testing.assert_array_equal(padded_label[:20], label)
    assert np.all(padded_image[20:] == 0.0)
    assert np.all(padded_label[20:] == IGNORE)


@both_modes
def test_crops_are_aligned_and_reach_every_place(run):
    image, label = located(7, 6)
    function = functools.partial(augmentation.random_crop, size=5)
    corners = set()
    for cropped_image, cropped_label in run(function, image, label, SEEDS):
        assert misalignment(cropped_image, cropped_label) == 0
        top, left = divmod(int(cropped_label[0, 0]), 256)
        np.testing.assert_array_equal(cropped_label, label[top : top + 5, left : left + 5])
        corners.add((top, left))
    assert corners == {(top, left) for top in range(3) for left in range(2)}


@both_modes
def test_flips_are_aligned_and_as_likely_as_not(run):
    image, label = located()
    flipped = 0
    for new_image, new_label in run(augmentation.random_flip, image, label, SEEDS):
        assert misalignment(new_image, new_label) == 0
        if new_label[0, 0] != label[0, 0]:
            np.testing.assert_array_equal(new_label, label[:, ::-1])
            flipped += 1
    assert 10 <= flipped <= 30


# === Sizes ===


@both_modes
def test_every_scale_is_drawn(run):
    outputs = run(augmentation.random_scale, *located(40, 52), SEEDS)
    assert {image.shape[:2] for image, _ in outputs} == {
        (int(40 * scale), int(52 * scale)) for scale in (0.5, 0.75, 1, 1.25, 1.5, 1.75, 2)
    }


@pytest.mark.parametrize(
    ("scale_min", "scale_max", "scale_step", "expected"),
    [(1.0, 1.0, 0.25, {100}), (0.8, 1.1, 0.1, {80, 90, 100, 110}), (0.9, 1.1, 0.5, {90})],
)
def test_scales_hit_their_limits(scale_min, scale_max, scale_step, expected):
    function = functools.partial(
        augmentation.random_scale, scale_min=scale_min, scale_max=scale_max, scale_step=scale_step
    )
    outputs = eagerly(function, *located(100, 1), SEEDS)
    assert {round(image.shape[0], -1) for image, _ in outputs} == expected


def test_without_a_step_any_scale_is_drawn():
    function = functools.partial(augmentation.random_scale, scale_step=0.0)
    heights = [image.shape[0] for image, _ in eagerly(function, *located(200, 1), SEEDS)]
    assert len(set(heights)) > 20
    assert 100 <= min(heights) < 150
    assert 350 < max(heights) <= 400


# The sizes of the official `resize_to_range` for these inputs; the last rows are ADE20k's options.
@pytest.mark.parametrize(
    ("size", "limits", "expected"),
    [
        ((60, 40), (50, 100, None), (75, 50)),
        ((15, 30), (50, 100, None), (50, 100)),
        ((15, 50), (50, 100, None), (30, 100)),
        ((60, 40), (50, 98, 8), (81, 57)),
        ((15, 30), (50, 98, 8), (49, 97)),
        ((15, 50), (50, 98, 8), (33, 97)),
        ((15, 50), (30, None, None), (30, 100)),
        ((683, 512), (513, 513, 16), (513, 385)),
        ((512, 683), (513, 513, 16), (385, 513)),
        ((300, 300), (513, 513, 16), (513, 513)),
    ],
)
def test_sizes_within_a_range_are_the_official_ones(size, limits, expected):
    image, label = tf.zeros([*size, 3]), tf.zeros(size, tf.uint8)
    resized_image, resized_label = augmentation.resize_to_range(image, label, *limits)
    assert resized_image.shape == (*expected, 3)
    assert resized_label.shape == expected
    assert resized_label.dtype == tf.uint8


# === Colours ===


@both_modes
def test_color_jitter_matches_numpy(run):
    random = np.random.default_rng(0)
    image = random.uniform(-1, 1, (5, 6, 3)).astype(np.float32)

    def function(image, label, seed):
        return augmentation.color_jitter(image, seed, 0.5), seed

    for (jittered, _), seed in zip(
        run(function, image, located(5, 6)[1], SEEDS[:5]), SEEDS[:5], strict=True
    ):
        brightness, contrast, saturation = tf.random.stateless_uniform([3], seed, 0.5, 1.5).numpy()
        pixels = (image + 1) / 2 * brightness
        mean = np.mean(pixels @ [0.299, 0.587, 0.114])
        pixels = mean + contrast * (pixels - mean)
        grey = (pixels @ [0.299, 0.587, 0.114])[..., None]
        expected = 2 * (grey + saturation * (pixels - grey)) - 1
        np.testing.assert_allclose(jittered, np.clip(expected, -1, 1), atol=1e-5)
        assert np.abs(jittered - image).max() > 0.01


# === All together ===


def full(**changes):
    return functools.partial(
        augmentation.augment,
        options=TrainingOptions(**changes),
        crop_size=33,
        ignore_label=IGNORE,
    )


@both_modes
@pytest.mark.parametrize("size", [(20, 25), (37, 50), (33, 33), (100, 9)])
@pytest.mark.parametrize("changes", [{}, {"min_resize": 33, "max_resize": 49, "resize_factor": 16}])
def test_augmented_pictures_are_aligned_crops(run, size, changes):
    image, label = located(*size)
    for new_image, new_label in run(full(**changes), image, label, SEEDS[:10]):
        assert new_image.shape == (33, 33, 3)
        assert new_label.shape == (33, 33)
        assert new_image.dtype == np.float32
        assert set(np.unique(new_label)) <= {*np.unique(label), IGNORE}
        assert np.all(new_image[new_label == IGNORE] == 0.0)
        if not changes:
            assert misalignment(new_image, new_label) <= 0.5 + 1e-3


def test_data_set_knows_the_shape_of_a_crop():
    def unknown(_):
        image = tf.ensure_shape(tf.zeros([40, 50, 3]), [None, None, 3])
        label = tf.ensure_shape(tf.zeros([40, 50], tf.int64), [None, None])
        return full(color_jitter=0.2)(image, label, tf.constant([0, 0]))

    image, label = tf.data.Dataset.range(1).map(unknown).element_spec
    assert image == tf.TensorSpec([33, 33, 3], tf.float32)
    assert label == tf.TensorSpec([33, 33], tf.int64)


def test_options_turn_operations_off():
    image, label = located(33, 33)
    function = full(scale_min=1.0, scale_max=1.0, flip=False)
    for new_image, new_label in eagerly(function, image, label, SEEDS[:5]):
        np.testing.assert_array_equal(new_image, image)
        np.testing.assert_array_equal(new_label, label)


def test_result_depends_on_the_seed_alone():
    image, label = located()
    function = full(color_jitter=0.3)
    first = list(eagerly(function, image, label, SEEDS[:8]))
    parallel = list(in_tf_data(function, image, label, SEEDS[:8]))
    backwards = list(in_tf_data(function, image, label, SEEDS[:8][::-1]))[::-1]
    for one, two, three in zip(first, parallel, backwards, strict=True):
        np.testing.assert_array_equal(two[0], three[0])
        np.testing.assert_allclose(one[0], two[0], atol=1e-6)
        np.testing.assert_array_equal(one[1], two[1])
        np.testing.assert_array_equal(two[1], three[1])
    assert len({one[0].tobytes() for one in first}) == 8


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_type_of_the_label_is_kept(dtype):
    image, _ = located()
    label = np.ones(image.shape[:2], dtype)
    function = functools.partial(full().func, **{**full().keywords, "ignore_label": 255})
    ((_, new_label),) = eagerly(function, image, label, SEEDS[:1])
    assert new_label.dtype == dtype
    assert set(np.unique(new_label)) <= {1, 255}
