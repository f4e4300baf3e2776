"""The signatures of the exported model, and the export itself.

`serving_default`: picture files in, PNG masks out, for TF Serving. `evaluate` and `slices`:
serialized records in, for TensorFlow Model Analysis. All three go through the Transform graph.
"""

import json
import os
import tempfile

import keras
import tensorflow as tf
import tensorflow_transform as tft

from components.dataset import records
from components.dataset.decoding.image import decode_label
from components.dataset.limits import DEFAULT
from components.serving import masks
from components.serving.exported import identity
from components.serving.versions import EXTRA, MODEL_DESCRIPTION, WEIGHTS
from components.storage import paths
from components.transform import preprocessing
from components.transform.graph import TransformGraph
from models import DeepLabV3Plus, inference
from models.checkpoints import official_variables, save_checkpoint

SERVING = "serving_default"
EVALUATE = "evaluate"
SLICES = "slices"

# Inputs and outputs. Names that end in `_bytes` travel as base64 in TF Serving's REST interface.
IMAGE_BYTES = "image_bytes"  # string [B], JPEG, PNG, GIF or BMP files of any sizes
MASK_BYTES = "mask_bytes"  # string [B], grey PNG of class ids, as large as the picture
ERROR = "error"  # string [B], empty where the mask is there, else what was expected and what came
CLASS_IDS = "class_ids"  # int32 [B, C], the classes in the mask, growing, then -1
MEAN_CONFIDENCE = "mean_confidence"  # float32 [B], probability of the chosen class; 0 for an error
EXAMPLES = "examples"  # string [B], serialized tf.train.Example with the official keys
CONFUSION_MATRIX = "confusion_matrix"  # int64 [B, C * C], rows truth, columns prediction
LABELS_OUT_OF_RANGE = "labels_out_of_range"  # int64 [B], pixels
UNDECODABLE = "undecodable"  # int64 [B], 1 where the picture could not be decoded


