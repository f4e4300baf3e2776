"""The files for phones beside the exported model, on the same records.

Counted as the Evaluator counts: scores are enlarged to the picture's own size, labels are those of
the records, all pictures make one confusion matrix. One picture is in memory at a time.
"""

import random
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from components.dataset import records
from components.dataset.decoding.image import decode_label
from components.dataset.limits import DEFAULT
from components.errors import DataError
from components.serving import interface, masks
from components.tflite.interpreter import Interpreter
from components.transform import preprocessing
from components.transform.graph import TransformGraph
from models import metrics
from models.layers import ResizeBilinear


def draw(examples: Iterable[bytes], count: int, seed: int) -> list[bytes]:
    """Records drawn at random, each as likely as any other; all where there are fewer.

    Args:
        examples: serialized records, read once; no more than `count` are kept.
        count: at least 1.
        seed: the same gives the same records.
    """
    generator, drawn = random.Random(seed), []
    for index, example in enumerate(examples):
        place = index if index < count else generator.randrange(index + 1)
        if place < count:
            drawn[place : place + 1] = [example]
    return drawn


class Prepare:
    """Serialized records to canvases, by the Transform graph that training and serving have."""

    def __init__(self, transform_output: tft.TFTransformOutput):
        graph, spec = TransformGraph(transform_output), transform_output.raw_feature_spec()

        @tf.function(input_signature=[tf.TensorSpec([1], tf.string)])
        def prepare(example):
            raw = tf.io.parse_example(example, spec)
            outputs = (preprocessing.IMAGE, preprocessing.SIZE, preprocessing.PROBLEM)
            features = graph(raw, outputs)
            files = {name: raw[name] for name in (records.IMAGE, records.LABEL)}
            return *(features[name] for name in outputs), files

        self._prepare = prepare
        image, *_ = prepare.get_concrete_function().structured_outputs
        self.canvas_size = image.shape[1]
        """Side S of the canvas, in pixels."""

    def __call__(self, example: bytes) -> tuple[np.ndarray, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Pixels 0 to 255, float32 `[1, S, S, 3]`; size inside; files of picture and label.

        Raises:
            DataError: the picture cannot be decoded, which the data gate should have said.
        """
        image, size, problem, files = self._prepare(tf.constant([example]))
        if problem[0] != b"":
            raise DataError(
                f"expected a picture that can be decoded; got: {problem[0].numpy().decode()}; to "
                "fix, run the data gate before it"
            )
        picture, label = (tf.reshape(files[name], []) for name in (records.IMAGE, records.LABEL))
        return (image.numpy() + 1.0) * 127.5, size[0], picture, label

    def canvases(self, examples: Iterable[bytes]) -> Iterator[np.ndarray]:
        """The pixels alone, one after the other."""
        return (self(example)[0] for example in examples)


class Judge:
    """Adds up what the exported model and each file say of pictures.

    Args:
        model: folder of the SavedModel.
        prepare: of its Transform graph.
        resize: the network's last layer, for how it enlarges.
        networks: the files, by kind.
        num_classes: of the data set.
        ignore_label: pixels of this label are not counted.
    """

    def __init__(
        self,
        model: str,
        prepare: Prepare,
        resize: ResizeBilinear,
        networks: Mapping[str, Interpreter],
        *,
        num_classes: int,
        ignore_label: int,
    ):
        # The object that holds the signatures must live as long as they are called.
        self._model = tf.saved_model.load(model)
        self._serve = self._model.signatures[interface.SERVING]
        self._prepare = prepare
        self._networks = networks
        cells = num_classes * num_classes
        self._exported = np.zeros(cells, np.int64)
        self._matrices = {kind: np.zeros(cells, np.int64) for kind in networks}
        self._agreeing = dict.fromkeys(networks, 0)
        self._pixels = 0
        self._shape = (num_classes, num_classes)
        ids_HW = tf.TensorSpec([None, None], tf.uint8)

        @tf.function(input_signature=[ids_HW, ids_HW])
        def confusion(label, ids):
            matrix, _ = masks.confusion(label, ids, num_classes, ignore_label)
            return matrix

        scores_HWC = tf.TensorSpec([None, None, num_classes], tf.float32)
        number, two = tf.TensorSpec([], tf.int32), tf.TensorSpec([2], tf.int64)

        # One trace for pictures of all sizes: each more would take time, and stay in memory.
        @tf.function(input_signature=[scores_HWC, number, two, ids_HW])
        def classes(scores, canvas_size, size, label):
            seen = masks.Seen(scores, canvas_size, size, resize)
            return masks.class_ids(seen, tf.shape(label))

        self._confusion = confusion
        self._classes = classes

    def add(self, example: bytes) -> None:
        """Judges one serialized record.

        Raises:
            DataError: its picture cannot be decoded.
        """
        pixels, size, picture, label = self._prepare(example)
        label = decode_label(label, DEFAULT).pixels[..., 0]
        answer = self._serve(tf.reshape(picture, [1]))
        exported = tf.io.decode_png(answer[interface.MASK_BYTES][0])[..., 0]
        self._exported += self._confusion(label, exported).numpy()
        self._pixels += tf.size(label).numpy()
        for kind, network in self._networks.items():
            scores = tf.constant(network.scores(pixels)[0])
            ids = self._classes(scores, tf.constant(pixels.shape[1]), size, label)
            self._matrices[kind] += self._confusion(label, ids).numpy()
            self._agreeing[kind] += tf.math.count_nonzero(ids == exported).numpy()

    @property
    def exported_mean_iou(self) -> float:
        """Of the exported model, over all pictures so far."""
        return float(metrics.mean_iou(self._exported.reshape(self._shape)))

    def mean_iou(self, kind: str) -> float:
        """Of a file, over all pictures so far."""
        return float(metrics.mean_iou(self._matrices[kind].reshape(self._shape)))

    def agreement(self, kind: str) -> float:
        """Share of all pixels, labelled or not, whose class is that of the exported model."""
        return float(self._agreeing[kind] / self._pixels)
