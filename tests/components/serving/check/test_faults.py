"""Models with one fault each, which the serving check has to find.

They are small ones; what the check makes of a network is tested beside.
"""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from components.dataset.records import IMAGE
from components.errors import ServingError
from components.serving import interface, warm_up
from components.serving.check import checks
from components.serving.check.options import ServingOptions
from components.storage import tfrecords
from tests.components.serving.conftest import CLASSES, IGNORE
from tests.components.serving.small_model import EXAMPLES, FILES, Right, mapped, save

pytestmark = pytest.mark.slow


class Shuffled(Right):
    def pixels(self, ids):
        return (ids + 1) % CLASSES


class UnknownClass(Right):
    def pixels(self, ids):
        return ids + CLASSES


class WrongSize(Right):
    def pixels(self, ids):
        return ids[1:]


class InColours(Right):
    def pixels(self, ids):
        return tf.tile(ids, [1, 1, 3])


class NoPng(Right):
    def answers(self, masks, errors):
        return tf.where(masks == "", "", "mask"), errors


class MaskOfNothing(Right):
    def answers(self, masks, errors):
        return masks, tf.fill(tf.shape(errors), "")


class RefusingAll(Right):
    def answers(self, masks, errors):
        return tf.fill(tf.shape(errors), ""), tf.fill(tf.shape(errors), "too large")


class OneAnswerForAll(Right):
    def answers(self, masks, errors):
        return masks[:1], errors[:1]


class FailingOnOne(Right):
    """One bad file fails its batch."""

    def answers(self, masks, errors):
        with tf.control_dependencies([tf.debugging.assert_equal(errors, "")]):
            return tf.identity(masks), errors


class AnotherAlone(Right):
    """Pictures that come alone get another mask than in a batch."""

    def answers(self, masks, errors):
        black = tf.io.encode_png(tf.zeros([40, 50, 1], tf.uint8))
        return tf.where(tf.size(masks) == 1, tf.fill(tf.shape(masks), black), masks), errors


class Leaking(Right):
    """Keeps 20 MB of every request."""

    def answers(self, masks, errors):
        kept = self.kept.assign(tf.concat([self.kept, tf.ones([5_000_000])], 0))
        with tf.control_dependencies([kept]):
            return tf.identity(masks), errors


class Slow(Right):
    """Computes for long what nobody asked for."""

    def answers(self, masks, errors):
        matrix = tf.random.uniform([700, 700])
        for _ in tf.range(100):
            matrix = tf.linalg.l2_normalize(matrix @ matrix)
        with tf.control_dependencies([tf.debugging.assert_all_finite(matrix, "")]):
            return tf.identity(masks), errors


def check(model: str, examples, warm_up_requests=b"", **options) -> checks.Measured:
    serialized = [example.serialize() for example in examples]
    asked = ServingOptions(requests=4, timeout_seconds=120).replace(**options)
    return checks.check_serving(
        model, serialized, CLASSES, IGNORE, asked, warm_up_requests=warm_up_requests
    )


def test_without_a_fault_it_serves(examples, tmp_path):
    pixels = tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")
    tensors = tf.function(lambda images: {"first": images[:, 0, 0]}, [pixels])
    measured = check(save(Right(), tmp_path / "model", tensors=tensors), examples)
    assert measured.signatures == ["evaluate", "serving_default", "tensors"]
    assert measured.load.growth_mb < 20


@pytest.mark.parametrize(
    ("kind", "message", "limits"),
    [
        (Shuffled, "masks with the classes that the evaluation has judged; got .* % of a", {}),
        (UnknownClass, "expected classes 0-6 in a mask; got", {}),
        (WrongSize, r"mask of height and width \(40, 50\); got \(39, 50\)", {}),
        (InColours, r"grey mask .* \(40, 50\); got \(40, 50, 3\)", {}),
        (NoPng, "expected a PNG as a mask; got b'mask'", {}),
        (MaskOfNothing, "expected an error and no mask for a file that is no picture", {}),
        (RefusingAll, "expected a mask for a picture of the data; got too large", {}),
        (OneAnswerForAll, r"as object of shape \[-1\] for 4 inputs; got .* shape \[1\]", {}),
        (FailingOnOne, r"model to answer in a server's process; got: .*INVALID_ARGUMENT", {}),
        (AnotherAlone, "expected the same mask by REST and by gRPC", {}),
        (Leaking, r"growth of memory within 40 MB, by serving\.max_growth", {"max_growth_mb": 40}),
        (Slow, r"an answer within 0\.02 s, by serving\.max_l", {"max_latency_seconds": 0.02}),
        (Right, r"memory within 200 MB, by serving\.max_memory_mb", {"max_memory_mb": 200}),
    ],
)
def test_one_fault_is_enough(kind, message, limits, examples, tmp_path):
    with pytest.raises(ServingError, match=f"(?s){message}"):
        check(save(kind(), tmp_path / "model"), examples, **limits)


def test_requests_that_warm_a_server_up_are_answered_or_refuse_the_model(examples, tmp_path):
    model = save(Right(), tmp_path / "model")
    serialized = [example.serialize() for example in examples]
    content = warm_up.requests(model, serialized, (1, 2))
    check(model, examples, content)
    file = tmp_path / "requests"
    file.write_bytes(content)
    logs = [PredictionLog.FromString(record) for record in tfrecords.read(file)]
    logs[2].predict_log.request.model_spec.signature_name = "gone"
    with tfrecords.Writer(file) as writer:
        for log in logs:
            writer.write(log.SerializeToString())
    with pytest.raises(ServingError, match="in request 3 of the warm-up, or a server refuses the"):
        check(model, examples, file.read_bytes())


