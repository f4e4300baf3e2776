"""Files made of an exported model, judged on records, written with their contract."""

import gc
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import schemas
from components.dataset.records import IMAGE, LABEL
from components.errors import ConfigError
from components.tflite.contract import FILE as CONTRACT
from components.tflite.interpreter import Interpreter
from components.tflite.judging import Judge, Prepare, draw
from components.tflite.making import convert_all, load_trained, make
from components.tflite.options import TFLiteOptions
from components.tflite.results import PUSHED, TFLiteReport, pushed_files
from tests.components.serving.conftest import CLASSES, CROP
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow
DATASET = schemas.load("sample")


def dark(record: bytes) -> bytes:
    """The record with a picture of black pixels."""
    example = tf.train.Example.FromString(record)
    file = io.BytesIO()
    Image.new("RGB", (50, 40)).save(file, "PNG")
    example.features.feature[IMAGE].bytes_list.value[0] = file.getvalue()
    return example.SerializeToString()


@pytest.fixture(scope="module")
def made(exported_model, transform_output, judged, tmp_path_factory):
    def made(training: list[bytes], validation: list[bytes], **options):
        folder = str(tmp_path_factory.mktemp("files"))
        report = make(
            exported_model,
            transform_output,
            iter(training),
            iter(validation),
            len(validation),
            DATASET,
            TFLiteOptions(**options),
            folder,
        )
        assert TFLiteReport.read(folder) == report
        return report, folder

    return made


@pytest.fixture(scope="module")
def float32(made, judged):
    return made([], judged, kinds=("float32",))


@pytest.fixture(scope="module")
def collapsed(made, judged):
    """Calibrated on darkness, integers know no range of what they are asked about."""
    return made([dark(record) for record in judged], judged, kinds=("float32", "int8"))


def test_a_float32_file_finds_what_the_exported_model_finds(float32, judged):
    report, _ = float32
    (kind,) = report.kinds
    assert report.blessed and report.pictures == len(judged)
    assert report.mean_iou == 1.0
    assert kind.mean_iou == pytest.approx(1.0, abs=1e-4)
    assert kind.agreement >= 0.9999
    assert kind.size_bytes > 0 and kind.seconds > 0 and not kind.problem


def test_files_lie_beside_their_contract_and_the_report_is_not_pushed(float32):
    _, folder = float32
    pushed = pushed_files(folder)
    assert set(pushed) == {f"{PUSHED}/float32.tflite", f"{PUSHED}/{CONTRACT}"}
    described = json.loads(pushed[f"{PUSHED}/{CONTRACT}"])
    assert described["labels"] == list(DATASET.class_names)
    (file,) = described["files"].values()
    assert file["image"] == {"shape": [1, CROP, CROP, 3], "dtype": "float32"}
    assert file["scores"]["shape"][-1] == CLASSES


@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_the_documented_lines_find_what_was_judged(collapsed, judged, tmp_path, monkeypatch, kind):
    """As an app does it: numpy, the file and its contract."""
    report, folder = collapsed
    page = (REPOSITORY / "docs" / "serving.md").read_text()
    (lines,) = (code for code in re.findall(r"```python\n(.*?)```", page, re.S) if "lite." in code)
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    same = pixels = 0
    for record in judged:
        feature = tf.train.Example.FromString(record).features.feature
        picture, label = (feature[key].bytes_list.value[0] for key in (IMAGE, LABEL))
        (tmp_path / "picture.jpg").write_bytes(picture)
        served = np.asarray(Image.open(io.BytesIO(label)))
        found = {}
        exec(lines.replace("float32.tflite", f"{kind}.tflite"), found)
        assert found["mask"].shape == served.shape
        assert found["names"] == [DATASET.class_names[index] for index in np.unique(found["mask"])]
        same += (found["mask"] == served).sum()
        pixels += served.size
    (result,) = (each for each in report.kinds if each.kind == kind)
    # Another library decodes and shrinks a little differently.
    assert same / pixels == pytest.approx(result.agreement, abs=0.02)


def test_an_int8_file_that_collapses_is_refused_and_named(collapsed):
    report, _ = collapsed
    float32, int8 = report.kinds
    assert not report.blessed
    (reason,) = report.reasons
    assert "the int8 file within 1.1 points" in reason and f"{int8.mean_iou:.4f}" in reason
    assert int8.mean_iou < float32.mean_iou - 0.011
    assert int8.operators and not int8.in_float


def test_no_more_pictures_are_judged_than_asked_for(made, judged):
    report, _ = made(judged, judged, kinds=("float16",), pictures=2, threads=2)
    assert (report.pictures, report.threads) == (2, 2)


def test_what_cannot_be_converted_is_named_and_the_others_are_made(exported_model):
    """No picture to calibrate on is such a case, for the converter itself."""
    trained = load_trained(exported_model, CLASSES, CROP)
    options = TFLiteOptions(kinds=("int8", "float32"))
    files, problems = convert_all(trained, options, lambda: iter([np.zeros((1, 3, 3, 3), "f")]))
    assert set(files) == {"float32"} and set(problems) == {"int8"}
    assert len(problems["int8"]) > 20


def test_a_model_that_was_not_exported_here_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="expected a model that this pipeline exported"):
        load_trained(str(tmp_path), CLASSES, CROP)


def test_the_network_is_that_of_the_exported_model(exported_model, model):
    trained = load_trained(exported_model, CLASSES, CROP)
    for one, two in zip(trained.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_canvases_are_the_pixels_of_the_pictures(transform_output, judged):
    prepare = Prepare(transform_output)
    canvas, size, picture, _ = prepare(judged[1])  # A PNG that fits the canvas.
    height, width = size.numpy()
    pixels = np.asarray(Image.open(io.BytesIO(picture.numpy())), np.float32)
    np.testing.assert_allclose(canvas[0, :height, :width], pixels, atol=1e-3)
    assert (canvas[0, height:] == 127.5).all() and (canvas[0, :, width:] == 127.5).all()


@pytest.mark.parametrize("count", [1, 3, 9, 10, 11])
def test_a_draw_is_of_different_records_and_the_same_for_a_seed(count):
    records = [bytes([index]) for index in range(10)]
    drawn = draw(iter(records), count, seed=5)
    assert len(drawn) == len(set(drawn)) == min(count, 10) and set(drawn) <= set(records)
    assert drawn == draw(iter(records), count, seed=5)
    assert count >= 10 or any(drawn != draw(iter(records), count, seed) for seed in range(5))


def test_every_record_is_drawn_as_often_as_any_other():
    records = [bytes([index]) for index in range(8)]
    drawn = [each for seed in range(4000) for each in draw(iter(records), 2, seed)]
    assert all(900 < drawn.count(record) < 1100 for record in records)


def graphs() -> int:
    """How many of TensorFlow's graphs are in memory."""
    gc.collect()
    return sum(issubclass(type(each), tf.Graph) for each in gc.get_objects())


def test_pictures_of_many_sizes_are_judged_by_one_graph(
    exported_model, transform_output, judged, float32
):
    """A graph for each size would stay in memory."""
    _, folder = float32
    prepare = Prepare(transform_output)
    file = Interpreter((Path(folder) / "float32.tflite").read_bytes(), 1)
    resize = load_trained(exported_model, CLASSES, CROP).logits_resize
    judge = Judge(
        exported_model, prepare, resize, {"float32": file}, num_classes=CLASSES, ignore_label=255
    )
    judge.add(judged[0])
    before = graphs()
    for record in judged:
        judge.add(record)
    assert graphs() == before
