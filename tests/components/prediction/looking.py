"""A model with the signatures of an exported one, whose network looks a known number of pixels far.

It has no canvas of its own: `serving_default` answers for the whole picture at once, however large
it is, and is what tiles are compared with. A file that starts with `th` is no picture to it.
"""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

import schemas
from components.serving import interface, versions

CLASSES = 7


class Looking(tf.Module):
    """One convolution: each class adds up what lies within `radius` pixels.

    Args:
        radius: in pixels, each way.
        canvas: side that tiles have.
    """

    def __init__(self, radius: int, canvas: int):
        super().__init__()
        side = 2 * radius + 1
        kernel = np.random.default_rng(3).normal(size=(side, side, 3, CLASSES)) / side
        self.kernel = tf.Variable(kernel, dtype=tf.float32)
        self.canvas = canvas

    def scores(self, images):
        return tf.nn.conv2d(tf.cast(images, tf.float32) / 64 - 2, self.kernel, 1, "SAME")

    def answer(self, files):
        def one(file):
            def found():
                image = tf.io.decode_image(file, channels=3, expand_animations=False)
                probability = tf.nn.softmax(self.scores(image[tf.newaxis])[0])
                sure = tf.reduce_max(probability, -1)[..., tf.newaxis]
                mask = tf.cast(tf.argmax(probability, -1)[..., tf.newaxis], tf.uint8)
                return (
                    tf.io.encode_png(mask),
                    tf.io.encode_png(tf.cast(tf.round(sure * 255), tf.uint8)),
                    tf.reduce_mean(sure),
                )

            is_picture = tf.strings.substr(file, 0, 2) != "th"
            return tf.cond(is_picture, found, lambda: (b"", b"", 0.0))

        mask, confidence, mean = tf.map_fn(
            one, files, fn_output_signature=(tf.string, tf.string, tf.float32)
        )
        return {
            interface.MASK_BYTES: mask,
            interface.ERROR: tf.where(mask == "", "expected a picture", ""),
            interface.MEAN_CONFIDENCE: mean,
            interface.CONFIDENCE_BYTES: confidence,
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def serve(self, image_bytes):
        answer = self.answer(image_bytes)
        del answer[interface.CONFIDENCE_BYTES]
        return answer

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def serve_confidence(self, image_bytes):
        return self.answer(image_bytes)

    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name="ImageTensor")]
    )
    def serve_logits(self, images):
        return {interface.LOGITS: self.scores(images)}


def save(folder: Path, *, radius: int, canvas: int, is_old: bool = False) -> str:
    """Writes the model and its description; an old one has but `serving_default`."""
    looking = Looking(radius, canvas)
    others = {
        interface.MASKS_AND_CONFIDENCE: looking.serve_confidence,
        interface.LOGITS_FROM_TENSORS: looking.serve_logits,
    }
    signed = {interface.SERVING: looking.serve} | ({} if is_old else others)
    tf.saved_model.save(looking, str(folder), signatures=signed)
    description = {
        "dataset": "sample",
        "classes": list(schemas.load("sample").class_names),
        "model": {},
        "identity": "looking",
        "canvas_size": canvas,
    }
    extra = folder / versions.EXTRA
    extra.mkdir()
    (extra / versions.MODEL_DESCRIPTION).write_text(json.dumps(description))
    return str(folder)
