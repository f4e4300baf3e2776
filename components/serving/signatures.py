"""The signatures of the exported model, and the export itself.

For TF Serving: `serving_default`, picture files in, PNG masks out;
`serving_masks_and_confidence`, the same with a map of probabilities; `serving_examples`, the same
from records; `serving_tensors` and `serving_logits`, pixels of pictures in, and numbers of each
pixel out. For TensorFlow Model Analysis: `evaluate` and `slices`, serialized records in. All
pictures go through the Transform graph, and all masks are of one making.
"""

import functools
import json
import os
import tempfile
from collections.abc import Sequence

import keras
import tensorflow as tf
import tensorflow_transform as tft

from components.dataset import records
from components.dataset.decoding.image import decode_label
from components.dataset.limits import DEFAULT
from components.serving import interface, masks
from components.serving.exported import identity
from components.serving.versions import EXTRA, MODEL_DESCRIPTION, WEIGHTS
from components.storage import paths
from components.transform import preprocessing
from components.transform.graph import TransformGraph
from models import DeepLabV3Plus, inference
from models.checkpoints import official_variables, save_checkpoint

_FILES = tf.TensorSpec([None], tf.string, name=interface.IMAGE_BYTES)
_EXAMPLES = tf.TensorSpec([None], tf.string, name=interface.EXAMPLES)
_PIXELS = tf.TensorSpec([None, None, None, 3], tf.uint8, name=interface.IMAGE_TENSOR)


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
        self._canvas_size = transform_output.transformed_feature_spec()[preprocessing.IMAGE].shape[
            0
        ]
        self._ignore_label = ignore_label

    @property
    def trained(self) -> DeepLabV3Plus:
        """The network as it was trained, before batch normalization went into its kernels."""
        return self._trained()

    @functools.cached_property
    def _scores(self):
        """The network's small scores of canvases `[B, S, S, 3]`, float32 `[B, h, w, C]`.

        One function of TensorFlow's for all signatures: each would have a network of its own.
        """
        size = self._canvas_size

        @tf.function(input_signature=[tf.TensorSpec([None, size, size, 3])], autograph=False)
        def scores(image: tf.Tensor) -> tf.Tensor:
            shape = self._network().compute_output_shape(image.shape)[1:]
            return tf.cond(
                tf.size(image) > 0,
                lambda: self._network()(image, training=False),
                # Not every fused operation takes no picture at all.
                lambda: tf.zeros([0, *shape], tf.float32),
            )

        return scores

    def _seen(self, scores: tf.Tensor, size: tf.Tensor) -> masks.Seen:
        return masks.Seen(scores, self._canvas_size, size, self.trained.logits_resize)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def _prepare(self, files: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Picture files to canvases, both sizes, and problems; see `preprocessing`."""
        wanted = (
            *(preprocessing.IMAGE, preprocessing.SIZE, preprocessing.ORIGINAL_SIZE),
            preprocessing.PROBLEM,
        )
        features = self._transform({records.IMAGE: files[:, tf.newaxis]}, wanted)
        image, size, original_size, problem = (features[name] for name in wanted)
        return image, size, tf.cast(original_size, tf.int32), problem

    def _answers(self, files: tf.Tensor, *, with_map: bool) -> dict[str, tf.Tensor]:
        """Picture files to masks, each as large as its picture is seen; none fails its batch."""
        image, size, original_size, problem = self._prepare(files)

        def answer(inputs):
            scores, size, original_size, problem = inputs
            seen = self._seen(scores, size)

            def found():
                ids = masks.class_ids(seen, original_size)
                maps = [masks.confidences(seen, original_size)] if with_map else []
                return (
                    masks.present(ids, self._num_classes),
                    masks.mean_confidence(seen, original_size),
                    *(tf.io.encode_png(plane[..., tf.newaxis]) for plane in (ids, *maps)),
                )

            nothing = tf.fill([self._num_classes], -1), 0.0, *([b""] * (1 + with_map))
            return tf.cond(problem == "", found, lambda: nothing)

        classes, confidence, *files = tf.map_fn(
            answer,
            (self._scores(image), size, original_size, problem),
            fn_output_signature=(tf.int32, tf.float32, *([tf.string] * (1 + with_map))),
        )
        return {
            **dict(zip((interface.MASK_BYTES, interface.CONFIDENCE_BYTES), files, strict=False)),
            interface.ERROR: problem,
            interface.CLASS_IDS: classes,
            interface.MEAN_CONFIDENCE: confidence,
        }

    @tf.function(input_signature=[_FILES])
    def serve(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Picture files to masks."""
        return self._answers(image_bytes, with_map=False)

    @tf.function(input_signature=[_FILES])
    def serve_with_confidence(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Picture files to masks, and to maps of how sure the network is of each pixel."""
        return self._answers(image_bytes, with_map=True)

    @tf.function(input_signature=[_EXAMPLES])
    def serve_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Serialized records, which need no label, to what `serve` says of their pictures."""
        spec = {records.IMAGE: self._raw_feature_spec[records.IMAGE]}
        pictures = tf.io.parse_example(examples, spec)[records.IMAGE]
        return self.serve(tf.reshape(pictures, [-1]))

    @tf.function(input_signature=[_PIXELS])
    def _see(self, pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Pictures of one size to their scores, and to the size that they have on the canvas."""
        # As files, and not compressed: the Transform graph has one way in.
        files = tf.map_fn(
            lambda picture: tf.io.encode_png(picture, compression=0),
            pixels,
            fn_output_signature=tf.TensorSpec([], tf.string),
        )
        image, size, _, problem = self._prepare(files)
        fits = tf.debugging.Assert(tf.reduce_all(problem == ""), [problem])
        with tf.control_dependencies([fits]):
            return self._scores(image), size

    def _map(self, function, pixels: tf.Tensor, specs: Sequence[tf.TensorSpec]) -> list[tf.Tensor]:
        """What `function` makes of each picture: of what is seen of it, and of its size."""
        count, height, width, _ = tf.unstack(tf.shape(pixels))
        scores, sizes = self._see(pixels)

        def answers() -> list[tf.Tensor]:
            return tf.map_fn(
                lambda one: function(self._seen(*one), tf.stack([height, width])),
                (scores, sizes),
                fn_output_signature=[*specs],
            )

        def nothing() -> list[tf.Tensor]:
            return [tf.zeros([0, height, width, *spec.shape[2:]], spec.dtype) for spec in specs]

        # The planes of no picture would have no size.
        return tf.cond(count > 0, answers, nothing)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None, 3], tf.uint8, name=interface.IMAGE_TENSOR)
        ]
    )
    def serve_tensors(self, image_tensor: tf.Tensor) -> dict[str, tf.Tensor]:
        """Pixels to class ids and probabilities, at the pictures' own size.

        Raises:
            tf.errors.InvalidArgumentError: the pictures have no pixel, or too many.
        """

        def classify(seen: masks.Seen, size: tf.Tensor):
            ids = tf.cast(masks.class_ids(seen, size), tf.int64)
            return [ids, tf.nn.softmax(masks.enlarged(seen, size))]

        planes = [tf.TensorSpec([None, None], tf.int64), self._logits_spec]
        ids, probabilities = self._map(classify, image_tensor, planes)
        return {interface.PREDICTIONS: ids, interface.PROBABILITIES: probabilities}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None, 3], tf.uint8, name=interface.IMAGE_TENSOR)
        ]
    )
    def serve_logits(self, image_tensor: tf.Tensor) -> dict[str, tf.Tensor]:
        """Pixels to logits, for whoever blends those of several pictures; see `serve_tensors`."""
        (logits,) = self._map(
            lambda seen, size: [masks.enlarged(seen, size)], image_tensor, [self._logits_spec]
        )
        return {interface.LOGITS: logits}

    @property
    def _logits_spec(self) -> tf.TensorSpec:
        return tf.TensorSpec([None, None, self._num_classes])

    @tf.function(input_signature=[_EXAMPLES])
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
                    self._seen(scores[index], size[index]), tf.shape(label.pixels)[:2]
                )
                return masks.confusion(
                    label.pixels[..., 0], ids, self._num_classes, self._ignore_label
                )

            return tf.cond(label.problem == "", counted, lambda: nothing)

        (matrix, out_of_range), _ = preprocessing.map_tolerant(
            count, tf.reshape(raw[records.LABEL], [-1]), nothing
        )
        return {
            interface.CONFUSION_MATRIX: tf.ensure_shape(matrix, [None, cells]),
            interface.LABELS_OUT_OF_RANGE: out_of_range,
            interface.UNDECODABLE: tf.cast(features[preprocessing.PROBLEM] != "", tf.int64),
        }

    @tf.function(input_signature=[_EXAMPLES])
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
            interface.SERVING: served.serve,
            interface.MASKS_AND_CONFIDENCE: served.serve_with_confidence,
            interface.FROM_EXAMPLES: served.serve_examples,
            interface.FROM_TENSORS: served.serve_tensors,
            interface.LOGITS_FROM_TENSORS: served.serve_logits,
            interface.EVALUATE: served.evaluate,
            interface.SLICES: served.slices,
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
