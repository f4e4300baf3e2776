"""As small as a model with the signatures of an exported one can be: it loads in no time.

The class of a pixel is its red modulo the number of classes.
"""

import tensorflow as tf

from components.dataset.records import IMAGE, LABEL
from components.serving import interface
from tests.components.serving.conftest import CLASSES

FILES = tf.TensorSpec([None], tf.string, name=interface.IMAGE_BYTES)
EXAMPLES = tf.TensorSpec([None], tf.string, name=interface.EXAMPLES)
TEXT = tf.TensorSpec([], tf.string)


def classes(file):
    red = tf.io.decode_image(file, channels=3, expand_animations=False)[..., :1]
    return red % CLASSES


def is_picture(file):
    return tf.strings.substr(file, 0, 2) != "th"


def mapped(function, values, spec=TEXT):
    return tf.map_fn(function, values, fn_output_signature=spec)


class Right(tf.Module):
    """One that serves; the others change what it does with the classes or with its answers."""

    def __init__(self):
        super().__init__()
        self.kept = tf.Variable(tf.zeros([0]), shape=[None], trainable=False)

    def pixels(self, ids):
        return ids

    def answers(self, masks, errors):
        return masks, errors

    @tf.function(input_signature=[FILES])
    def serve(self, image_bytes):
        def mask(file):
            encode = lambda: tf.io.encode_png(self.pixels(classes(file)))  # noqa: E731
            return tf.cond(is_picture(file), encode, lambda: "")

        masks = mapped(mask, image_bytes)
        errors = tf.where(masks == "", "expected a picture", "")
        masks, errors = self.answers(masks, errors)
        return {interface.MASK_BYTES: masks, interface.ERROR: errors}

    @tf.function(input_signature=[EXAMPLES])
    def evaluate(self, examples):
        spec = {key: tf.io.FixedLenFeature([], tf.string) for key in (IMAGE, LABEL)}
        parsed = tf.io.parse_example(examples, spec)

        def matrix(files):
            image, label = files
            truth = tf.reshape(tf.io.decode_png(label), [-1])
            pairs = tf.math.confusion_matrix(truth, tf.reshape(classes(image), [-1]), CLASSES)
            return tf.reshape(tf.cast(pairs, tf.int64), [CLASSES**2])

        spec = tf.TensorSpec([CLASSES**2], tf.int64)
        return {interface.CONFUSION_MATRIX: mapped(matrix, (parsed[IMAGE], parsed[LABEL]), spec)}


def save(model: Right, folder, **others) -> str:
    signed = {interface.SERVING: model.serve, interface.EVALUATE: model.evaluate}
    tf.saved_model.save(model, str(folder), signed | others)
    return str(folder)
