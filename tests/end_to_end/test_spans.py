"""New folder in, new judged model out: three spans of real pictures, one command for each."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.data_gate import report
from components.dataset import records
from components.metadata import runs
from components.storage import tfrecords
from tests.end_to_end.conftest import open_metadata

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


def run(checkout, shared_data, folder, *assignments, weights=None):
    """Runs on a folder; gives the process, the run's steps and the gate's report."""
    output = checkout.output.with_name("spans")
    changes = (
        "data.canvas_size=129",
        "data.span_window=2",
        "training.steps=2",
        "training.batch_size=4",
        "training.learning_rate=1e-6",
        "training.fine_tune_batch_norm=false",
        "evaluation.min_mean_iou=0.1",
        # Eight pictures hold a few pixels of some classes, which nothing finds at this size.
        "evaluation.allow_dead_classes=true",
        "evaluation.max_mean_iou_drop=1",
        *assignments,
    )
    official = shared_data / "checkpoints/deeplabv3_mnv2_dm05_pascal"
    done = checkout.run(
        *("--dataset", "pascal", "--recipe", "pascal_checkpoint", "--data-dir", str(folder)),
        *("--checkpoint", weights or str(official), "--output", str(output)),
        *(word for change in changes for word in ("--set", change)),
    )
    steps = runs.latest_run(open_metadata(output))
    gate = steps["DriftGate"].outputs.get("judged_report") if "DriftGate" in steps else None
    text = Path(gate[0].uri, report.FILE).read_text() if gate else None
    return done, steps, report.from_json(text) if text else None


def served(checkout) -> list[Path]:
    """The versions that a server would find, oldest first."""
    folder = checkout.output.with_name("spans") / "serving" / "deeplab"
    return sorted(path.parent for path in folder.glob("*/saved_model.pb"))


def behind(version: Path) -> report.Report:
    """The data that a pushed model says it learned from."""
    return report.from_json((version / "assets.extra" / "data_report.json").read_text())


def test_a_folder_alone_is_learned_from(checkout, shared_data, spans):
    """The story of a new user: first a folder, which becomes span-1 when there is more."""
    folder, add = spans
    add(1)
    done, _, content = run(checkout, shared_data, folder / "span-1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [source.span for source in content.sources] == [None]
    assert len(served(checkout)) == 1


@pytest.mark.parametrize(("number", "window"), [(2, [1, 2]), (3, [2, 3])])
def test_each_new_span_gives_a_judged_model(checkout, shared_data, spans, number, window):
    folder, add = spans
    add(number)
    before = served(checkout)
    done, steps, content = run(checkout, shared_data, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "blessed, proven to serve and pushed" in done.stdout
    assert [source.span for source in content.sources] == window
    assert content.total()["train"].records == TRAIN * len(window)
    *older, newest = served(checkout)
    assert older == before and behind(newest).to_json() == content.to_json()
    # What the folder held became span-1: its records are the same, wherever they lie.
    known = {source.digest for source in behind(older[-1]).sources}
    assert content.sources[0].digest in known and content.sources[-1].digest not in known
    assert steps["Baseline"].outputs["model"][0].properties["version"] == older[-1].name
    # Twelve pictures never have the class pixels of another twelve.
    assert any(line.startswith(f"drift of the train split of span-{number}") for line in
               content.drift)  # fmt: skip
    for text in (*content.drift, *map(str, content.sources)):
        assert text in done.stdout
    page = Path(steps["Report"].outputs["page"][0].uri, "index.html").read_text()
    assert all(source.digest in page for source in content.sources)


def test_drift_can_stop_the_run(checkout, shared_data, spans):
    folder, _ = spans
    done, _, _ = run(checkout, shared_data, folder, "gate.on_drift=stop")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "drift of the train split of span-3 against the data behind the served" in done.stdout


def test_a_span_that_is_not_fit_is_named_and_never_left_out(checkout, shared_data, spans):
    folder, _ = spans
    before = served(checkout)
    path = records.record_files(folder / "span-2", "val-*")[0]
    examples = list(records.read_examples([path]))
    image = examples[0].features.feature[records.IMAGE].bytes_list
    whole, image.value[0] = image.value[0], image.value[0][:99]
    _write(path, examples)
    done, _, _ = run(checkout, shared_data, folder)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "val span-2/" in done.stdout and "corrupt picture" in done.stdout
    assert served(checkout) == before
    image.value[0] = whole
    _write(path, examples)


def test_a_run_begins_with_what_is_served(checkout, shared_data, spans):
    folder, _ = spans
    newest = served(checkout)[-1]
    done, steps, _ = run(checkout, shared_data, folder, weights="served")
    assert done.returncode == 0, done.stdout + done.stderr
    began = Path(steps["InitialWeights"].outputs["weights"][0].uri, "Format-Serving")
    description = json.loads((began / "weights.json").read_text())
    assert description["source"] == "served" and description["version"] == newest.name
    assert served(checkout)[-1] != newest


def _write(path: str, examples) -> None:
    with tfrecords.Writer(Path(path)) as writer:
        for example in examples:
            writer.write(example.SerializeToString())
