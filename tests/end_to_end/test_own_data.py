"""A data set of one's own, as the README has it: described in a folder of one's own, no code."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import schemas
from components.dataset import records
from components.dataset.sample import rendering as sample
from components.evaluator.results import load_evaluation
from components.metadata import runs
from components.serving import versions
from components.storage import folders
from components.tflite.results import TFLiteReport
from tests.end_to_end.conftest import open_metadata

pytestmark = pytest.mark.slow

TRAIN, VAL = 24, 8
DESCRIPTION = """
title = "Shapes"
licence = "Ours."
ignore_label = 255

classes = [
  { id = 0, color = "#000000", name = "nothing" },
  { id = 1, color = "#00ff00", name = "building" },
  { id = 2, color = "#0000ff", name = "plant" },
]

[source]
masks = "colors"
ignore_colors = ["#ff00ff"]

[source.splits.train]
images = "photos/train/*"
masks = "painted/train/*_mask.png"

[source.splits.val]
images = "photos/val/*"
masks = "painted/val/*_mask.png"
"""
SPACE = {
    "training.learning_rate": {"min": 1e-3, "max": 1e-2, "scale": "log"},
    "model.aspp_depth": {"choices": [16, 24]},
}
# What the rendered sample calls house, and tree or flower.
OF_SAMPLE = {"house": 1, "tree": 2, "flower": 2}
VOID = (255, 0, 255)


@pytest.fixture(scope="module")
def own(checkout, tmp_path_factory):
    """Photographs with masks in colours, and the folder that describes them."""
    description = checkout.output.with_name("descriptions") / "shapes"
    shutil.copytree(checkout.folder / "schemas" / "sample", description)
    (description / "dataset.toml").write_text(DESCRIPTION)
    ids = np.zeros(256, np.uint8)
    for info in schemas.load("sample").classes:
        ids[info.id] = OF_SAMPLE.get(info.name, 0)
    colors = np.zeros((256, 3), np.uint8)
    colors[1], colors[2] = (0, 255, 0), (0, 0, 255)
    folder = tmp_path_factory.mktemp("shapes")
    for split, count in (("train", TRAIN), ("val", VAL)):
        (folder / "photos" / split).mkdir(parents=True)
        (folder / "painted" / split).mkdir(parents=True)
        for index in range(count):
            picture = sample.render_picture(index, split)
            painted = colors[ids[picture.label_HW]]
            painted[picture.label_HW == 255] = VOID
            Image.fromarray(painted).save(folder / f"painted/{split}/{index}_mask.png")
            Image.fromarray(picture.image_HW3).save(folder / f"photos/{split}/{index}.jpg")
    return folder


def dataset_command(checkout, *arguments):
    return subprocess.run(
        [
            *(sys.executable, "-m", "components.dataset", *arguments),
            *("--schemas", str(checkout.output.with_name("descriptions"))),
        ],
        cwd=checkout.folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_colours_become_ids_and_void_is_ignored(checkout, own):
    done = dataset_command(checkout, "build", "shapes", "--source", str(own))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"train      {TRAIN} pictures" in done.stdout
    built = checkout.folder / "data" / "shapes"
    manifest = json.loads((built / folders.MANIFEST).read_text())
    pixels = manifest["splits"]["train"]["class_pixels"]
    assert pixels.keys() == {"nothing", "building", "plant"} and min(pixels.values()) > 1000
    assert manifest["splits"]["train"]["ignored_pixels"] > 1000
    (first,) = [
        example.features.feature
        for example in records.read_examples(records.record_files(built, "val-*"))
        if example.features.feature[records.FILENAME].bytes_list.value[0] == b"val/0.jpg"
    ]
    label = tf.io.decode_png(first[records.LABEL].bytes_list.value[0]).numpy()[..., 0]
    picture = sample.render_picture(0, "val")
    assert ((label == 255) == (picture.label_HW == 255)).all()
    names = schemas.load("sample").class_names
    assert ((label == 1) == (picture.label_HW == names.index("house"))).all()


def test_inspect_writes_a_page_about_it(checkout):
    done = dataset_command(checkout, "inspect", "shapes")
    assert done.returncode == 0, done.stdout + done.stderr
    html = (checkout.folder / "data" / "shapes.html").read_text()
    assert "Shapes" in html and "building" in html and 'src="http' not in html


def test_a_colour_that_no_class_has_is_named(checkout, own, tmp_path):
    damaged = tmp_path / "shapes"
    shutil.copytree(own, damaged)
    path = damaged / "painted/val/3_mask.png"
    painted = np.asarray(Image.open(path)).copy()
    painted[:2, :2] = (1, 2, 3)
    Image.fromarray(painted).save(path)
    target = tmp_path / "out"
    words = ("build", "shapes", "--source", str(damaged), "--output", str(target))
    done = dataset_command(checkout, *words)
    assert done.returncode == 3
    assert "val/3: unknown colour" in done.stdout and "#010203" in done.stdout
    assert not target.exists() and "Traceback" not in done.stdout + done.stderr


def test_a_dry_run_says_what_the_training_takes_and_what_suits_a_cpu(checkout):
    done = checkout.run(
        *("--dataset", "shapes", "--data-dir", str(checkout.folder / "data" / "shapes")),
        *("--output", str(checkout.output.with_name("planned_own")), "--dry-run"),
        *("--schemas", str(checkout.output.with_name("descriptions"))),
        *("--set", "data.canvas_size=65", "--set", "initial_weights.source=null"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # How much of it can be measured in a minute is the machine's.
    assert "Training takes" in done.stdout or "Training could not be measured" in done.stdout
    assert "could not be tried" not in done.stdout
    assert ("--recipe own_data_cpu" in done.stdout) == ("of the GPU" not in done.stdout)


def test_the_pipeline_searches_trains_judges_and_pushes_it(checkout):
    output = checkout.output.with_name("own")
    changes = (
        *("data.canvas_size=97", "model.width_multiplier=0.5", "model.aspp_depth=32"),
        *("model.decoder_depth=32", "initial_weights.source=null", "training.steps=20"),
        # Twenty steps from random weights may find no class but the most frequent one.
        *("evaluation.min_mean_iou=0.05", "evaluation.allow_dead_classes=true"),
        *("tuner.trials=2", "tuner.steps_per_trial=2"),
        f"tuner.space={json.dumps(SPACE)}",
        # Of a network that has learned next to nothing, integers may lose anything.
        *('tflite.kinds=["float32", "int8"]', 'tflite.max_points_lost={"int8": 100}'),
    )
    done = checkout.run(
        *("--dataset", "shapes", "--data-dir", str(checkout.folder / "data" / "shapes")),
        *("--output", str(output), "--schemas", str(checkout.output.with_name("descriptions"))),
        *(word for change in changes for word in ("--set", change)),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "blessed, proven to serve and pushed" in done.stdout and "building" in done.stdout
    (model,) = (output / "serving" / "deeplab").glob("*")
    description = json.loads((model / "assets.extra" / "model.json").read_text())
    assert description["classes"] == ["nothing", "building", "plant"]
    best = {path: description[path.partition(".")[0]][path.partition(".")[2]] for path in SPACE}
    assert 1e-3 <= best["training.learning_rate"] <= 1e-2 and best["model.aspp_depth"] in (16, 24)
    found = runs.latest_run(open_metadata(output), "deeplab-shapes")["Tuner"]
    properties = found.outputs["best_hyperparameters"][0].properties
    assert json.loads(properties["values"]) == best
    assert properties["trials"] == 2 and properties["failed"] == 0
    (results,) = Path(found.outputs["tuner_results"][0].uri).iterdir()
    trials = json.loads(results.read_text())
    winner = max(trials, key=lambda trial: trial["score"])
    assert len(trials) == 2 and best == {path: winner[path] for path in SPACE}
    # TFX writes six digits of it.
    assert properties["score"] == pytest.approx(winner["score"], abs=1e-6)
    assert f"Search       training.learning_rate={best['training.learning_rate']}, " in done.stdout
    assert not list((output / "training").glob("tuner-*"))
    # As the Evaluator has it, and in the version that was pushed.
    steps = runs.latest_run(open_metadata(output), "deeplab-shapes")
    files = TFLiteReport.read(steps["TFLite"].outputs["models"][0].uri)
    evaluation = load_evaluation(steps["Evaluator"].outputs["evaluation"][0].uri)
    assert files.pictures == VAL and files.blessed
    assert files.mean_iou == pytest.approx(evaluation.candidate["mean_iou"], abs=1e-9)
    assert files.kinds[0].mean_iou == pytest.approx(files.mean_iou, abs=1e-4)
    assert files.kinds[1].operators and not files.kinds[1].in_float
    assert {path.name for path in (model / "assets.extra" / "tflite").iterdir()} == {
        "contract.json", "float32.tflite", "int8.tflite",
    }  # fmt: skip
    assert versions.is_unharmed(str(model)) and "TFLite       int8: " in done.stdout
    page = Path(steps["Report"].outputs["page"][0].uri, "index.html").read_text()
    assert "TensorFlow Lite" in page and "DEPTHWISE_CONV_2D int8" in page
