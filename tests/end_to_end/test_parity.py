"""Official weights give the official figures, through the pipeline's own steps."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import schemas
from components.dataset.building.layout import find_layout
from components.evaluator.results import Evaluation, load_evaluation
from components.metadata import runs
from models import DeepLabV3Plus, metrics
from models.checkpoints import load_checkpoint
from tests.end_to_end.conftest import open_metadata

pytestmark = [pytest.mark.slow, pytest.mark.real_data]

CLASSES, CROP = 21, 513
WELL_COVERED = ("background", "cat", "cow", "dog", "horse", "person", "sheep")


def judge(checkout, shared_data, *assignments: str) -> Evaluation:
    """Runs the pipeline without training and reads what its Evaluator found."""
    output = checkout.output.with_name("parity")
    done = checkout.run(
        *("--dataset", "pascal", "--recipe", "pascal_checkpoint"),
        *("--data-dir", str(shared_data / "VOCdevkit")),
        *("--checkpoint", str(shared_data / "checkpoints/deeplabv3_mnv2_dm05_pascal")),
        *("--output", str(output)),
        *("--to-node", "Evaluator", "--set", "data.train_limit=4"),
        *(word for assignment in assignments for word in ("--set", assignment)),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    steps = runs.latest_run(open_metadata(output))
    return load_evaluation(steps["Evaluator"].outputs["evaluation"][0].uri)


def test_output_stride_16_on_all_pictures(checkout, shared_data):
    evaluation = judge(checkout, shared_data)
    assert evaluation.candidate["example_count"] == 300
    assert evaluation.candidate["mean_iou"] == pytest.approx(0.6921, abs=0.002)
    assert evaluation.candidate["pixel_accuracy"] == pytest.approx(0.9596, abs=0.001)
    covered = [evaluation.candidate[f"iou/{name}"] for name in WELL_COVERED]
    assert np.mean(covered) == pytest.approx(0.8683, abs=0.002)


def test_output_stride_8_on_some_pictures(checkout, shared_data):
    """Against a loop that shares nothing with the pipeline but the network."""
    count = 24
    evaluation = judge(checkout, shared_data, "model.output_stride=8", f"data.val_limit={count}")
    model = DeepLabV3Plus(
        "mobilenet_v2", CLASSES, output_stride=8, width_multiplier=0.5, atrous_rates=(),
        decoder=False, input_shape=(CROP, CROP, 3),
    )  # fmt: skip
    load_checkpoint(model, shared_data / "checkpoints/deeplabv3_mnv2_dm05_pascal/model.ckpt-30000")
    network = tf.function(model)
    pairs, _ = find_layout(schemas.load("pascal"), shared_data / "VOCdevkit").pairs("val", count)
    matrix = np.zeros((CLASSES, CLASSES), np.int64)
    for pair in pairs:
        image = np.asarray(Image.open(pair.image).convert("RGB"))
        label = np.asarray(Image.open(pair.label))
        height, width = label.shape
        canvas = np.zeros((1, CROP, CROP, 3), np.float32)
        canvas[0, :height, :width] = image / 127.5 - 1
        predicted = network(canvas).numpy().argmax(-1)[0, :height, :width]
        counted = label != 255
        np.add.at(matrix, (label[counted], predicted[counted]), 1)
    assert evaluation.candidate["mean_iou"] == pytest.approx(metrics.mean_iou(matrix), abs=1e-4)
    assert evaluation.candidate["pixel_accuracy"] == pytest.approx(
        metrics.pixel_accuracy(matrix), abs=1e-4
    )
