"""Augmentation of one picture and its label map, in the official order (`input_preprocess.py`).

image_HWC is float32 [H, W, 3] in [-1, 1], where 0 is the mean pixel 127.5; label_HW is integer
[H, W] of any type, which is kept. Every operation is a pure function of its arguments. A seed is an
integer tensor [2]; with one for each picture, as the run's seed and the picture's number, a data
set comes out the same in any order and with any number of parallel calls.

Both maps are resized with half-pixel centres: output pixel x samples the input at
(x + 0.5) * input / output - 0.5, bilinearly or at the nearest pixel. So they stay aligned to half
an input pixel. (The official code aligns the corners of both instead.)
"""

import tensorflow as tf

from components.trainer.options import TrainingOptions

# Share of red, green and blue in grey (ITU-R BT.601).
_GREY = (0.299, 0.587, 0.114)


def augment(
    image_HWC: tf.Tensor,
    label_HW: tf.Tensor,
    seed: tf.Tensor,
    options: TrainingOptions,
    crop_size: int,
    ignore_label: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Resizes to a range, changes colours, scales, pads, crops and flips, as the options say.

    Returns:
        float32 `[crop_size, crop_size, 3]` and the label's type `[crop_size, crop_size]`.
    """
    color_seed, scale_seed, crop_seed, flip_seed = tf.unstack(tf.random.split(seed, 4))
    if options.min_resize is not None:
        image_HWC, label_HW = resize_to_range(
            image_HWC, label_HW, options.min_resize, options.max_resize, options.resize_factor
        )
    if options.color_jitter:
        image_HWC = color_jitter(image_HWC, color_seed, options.color_jitter)
    image_HWC, label_HW = random_scale(
        image_HWC, label_HW, scale_seed, options.scale_min, options.scale_max, options.scale_step
    )
    image_HWC, label_HW = pad_to(image_HWC, label_HW, crop_size, ignore_label)
    image_HWC, label_HW = random_crop(image_HWC, label_HW, crop_seed, crop_size)
    if options.flip:
        image_HWC, label_HW = random_flip(image_HWC, label_HW, flip_seed)
    return image_HWC, label_HW


def resize_to_range(
    image_HWC: tf.Tensor,
    label_HW: tf.Tensor,
    min_size: int,
    max_size: int | None = None,
    factor: int | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Resizes the shorter side to `min_size`, or, if the longer one gets too long, that to the max.

    The aspect is kept but for rounding: sides are rounded down, then up to a multiple of `factor`
    plus one, for which `max_size` is rounded down before.

    Args:
        image_HWC: the picture.
        label_HW: its labels.
        min_size: pixels of the shorter side.
        max_size: most pixels of the longer side; None is no limit.
        factor: usually the output stride; None rounds no further.
    """
    size = tf.shape(label_HW)
    # In whole numbers, for in float32 a side may come out one pixel short.
    resized = size * min_size // tf.reduce_min(size)
    if max_size is not None:
        if factor is not None:
            max_size -= (max_size - 1) % factor
        shrunk = size * max_size // tf.reduce_max(size)
        resized = tf.where(tf.reduce_max(resized) > max_size, shrunk, resized)
    if factor is not None:
        resized += (1 - resized) % factor
    # Photographs may shrink by far more than by random scaling, and would be sampled without.
    return _resize(image_HWC, label_HW, resized, antialias=True)


def color_jitter(image_HWC: tf.Tensor, seed: tf.Tensor, strength: float) -> tf.Tensor:
    """Multiplies brightness, contrast and saturation by a factor each in [1 - s, 1 + s].

    Contrast is the distance from the picture's mean grey, saturation that from a pixel's own.
    Before padding, so that padded pixels keep the mean value. The result is clipped to [-1, 1].
    """
    factors = tf.random.stateless_uniform([3], seed, 1.0 - strength, 1.0 + strength)
    brightness, contrast, saturation = tf.unstack(factors)
    pixels = (image_HWC + 1.0) * (0.5 * brightness)
    mean = tf.reduce_mean(_grey(pixels))
    pixels = mean + contrast * (pixels - mean)
    grey = _grey(pixels)
    pixels = grey + saturation * (pixels - grey)
    return tf.clip_by_value(2.0 * pixels - 1.0, -1.0, 1.0)


def random_scale(
    image_HWC: tf.Tensor,
    label_HW: tf.Tensor,
    seed: tf.Tensor,
    scale_min: float = 0.5,
    scale_max: float = 2.0,
    scale_step: float = 0.25,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Resizes both sides by one factor out of min, min + step, … max, each as likely.

    With a step of 0 any factor between the two is as likely. Sides are rounded down.
    """
    if scale_step:
        # The small addend keeps the last factor where the quotient is just below a whole number.
        count = int((scale_max - scale_min) / scale_step + 1e-6) + 1
        index = tf.random.stateless_uniform([], seed, 0, count, tf.int32)
        scale = scale_min + scale_step * tf.cast(index, tf.float32)
    else:
        scale = tf.random.stateless_uniform([], seed, scale_min, scale_max)
    size = tf.cast(tf.cast(tf.shape(label_HW), tf.float32) * scale, tf.int32)
    return _resize(image_HWC, label_HW, tf.maximum(size, 1))


def pad_to(
    image_HWC: tf.Tensor, label_HW: tf.Tensor, size: int, ignore_label: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Pads bottom and right until both sides have at least `size` pixels.

    The picture is padded with the mean pixel 0, the label map with `ignore_label`.
    """
    missing = tf.maximum(size - tf.shape(label_HW), 0)
    padding = tf.stack([[0, 0], missing], axis=1)
    image_HWC = tf.pad(image_HWC, tf.concat([padding, [[0, 0]]], axis=0))
    ignore = tf.cast(ignore_label, label_HW.dtype)
    return image_HWC, tf.pad(label_HW, padding, constant_values=ignore)


def random_crop(
    image_HWC: tf.Tensor, label_HW: tf.Tensor, seed: tf.Tensor, size: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Cuts out `size` by `size` pixels, each place as likely; both sides must have as many."""
    places = tf.cast(tf.shape(label_HW) - size + 1, tf.float32)
    top, left = tf.unstack(tf.cast(tf.random.stateless_uniform([2], seed) * places, tf.int32))
    image = tf.slice(image_HWC, [top, left, 0], [size, size, 3])
    label = tf.slice(label_HW, [top, left], [size, size])
    return tf.ensure_shape(image, [size, size, 3]), tf.ensure_shape(label, [size, size])


def random_flip(
    image_HWC: tf.Tensor, label_HW: tf.Tensor, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mirrors left to right with a probability of a half."""
    return tf.cond(
        tf.random.stateless_uniform([], seed) < 0.5,
        lambda: (tf.reverse(image_HWC, [1]), tf.reverse(label_HW, [1])),
        lambda: (image_HWC, label_HW),
    )


def _resize(image_HWC, label_HW, size, antialias: bool = False):
    image = tf.image.resize(image_HWC, size, "bilinear", antialias=antialias)
    label = tf.image.resize(label_HW[..., tf.newaxis], size, "nearest")
    return image, label[..., 0]


def _grey(pixels_HWC):
    return tf.reduce_sum(pixels_HWC * _GREY, axis=-1, keepdims=True)
