"""Build, gate, Transform graph and served model decode the same pixels, or refuse alike."""

import io
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from components.data_gate.checks import check_record
from components.dataset.building.layout import find_layout
from components.dataset.building.pairs import read_pair
from components.dataset.decoding.image import DAMAGED
from components.dataset.examination import findings
from components.dataset.examination.examine import examine
from components.dataset.records import IMAGE, LABEL, Record
from components.serving import interface, signatures
from components.transform import preprocessing
from models.layers import ResizeBilinear
from tests.components.dataset.building import corpus
from tests.components.graphs import transform_graph
from tests.corpus import bitmaps, jpeg_cases, mask_cases, other_cases, table

pytestmark = pytest.mark.slow

CANVAS = 65
CONFIG = {"canvas_size": CANVAS, "num_classes": 4, "ignore_label": 255}
PICTURES = (*table.GOOD_PICTURES, *table.BAD_PICTURES)
COSTLY = "million pixels"
"""In the names of what is sent alone: where nothing limits it, it costs gigabytes."""
LABEL_PNG = corpus.mask_file(corpus.LABEL_HW)
COLORS_43 = np.array(bitmaps.QUARTERS)


def cases(tables):
    return pytest.mark.parametrize("case", [pytest.param(c, id=c.name) for c in tables])


def path_of(case, folder, kind="images"):
    """The odd file, as the case puts it into a folder."""
    corpus.write_good(folder, case.layout)
    case.make(folder)
    (path,) = folder.glob(f"{kind}/train/odd*")
    return path


def record(image: bytes, label: bytes = LABEL_PNG) -> Record:
    return Record(filename="odd", image=image, image_format="png", label=label, height=32, width=64)


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> dict[str, bytes]:
    """The bytes of every picture by the name of its case."""
    return {
        case.name: path_of(case, tmp_path_factory.mktemp("case")).read_bytes() for case in PICTURES
    }


@pytest.fixture(scope="module")
def transform_output(tmp_path_factory):
    return transform_graph([record(corpus.jpeg())], CONFIG, tmp_path_factory.mktemp("transform"))


@pytest.fixture(scope="module")
def transformed(transform_output):
    """Pixels `[height, width, 3]` that the Transform graph makes of each file; None of a bad."""
    layer = transform_output.transform_features_layer()

    def run(files: list[bytes]) -> list[np.ndarray | None]:
        labels = tf.fill([len(files), 1], LABEL_PNG)
        out = layer({IMAGE: tf.constant(files)[:, None], LABEL: labels})
        pixels = (out[preprocessing.IMAGE].numpy() + 1) * 127.5
        return [
            None if problem else image[: size[0], : size[1]]
            for image, size, problem in zip(
                pixels,
                out[preprocessing.SIZE].numpy(),
                out[preprocessing.PROBLEM].numpy(),
                strict=True,
            )
        ]

    return run


class _Colors(keras.Model):
    """What is asked of a `DeepLabV3Plus`."""

    batch_norm_layers = ()
    logits_resize = ResizeBilinear()
    logits_layer = property(lambda self: self.get_layer("logits"))


@pytest.fixture(scope="module")
def served(transform_output):
    """The served model around a network that names the nearest of four colours at each pixel."""
    pixels = keras.Input((CANVAS, CANVAS, 3))
    logits = keras.layers.Conv2D(4, 1, name="logits")
    model = _Colors(pixels, logits(pixels))
    colors = COLORS_43 / 127.5 - 1
    logits.set_weights([2 * colors.T[None, None], -(colors**2).sum(1)])
    return signatures.ServedModel(model, transform_output, num_classes=4, ignore_label=255)


def nearest(image_HW3: np.ndarray) -> np.ndarray:
    """What the network answers."""
    distances = ((np.asarray(image_HW3, float)[..., None, :] - COLORS_43) ** 2).sum(-1)
    return distances.argmin(-1)


def answer(served, files: list[bytes]) -> list[tuple[np.ndarray | None, str]]:
    """Mask and error of each file."""
    reply = served.serve(tf.constant(files, tf.string))
    masks = reply[interface.MASK_BYTES].numpy()
    errors = [error.decode() for error in reply[interface.ERROR].numpy()]
    return [
        (np.asarray(Image.open(io.BytesIO(mask))) if mask else None, error)
        for mask, error in zip(masks, errors, strict=True)
    ]


@pytest.fixture(scope="module")
def by_transform(raw, transformed):
    names = [name for name in raw if COSTLY not in name]
    return dict(zip(names, transformed([raw[name] for name in names]), strict=True))


@pytest.fixture(scope="module")
def by_server(raw, served):
    names = [name for name in raw if COSTLY not in name]
    return dict(zip(names, answer(served, [raw[name] for name in names]), strict=True))


