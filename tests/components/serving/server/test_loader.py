"""TensorFlow's C++ loader by ctypes: every type, text of any bytes, errors, and no leak."""

import gc
import os
import shutil
import subprocess
import sys
import threading

import grpc
import numpy as np
import psutil
import pytest
import tensorflow as tf

from components.serving.server import loader
from components.serving.server.loader import SavedModel
from components.serving.server.statuses import Refusal
from components.serving.tensors import DTYPES, strings
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow

RANDOM = np.random.default_rng(5)


def some(dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    if dtype.kind == "O":
        return strings([RANDOM.bytes(n % 40) for n in range(int(np.prod(shape)))]).reshape(shape)
    if dtype.kind == "f":
        return np.array(RANDOM.normal(size=shape), dtype)
    return RANDOM.integers(0, 2, shape).astype(dtype)


@pytest.mark.parametrize("number", DTYPES, ids=lambda n: tf.dtypes.as_dtype(n).name)
def test_every_type_goes_through_a_graph_and_comes_back(number, tmp_path):
    module = tf.Module()
    spec = tf.TensorSpec(None, tf.dtypes.as_dtype(number), name="x")
    module.serve = tf.function(lambda x: {"x": tf.identity(x), "n": tf.size(x)}, [spec])
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.serve})
    model = SavedModel(str(tmp_path))
    for shape in ((), (1,), (0,), (3, 0, 2), (2, 3), (5, 1, 4)):
        array = some(DTYPES[number], shape)
        found = model.run(model.signatures["serving_default"], {"x": array}, ["n", "x"])
        assert found["x"].dtype == array.dtype and found["x"].shape == shape
        np.testing.assert_array_equal(found["x"], array)
        assert found["n"] == array.size
    assert not loader._strings


def test_a_transposed_array_arrives_as_it_is(doubling):
    model = SavedModel(doubling)
    x = np.arange(6, dtype=np.float32).reshape(2, 3).T
    found = model.run(model.signatures["scale"], {"x": x, "y": np.array(1)}, ["z"])
    np.testing.assert_array_equal(found["z"], 2 * x + 1)


def test_text_that_the_graph_keeps_outlives_its_request(tmp_path):
    class Keeping(tf.Module):
        def __init__(self):
            super().__init__()
            self.kept = tf.Variable(["nothing"], shape=[None])

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="x")])
        def serve(self, x):
            before = self.kept.read_value()
            with tf.control_dependencies([before]):
                self.kept.assign(x)
            return {"before": before}

    keeping = Keeping()
    tf.saved_model.save(keeping, str(tmp_path), signatures={"serving_default": keeping.serve})
    model = SavedModel(str(tmp_path))
    serve = model.signatures["serving_default"]
    sent = [strings([RANDOM.bytes(1000) for _ in range(5)]) for _ in range(20)]
    found = [model.run(serve, {"x": array}, ["before"])["before"] for array in sent]
    for array, after in zip(sent, found[1:], strict=False):
        np.testing.assert_array_equal(array, after)
    del model
    gc.collect()
    assert not loader._strings


@pytest.mark.parametrize("damage", ["gone", "cut", "garbage", "empty", "cut variables"])
def test_what_does_not_load_is_refused_with_tensorflows_words(damage, doubling, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(doubling, folder)
    file = folder / "saved_model.pb"
    if damage == "cut variables":
        (file,) = folder.glob("variables/*.data*")
    content = {"garbage": b"\xff" * 999, "empty": b""}
    file.write_bytes(content.get(damage, file.read_bytes()[: file.stat().st_size // 2]))
    if damage == "gone":
        file.unlink()
    with pytest.raises(Refusal) as caught:
        SavedModel(str(folder))
    assert caught.value.message and caught.value.code != grpc.StatusCode.OK


def test_a_model_without_its_variables_loads_and_fails_at_the_first_request(doubling, tmp_path):
    """As in TensorFlow Serving: no load shows it."""
    shutil.copytree(doubling, tmp_path / "model", ignore=lambda *_: ["variables"])
    model = SavedModel(str(tmp_path / "model"))
    with pytest.raises(Refusal) as caught:
        x = np.ones((1, 2), np.float32)
        model.run(model.signatures["scale"], {"x": x, "y": np.array(1)}, ["z"])
    assert caught.value.code == grpc.StatusCode.FAILED_PRECONDITION


def test_a_failing_graph_is_refused_with_its_code(doubling):
    model = SavedModel(doubling)
    scale = model.signatures["scale"]
    with pytest.raises(Refusal, match="Incompatible shapes") as caught:
        model.run(scale, {"x": np.ones((2, 3)), "y": np.array([1, 2])}, ["z"])
    assert caught.value.code == grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.http_status == 400


def test_many_runs_and_loads_leave_memory_as_it_was(doubling):
    big = strings([os.urandom(1_000_000)] * 4)
    process = psutil.Process()

    def work(times: int) -> None:
        for _ in range(times):
            model = SavedModel(doubling)
            for _ in range(10):
                model.run(model.signatures["serving_default"], {"image_bytes": big}, ["mask_bytes"])

    work(3)
    before = process.memory_info().rss
    work(10)  # 1.2 GB of requests and answers
    assert process.memory_info().rss - before < 60e6
    assert not loader._strings


def test_threads_share_a_model(doubling):
    model, wrong = SavedModel(doubling), []

    def ask(number: int) -> None:
        for _ in range(20):
            text = b"%d" % number * 50
            found = model.run(
                model.signatures["serving_default"],
                {"image_bytes": strings([text])},
                ["mask_bytes"],
            )
            wrong.extend({0} if found["mask_bytes"][0] != 2 * text else ())

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_tensorflow_is_not_imported_and_can_be_afterwards(doubling):
    code = f"""
import sys
from components.serving.server.loader import SavedModel
assert SavedModel({doubling!r}).signatures
assert "tensorflow" not in sys.modules
import tensorflow as tf
assert tf.saved_model.load({doubling!r}).signatures["scale"]
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
