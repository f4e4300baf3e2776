"""New folder in, new judged model out: three spans of real pictures, one command for each."""

import json
import os
import subprocess
import sys

import pytest

from components import metadata as lineage

pytestmark = [pytest.mark.slow, pytest.mark.real_data]

TRAIN, VAL = 12, 8


@pytest.fixture(scope="module")
def spans(checkout, shared_data, tmp_path_factory):
    """A folder of spans, and what makes the next one: other pictures of the same data set."""
    root = shared_data / "VOCdevkit" / "VOC2012"
    folder = tmp_path_factory.mktemp("spans")
    lists = {
        split: (root / f"ImageSets/Segmentation/{split}.txt").read_text().split()
        for split in ("train", "val")
    }

    def add(number: int):
        source = tmp_path_factory.mktemp(f"source{number}")
        (source / "ImageSets" / "Segmentation").mkdir(parents=True)
        for name in ("JPEGImages", "SegmentationClass"):
            os.symlink(root / name, source / name)
        for split, count in (("train", TRAIN), ("val", VAL)):
            names = lists[split][(number - 1) * count : number * count]
            (source / f"ImageSets/Segmentation/{split}.txt").write_text("\n".join(names))
        done = subprocess.run(
            [
                *(sys.executable, "-m", "components.dataset", "build", "pascal"),
                *("--source", str(source), "--output", str(folder / f"span-{number}")),
            ],
            cwd=checkout.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    return folder, add


def run(checkout, shared_data, folder, *assignments):
    changes = (
        "data.canvas_size=129",
        "data.span_window=2",
        "training.steps=2",
        "training.steps_per_epoch=2",
        "training.batch_size=4",
        "training.learning_rate=1e-6",
        "training.fine_tune_batch_norm=false",
        "evaluation.min_mean_iou=0.1",
        "evaluation.max_mean_iou_drop=1",
        *assignments,
    )
    done = checkout.run(
        *("--dataset", "pascal", "--recipe", "pascal_checkpoint", "--data-dir", str(folder)),
        *("--checkpoint", str(shared_data / "checkpoints/deeplabv3_mnv2_dm05_pascal")),
        *("--output", str(checkout.output.with_name("spans"))),
        *(word for change in changes for word in ("--set", change)),
    )
    store = lineage.open_store(str(checkout.output.with_name("spans") / "metadata.sqlite"))
    return done, lineage.latest_run(store), store


def learned_from(store, steps) -> list[int]:
    """The spans that went into the Trainer."""
    inputs = [
        event.artifact_id
        for event in store.get_events_by_execution_ids([steps["Trainer"].execution_id])
        if event.type == event.INPUT and event.path.steps[0].key == "examples"
    ]
    return sorted(
        artifact.custom_properties["span"].int_value or artifact.properties["span"].int_value
        for artifact in store.get_artifacts_by_id(inputs)
    )


def measured(steps) -> dict:
    (report,) = steps["DataGate"].outputs["report"]
    with open(f"{report.uri}/measures.json") as file:
        return json.load(file)


@pytest.mark.parametrize(("number", "window"), [(1, [1]), (2, [1, 2]), (3, [2, 3])])
def test_each_new_span_gives_a_judged_model(checkout, shared_data, spans, number, window):
    folder, add = spans
    add(number)
    done, steps, store = run(checkout, shared_data, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "blessed, proven to serve and pushed" in done.stdout
    assert learned_from(store, steps) == window
    assert measured(steps)["splits"]["train"]["records"] == TRAIN
    pushed = checkout.output.with_name("spans") / "serving" / "deeplab"
    assert len(list(pushed.glob("*/saved_model.pb"))) == number
    # Twelve pictures never have the class pixels of another twelve.
    drifts = [line for line in measured(steps)["drift"] if line.startswith("drift of the train")]
    assert bool(drifts) == (number > 1)
    assert all(line in done.stdout for line in measured(steps)["drift"])


def test_drift_can_stop_the_run(checkout, shared_data, spans):
    folder, _ = spans
    done, steps, _ = run(checkout, shared_data, folder, "gate.on_drift=stop")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "drift of the train split against the data behind the last blessed" in done.stdout
    assert "--set gate.on_drift=warn" in done.stdout
    assert steps["DataGate"].state == "failed" and "Trainer" not in steps