def others(moved: int = 0, cut: int = 0) -> dict:
    """The other signatures, from the class ids `moved` on, and maps `cut` shorter than masks."""
    right = Right()

    def of_files(files):
        answer = right.serve(files)
        encode = lambda ids: tf.io.encode_png((ids + moved) % CLASSES)  # noqa: E731
        decoded = lambda mask: encode(tf.io.decode_png(mask, channels=1))  # noqa: E731
        shorter = lambda mask: tf.io.encode_png(tf.io.decode_png(mask, 1)[cut:])  # noqa: E731
        masks = answer[interface.MASK_BYTES]
        return [
            mapped(lambda mask, f=f: tf.cond(mask == "", lambda: "", lambda: f(mask)), masks)
            for f in (decoded, shorter)
        ] + [answer[interface.ERROR]]

    def with_maps(image_bytes):
        names = interface.MASK_BYTES, interface.CONFIDENCE_BYTES, interface.ERROR
        return dict(zip(names, of_files(image_bytes), strict=True))

    def of_records(examples):
        spec = {IMAGE: tf.io.FixedLenFeature([], tf.string)}
        masks, _, errors = of_files(tf.io.parse_example(examples, spec)[IMAGE])
        return {interface.MASK_BYTES: masks, interface.ERROR: errors}

    def ids(pixels):
        return (pixels[..., 0] % CLASSES + moved) % CLASSES

    def of_pixels(pixels):
        return {interface.PREDICTIONS: tf.cast(ids(pixels), tf.int64)}

    def scores(pixels):
        return {interface.LOGITS: tf.one_hot(ids(pixels), CLASSES)}

    pixels = tf.TensorSpec([None, None, None, 3], tf.uint8, name=interface.IMAGE_TENSOR)
    functions = {
        interface.MASKS_AND_CONFIDENCE: (with_maps, FILES),
        interface.FROM_EXAMPLES: (of_records, EXAMPLES),
        interface.FROM_TENSORS: (of_pixels, pixels),
        interface.LOGITS_FROM_TENSORS: (scores, pixels),
    }
    return {n: tf.function(function, [spec]) for n, (function, spec) in functions.items()}


@pytest.fixture
def lossless(examples):
    """The small model decodes JPEG by other options than the project."""

    def as_png(file: bytes) -> bytes:
        return tf.io.encode_png(tf.io.decode_image(file, channels=3)).numpy()

    return [dataclasses.replace(example, image=as_png(example.image)) for example in examples]


def test_signatures_that_agree_serve(lossless, tmp_path):
    measured = check(save(Right(), tmp_path / "model", **others()), lossless)
    assert set(others()) < set(measured.signatures)


@pytest.mark.parametrize(
    "name",
    [
        *(interface.MASKS_AND_CONFIDENCE, interface.FROM_EXAMPLES),
        *(interface.FROM_TENSORS, interface.LOGITS_FROM_TENSORS),
    ],
)
def test_a_signature_that_sees_other_classes_is_named(name, lossless, tmp_path):
    mixed = others() | {name: others(moved=1)[name]}
    with pytest.raises(ServingError, match=f"masks of serving_default from {name}, too"):
        check(save(Right(), tmp_path / "model", **mixed), lossless)


def test_maps_of_another_size_are_refused(lossless, tmp_path):
    with pytest.raises(ServingError, match=r"maps of confidence as large .*\(39, 50\)"):
        check(save(Right(), tmp_path / "model", **others(cut=1)), lossless)


def test_an_input_that_the_check_does_not_know_is_said(examples, tmp_path):
    other = tf.function(lambda x: {"y": x}, [tf.TensorSpec([None], tf.float32, name="x")])
    with pytest.raises(ServingError, match=r"inputs of other that are .*; got x, DT_FLOAT"):
        check(save(Right(), tmp_path, other=other), examples)


def test_a_signature_that_is_missing_is_said(examples, tmp_path):
    model = Right()
    tf.saved_model.save(model, str(tmp_path), {interface.SERVING: model.serve})
    with pytest.raises(ServingError, match=r"expected the signatures .*; got serving_default; to"):
        check(str(tmp_path), examples)


def test_a_folder_without_a_model_is_refused(examples, tmp_path):
    with pytest.raises(ServingError, match="expected candidate to load; got Could not find Saved"):
        check(str(tmp_path), examples)


def test_pixels_of_an_ignored_class_are_not_compared():
    """Of ADE20k's 151 numbers the first is no class, though it is among them."""
    label, mask = np.array([[0, 1], [2, 0]]), np.array([[2, 1], [1, 0]], np.uint8)
    judged = np.zeros((1, 9), np.int64)
    judged[0, [4, 7]] = 1
    evaluated = {interface.CONFUSION_MATRIX: judged}
    checks._check_parity(evaluated, [label], [mask], 3, ignore_label=0)
    with pytest.raises(ServingError, match="classes that the evaluation has judged"):
        checks._check_parity(evaluated, [label], [mask], 3, ignore_label=255)


def test_labels_of_a_palette_are_its_numbers():
    image = checks.Image.fromarray(np.array([[3, 255]], np.uint8))
    image.putpalette(np.random.default_rng(1).bytes(768))
    file = checks.io.BytesIO()
    image.save(file, "PNG")
    assert checks._label(file.getvalue()).tolist() == [[3, 255]]