class ServedModel(tf.Module):
    """Transform graph, network and mask encoding in one exportable module.

    A Keras 3 model tracked by a `tf.Module` exports with a variable that TensorFlow's C++ loader
    cannot find, although every Python check passes (tensorflow/serving issues 2226, 2250). So the
    module holds the variables themselves and calls the network through a closure. They are those
    of the folded network, see `models.inference`.
    """

    def __init__(
        self,
        model: DeepLabV3Plus,
        transform_output: tft.TFTransformOutput,
        *,
        num_classes: int,
        ignore_label: int,
    ):
        super().__init__(name="deeplab")
        network = inference.fold(model)
        self._variables = [variable.value for variable in network.variables]
        self._network = lambda: network
        self._trained = lambda: model
        self._transform = TransformGraph(transform_output)
        self._raw_feature_spec = transform_output.raw_feature_spec()
        self._num_classes = num_classes
        self._ignore_label = ignore_label

    @property
    def trained(self) -> DeepLabV3Plus:
        """The network as it was trained, before batch normalization went into its kernels."""
        return self._trained()

    def _scores(self, image: tf.Tensor) -> tf.Tensor:
        """The network's small scores of canvases, float32 `[B, h, w, C]`."""
        shape = self._network().compute_output_shape(image.shape)[1:]
        return tf.cond(
            tf.size(image) > 0,
            lambda: self._network()(image, training=False),
            # Not every fused operation takes no picture at all.
            lambda: tf.zeros([0, *shape], tf.float32),
        )

    def _seen(self, scores: tf.Tensor, canvas: tf.Tensor, size: tf.Tensor) -> masks.Seen:
        return masks.Seen(scores, canvas.shape[-2], size, self.trained.logits_resize)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=IMAGE_BYTES)])
    def serve(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Picture files to masks, each as large as its picture is seen; none fails its batch."""
        features = self._transform(
            {records.IMAGE: image_bytes[:, tf.newaxis]},
            (
                *(preprocessing.IMAGE, preprocessing.SIZE, preprocessing.ORIGINAL_SIZE),
                preprocessing.PROBLEM,
            ),
        )
        image = features[preprocessing.IMAGE]

        def answer(inputs):
            scores, size, original_size, problem = inputs
            seen, original_size = self._seen(scores, image, size), tf.cast(original_size, tf.int32)

            def found():
                ids = masks.class_ids(seen, original_size)
                return (
                    tf.io.encode_png(ids[..., tf.newaxis]),
                    masks.present(ids, self._num_classes),
                    masks.mean_confidence(seen, original_size),
                )

            nothing = (b"", tf.fill([self._num_classes], -1), 0.0)
            return tf.cond(problem == "", found, lambda: nothing)

        mask, classes, confidence = tf.map_fn(
            answer,
            (
                self._scores(image),
                *(features[preprocessing.SIZE], features[preprocessing.ORIGINAL_SIZE]),
                features[preprocessing.PROBLEM],
            ),
            fn_output_signature=(tf.string, tf.int32, tf.float32),
        )
        return {
            MASK_BYTES: mask,
            ERROR: features[preprocessing.PROBLEM],
            CLASS_IDS: classes,
            MEAN_CONFIDENCE: confidence,
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=EXAMPLES)])
    def evaluate(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Serialized records to one confusion matrix a picture, over the labelled pixels.

        The masks are those of `serve`, pixel by pixel, and the labels those of the records.
        """
        raw = tf.io.parse_example(examples, self._raw_feature_spec)
        features = self._transform(
            raw, (preprocessing.IMAGE, preprocessing.SIZE, preprocessing.PROBLEM)
        )
        image, size = features[preprocessing.IMAGE], features[preprocessing.SIZE]
        scores = self._scores(image)

        cells = self._num_classes * self._num_classes
        nothing = tf.zeros([cells], tf.int64), tf.constant(0, tf.int64)

        def count(index, file):
            label = decode_label(file, DEFAULT)

            def counted():
                # As large as the picture, or the data gate has refused it.
                ids = masks.class_ids(
                    self._seen(scores[index], image, size[index]), tf.shape(label.pixels)[:2]
                )
                return masks.confusion(
                    label.pixels[..., 0], ids, self._num_classes, self._ignore_label
                )

            return tf.cond(label.problem == "", counted, lambda: nothing)

        (matrix, out_of_range), _ = preprocessing.map_tolerant(
            count, tf.reshape(raw[records.LABEL], [-1]), nothing
        )
        return {
            CONFUSION_MATRIX: tf.ensure_shape(matrix, [None, cells]),
            LABELS_OUT_OF_RANGE: out_of_range,
            UNDECODABLE: tf.cast(features[preprocessing.PROBLEM] != "", tf.int64),
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=EXAMPLES)])
    def slices(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """What the Evaluator can slice by: string `[B, 1]`, from the record's height and width."""
        spec = {key: self._raw_feature_spec[key] for key in (records.HEIGHT, records.WIDTH)}
        parsed = tf.io.parse_example(examples, spec)
        height, width = parsed[records.HEIGHT], parsed[records.WIDTH]
        longest = tf.maximum(height, width)
        return {
            "orientation": tf.where(
                width > height, "landscape", tf.where(width < height, "portrait", "square")
            ),
            "size": tf.where(
                longest <= 128, "up to 128", tf.where(longest <= 512, "129 to 512", "over 512")
            ),
        }


def export(served: ServedModel, folder: str, description: dict) -> None:
    """Writes the SavedModel, and where TF Serving ignores it what it is, and its weights.

    Those that it serves with have no batch normalization any more, which further training needs.

    Args:
        served: the model.
        folder: to make, here or in a store.
        description: JSON, with the `classes` and the options of the network as `model`; see
            `exported.read_description` for what is written with it.
    """
    tf.saved_model.save(
        served,
        folder,
        signatures={
            SERVING: served.serve,
            EVALUATE: served.evaluate,
            SLICES: served.slices,
        },
    )
    weights = {
        name: keras.ops.convert_to_numpy(variable)
        for name, variable in official_variables(served.trained).items()
    }
    extra = paths.join(folder, EXTRA)
    with tempfile.TemporaryDirectory() as local:
        save_checkpoint(served.trained, os.path.join(local, WEIGHTS))
        paths.copy_tree(local, extra)
    whole = description | {"identity": identity(weights, description)}
    paths.write_text(paths.join(extra, MODEL_DESCRIPTION), json.dumps(whole, indent=2))