def is_native(encoded: bytes) -> bool:
    """Whether such a file goes into a record as it is."""
    return encoded.startswith((b"\xff\xd8", b"\x89PNG"))


def is_accepted(case) -> bool:
    return isinstance(case, corpus.Accepted)


def reading(case, folder):
    path_of(case, folder)
    dataset = corpus.dataset(case.layout)
    pairs, _ = find_layout(dataset, folder).pairs("train")
    (pair,) = (pair for pair in pairs if pair.name == "odd")
    return read_pair(pair, dataset)


@cases(PICTURES)
def test_build_and_gate_say_the_same_in_the_same_words(case, raw, tmp_path):
    read = reading(case, tmp_path)
    assert (read.record is not None) == is_accepted(case)
    checked = check_record(record(raw[case.name]).serialize(), "train", 3, corpus.IGNORE)
    gate = [(finding.cause, finding.detail) for finding in checked.findings]
    if read.record is not None and is_native(raw[case.name]):
        assert gate == []
    elif read.record is None:
        assert gate and {findings.UNREADABLE} >= {cause for cause, _ in read.problems} - {
            cause for cause, _ in gate
        }
    if read.record is None and is_native(raw[case.name]):
        assert gate == read.problems


@cases([case for case in PICTURES if COSTLY not in case.name])
def test_what_is_trained_on_and_what_is_sent_are_the_same_pixels(
    case, by_transform, by_server, raw, transformed, tmp_path
):
    pixels, (mask, error) = by_transform[case.name], by_server[case.name]
    assert (pixels is None) == (mask is None) == bool(error)
    read = reading(case, tmp_path)
    assert (read.record is not None) == is_accepted(case), read.problems
    if case in jpeg_cases.LEFT_OVER:
        assert pixels is not None
        return
    if is_native(raw[case.name]):
        assert (pixels is not None) == is_accepted(case)
        # Who examines records can say more of the damage than a graph.
        assert all(detail.startswith(error) for _, detail in read.problems)
    if pixels is not None:
        assert is_accepted(case), "a file that is refused elsewhere was decoded"
        np.testing.assert_allclose(pixels, case.image_HW3, rtol=0, atol=case.tolerance + 0.01)
        np.testing.assert_array_equal(mask, nearest(pixels))
    if is_accepted(case):
        (trained,) = transformed([read.record.image])
        np.testing.assert_allclose(trained, case.image_HW3, rtol=0, atol=case.tolerance + 0.01)


@cases([case for case in PICTURES if COSTLY in case.name])
def test_what_is_too_large_is_an_error_in_its_row(case, raw, served):
    good, large = answer(served, [corpus.jpeg(), raw[case.name]])
    assert good[1] == "" and good[0].shape == (32, 64)
    assert large[0] is None and "pixels" in large[1]


@cases([*mask_cases.MASKS, *mask_cases.BAD_MASKS])
def test_the_gate_takes_no_mask_of_other_labels_than_the_build(case, tmp_path):
    (tmp_path / "again").mkdir()
    read = reading(case, tmp_path)
    encoded = path_of(case, tmp_path / "again", "masks").read_bytes()
    examined = examine(corpus.jpeg(), encoded, 3, corpus.IGNORE)
    assert (read.record is not None) == is_accepted(case)
    if not examined.problems:
        assert is_accepted(case)
        np.testing.assert_array_equal(examined.label_HW, case.label_HW)


# === Requests ===


def is_right(request, mask, error) -> bool:
    if request.picture is None:
        return mask is None and bool(re.fullmatch(f"{DAMAGED}|expected .+, got .+", error))
    return error == "" and np.array_equal(mask, nearest(np.asarray(request.picture)))


def test_every_row_of_a_batch_has_its_own_verdict(served):
    requests = [request for request in other_cases.REQUESTS if not request.alone]
    good = other_cases.Request("good", corpus.jpeg(), corpus.IMAGE)
    rows = [each for request in requests for each in (request, good)]
    replies = answer(served, [row.content for row in rows])
    wrong = {
        row.name: error
        for row, (mask, error) in zip(rows, replies, strict=True)
        if not is_right(row, mask, error)
    }
    assert wrong == {}


@cases([request for request in other_cases.REQUESTS if request.alone])
def test_a_request_that_would_cost_gigabytes_is_an_error(case, served):
    (mask, error), good = answer(served, [case.content, corpus.jpeg()])
    assert is_right(case, mask, error) and good[1] == ""


def test_nothing_is_answered_with_nothing(served):
    assert other_cases.EMPTY_BATCH.endswith("[tensorflow/serving#1610]")
    assert answer(served, []) == []
